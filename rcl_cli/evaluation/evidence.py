"""What a trained model said about each test image, kept beside it: thresholds and reports are made from it later."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rcl_cli.domain import Box, Detection, Sample
from rcl_cli.errors import ConfigError, RclError
from rcl_cli.evaluation.metrics import LabelEvents, Match

EVIDENCE_FILE = "predictions.jsonl"


class NotKeptError(RclError):
    """Nothing is known of what a model said about its test images."""


class Judged(NamedTuple):
    """A test image, its truth, and its predictions.

    Args:
        truth: (label, box) pairs; the box is None for image-level labels.
        matches: predictions, each with the index of the truth that it matches.
    """

    source_ref: str
    width: int
    height: int
    truth: tuple[tuple[str, Box | None], ...]
    matches: tuple[Match, ...]


def _truth(sample: Sample) -> tuple[tuple[str, Box | None], ...]:
    return sample.boxes or tuple((label, None) for label in sample.labels)


def judged_of(samples: Iterable[Sample], matched: Iterable[Sequence[Match]]) -> list[Judged]:
    """What `write` writes, as `read` reads it."""
    return [
        Judged(sample.source_ref, sample.width, sample.height, _truth(sample), tuple(matches))
        for sample, matches in zip(samples, matched, strict=True)
    ]


def write(folder: Path, samples: Iterable[Sample], matched: Iterable[Sequence[Match]]) -> None:
    """Write what the test images' predictions came to.

    Args:
        folder: of the model.
    """
    with (folder / EVIDENCE_FILE).open("w", encoding="utf-8") as out:
        for sample, matches in zip(samples, matched, strict=True):
            line = {
                "source-ref": sample.source_ref,
                "size": [sample.width, sample.height],
                "truth": _truth(sample),
                "found": [(m.detection.label, m.detection.score, m.detection.box, m.truth) for m in matches],
            }
            out.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


def read(folder: Path) -> Iterator[Judged]:
    """What `write` wrote.

    Raises:
        NotKeptError: the model is older than this file.
        ConfigError: the file is damaged.
    """
    path = folder / EVIDENCE_FILE
    if not path.exists():
        raise NotKeptError("The model was trained by an rcl that kept no predictions: train it again.")
    with path.open(encoding="utf-8") as stream:
        number = 0
        for number, text in enumerate(stream, 1):
            try:
                yield _judged(json.loads(text))
            except (ValueError, KeyError, TypeError) as error:
                raise ConfigError(f"{path} is damaged in line {number}: train the model again.") from error
        if not number:
            raise ConfigError(f"{path} is empty: train the model again.")


def _judged(line: dict[str, Any]) -> Judged:
    truth = tuple((label, Box(*box) if box else None) for label, box in line["truth"])
    found = tuple(
        Match(Detection(label, score, Box(*box) if box else None), matched)
        for label, score, box, matched in line["found"]
    )
    width, height = line["size"]
    return Judged(line["source-ref"], width, height, truth, found)


def events_of(judged: Iterable[Judged], labels: Iterable[str]) -> dict[str, LabelEvents]:
    """All predictions of each label, true and false, and how many there should be."""
    events = {label: LabelEvents() for label in labels}
    for image in judged:
        for label, _ in image.truth:
            events.setdefault(label, LabelEvents()).positives += 1
        for label in {label for label, _ in image.truth}:
            events[label].images += 1
        for match in image.matches:
            found = events.setdefault(match.detection.label, LabelEvents())
            found.scores.append(match.detection.score)
            found.hits.append(match.truth is not None)
    return events


class Point(NamedTuple):
    """Figures of a label at a threshold; all 0..1."""

    threshold: float
    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def figures_at(events: LabelEvents, threshold: float) -> Point:
    """Figures of the predictions that reach a threshold."""
    reached = [hit for score, hit in zip(events.scores, events.hits, strict=True) if score >= threshold]
    true = sum(reached)
    return Point(
        threshold, true / len(reached) if reached else 0.0, true / events.positives if events.positives else 0.0
    )


def points_of(events: LabelEvents) -> list[Point]:
    """Figures at every score that occurs, highest first."""
    ranked = sorted(zip(events.scores, events.hits, strict=True), key=lambda pair: -pair[0])
    found: list[Point] = []
    true = 0
    for number, (score, hit) in enumerate(ranked, 1):
        true += hit
        if number < len(ranked) and ranked[number][0] == score:
            continue
        found.append(Point(score, true / number, true / events.positives if events.positives else 0.0))
    return found
