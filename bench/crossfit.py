"""How much two figures promise too much: the API's F1, and the cross-fitted one, against test images of their own.

    python bench/crossfit.py [--images 60] [--draws 200]

Takes what `plain.py` kept of models' answers. Some test images are drawn, half of them at most, that a figure is made
from; all others tell what it is worth, at the thresholds that were fitted to the first. Labels that one of the two
doesn't have say nothing there, so figures are means over labels that both have.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from ratios import CACHE, ROOT

sys.path.insert(0, str(ROOT))
from rcl_cli.evaluation import evidence
from rcl_cli.evaluation.evidence import Judged
from rcl_cli.evaluation.expected import expected
from rcl_cli.evaluation.metrics import best_threshold


def promised_and_true(some: Sequence[Judged], others: Sequence[Judged], labels: Sequence[str]) -> tuple[float, float]:
    """The API's F1 on some images, and F1 on others at its thresholds."""
    mine, theirs = evidence.events_of(some, labels), evidence.events_of(others, labels)
    promised, true = [], []
    for label in labels:
        if not mine[label].positives or not theirs[label].positives:
            continue
        threshold, _, _, f1 = best_threshold(mine[label])
        promised.append(f1)
        true.append(evidence.figures_at(theirs[label], threshold).f1)
    return statistics.mean(promised), statistics.mean(true)


def measure(folder: Path, count: int, draws: int) -> tuple[float, float, float] | None:
    """Of a model: F1 on new images, and how much more the API's and the cross-fitted one promise; means over draws.

    None where there are too few test images.
    """
    judged, labels = list(evidence.read(folder)), json.loads((folder / "labels.json").read_text())
    chance = random.Random(0)
    rows = []
    for _ in range(draws):
        drawn = chance.sample(judged, len(judged))
        own = min(count, len(drawn) // 2)
        some, others = drawn[:own], drawn[own:]
        both = [
            label
            for label in labels
            if all(any(label == name for one in part for name, _ in one.truth) for part in (some, others))
        ]
        told = expected(some, both)
        if told is not None and both:
            promised, true = promised_and_true(some, others, both)
            rows.append((true, promised - true, told.f1 - true))
    if not rows:
        return None
    return tuple(statistics.mean(column) for column in zip(*rows, strict=True))  # type: ignore[return-value]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=60, help="that a figure is made from")
    parser.add_argument("--draws", type=int, default=200)
    args = parser.parse_args()
    biases = []
    for folder in sorted((CACHE / "evidence").iterdir()):
        found = measure(folder, args.images, args.draws)
        if found is None:
            print(f"| {folder.name} | too few test images |")
            continue
        true, api, crossed = found
        biases.append((api, crossed))
        print(f"| {folder.name} | {true:.3f} | {api:+.3f} | {crossed:+.3f} |", flush=True)
    api, crossed = (statistics.mean(column) for column in zip(*biases, strict=True))
    print(f"| mean | | {api:+.3f} | {crossed:+.3f} |")


if __name__ == "__main__":
    main()
