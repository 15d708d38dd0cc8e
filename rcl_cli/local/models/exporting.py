"""Taking a model away: it is its owner's. What was written is held against what the model said in its evaluation."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rcl_cli.backends.exports.formats import FORMS, SCRIPT, write_export
from rcl_cli.backends.registry import read_card, read_thresholds
from rcl_cli.buckets.base import NoSuchObjectError
from rcl_cli.buckets.fetch import ImageFetcher
from rcl_cli.context import Context
from rcl_cli.domain import Box, Detection, Sample
from rcl_cli.errors import RclError
from rcl_cli.evaluation import evidence
from rcl_cli.evaluation.evidence import Judged
from rcl_cli.evaluation.metrics import evaluate, match_image
from rcl_cli.formats.writers import whole_folder
from rcl_cli.local.events import Agreement, Counted, Tell, Tried
from rcl_cli.local.models.thresholds import folder_of
from rcl_cli.scratch import scratch
from rcl_cli.store.versions import Version

_AT_ONCE = 64


def export_model(context: Context, version: Version, form: str, out: Path, tell: Tell) -> None:
    """Write a model in a format into a new folder, and try it on its test images.

    Args:
        out: empty, or not there yet.

    Raises:
        ResourceNotReady: the version is not trained.
        UsageError: the folder is not empty.
        ConfigError: a package is missing.
        RclError: the script does not run.
    """
    folder = folder_of(context, version)
    card, extra = read_card(folder)
    tell(Counted("trying the export on test images", 0))
    with whole_folder(out) as partial:
        write_export(form, card, folder, {**extra["thresholds"], **read_thresholds(folder)}, partial)
        tried = FORMS[form].cannot_run() or _agreement(context, folder, card.labels, partial, tell)
    tell(Tried(tried))


def _agreement(context: Context, folder: Path, labels: Sequence[str], out: Path, tell: Tell) -> Agreement | str:
    """How both agree, or why that can't be tried."""
    try:
        judged = list(evidence.read(folder))
    except evidence.NotKeptError:
        return "the model was trained by an rcl that kept no predictions"
    with scratch("images") as cache:
        fetcher = ImageFetcher(context.buckets, cache)
        there = [(image, path) for image in judged if (path := _path_of(fetcher, image))]
        if not there:
            return "no test image is left"
        answers: list[list[Detection]] = []
        for start in range(0, len(there), _AT_ONCE):
            answers += _run(out, [path for _, path in there[start : start + _AT_ONCE]])
            tell(Counted("trying the export on test images", len(answers)))
    samples = [_sample(image) for image, _ in there]
    matched = [match_image(found, sample) for found, sample in zip(answers, samples, strict=True)]
    now = evaluate(labels, samples, matched)
    before = evaluate(labels, samples, [list(image.matches) for image, _ in there])
    return Agreement(
        len(there), len(judged), now.f1, before.f1, now.mean("average_precision"), before.mean("average_precision")
    )


def _path_of(fetcher: ImageFetcher, image: Judged) -> Path | None:
    try:
        return fetcher.fetch(image.source_ref)
    except NoSuchObjectError:
        return None


def _sample(image: Judged) -> Sample:
    boxes = tuple((label, box) for label, box in image.truth if box is not None)
    names = tuple(label for label, box in image.truth if box is None)
    return Sample("", names, boxes, image.source_ref, image.width, image.height)


def _run(out: Path, images: Sequence[Path]) -> list[list[Detection]]:
    """What the script says of images, in a process of its own."""
    words = [sys.executable, str(out / SCRIPT), "--min-confidence", "0", *map(str, images)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason"])[-1]
        raise RclError(f"The exported script does not run here: {last}")
    try:
        return [[_detection(one) for one in json.loads(line)["found"]] for line in done.stdout.splitlines()]
    except (ValueError, KeyError, TypeError) as error:
        raise RclError(f"The exported script does not say what it should here: {done.stdout[:200]!r}") from error


def _detection(one: dict[str, object]) -> Detection:
    corners = one.get("box")
    if not isinstance(corners, list):
        return Detection(str(one["label"]), float(str(one["confidence"])))
    left, top, right, bottom = corners
    return Detection(str(one["label"]), float(str(one["confidence"])), Box(left, top, right - left, bottom - top))
