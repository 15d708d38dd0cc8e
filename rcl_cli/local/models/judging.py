"""What a trained version said about each of its test images, for whoever looks at all of it."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any, NamedTuple

from rcl_cli.backends.registry import family, read_card, read_thresholds
from rcl_cli.context import Context
from rcl_cli.evaluation import evidence
from rcl_cli.evaluation.evidence import Judged
from rcl_cli.local.models.report import expected_of, settings_of
from rcl_cli.local.models.thresholds import folder_of
from rcl_cli.local.models.watching import evaluation_of
from rcl_cli.operations.contents import reading
from rcl_cli.store import datasets, entries
from rcl_cli.store.versions import Version

# More answers than this a page would take long to open with.
_MOST_ANSWERS = 200_000


class Where(NamedTuple):
    """An entry of a dataset."""

    dataset_arn: str
    position: int


def judging_of(context: Context, version: Version) -> dict[str, Any]:
    """All answers of a version about its test images, with its thresholds and its training.

    Returns:
        `images`: { source_ref, entry: { dataset, position } or None, truth: [[label, box]], found: [[label, score, box,
        index of the truth that it matches or None]] }; boxes are [left, top, width, height], shares of the image, or
        None; `least_score`: fainter answers are left out, and `left_out` is how many.

    Raises:
        ResourceNotReady: the version is not trained.
        RclError: it was trained before predictions were kept.
    """
    folder = folder_of(context, version)
    card, extra = read_card(folder)
    judged = list(evidence.read(folder))
    scores = [match.detection.score for image in judged for match in image.matches]
    least = heapq.nlargest(_MOST_ANSWERS, scores)[-1] if len(scores) > _MOST_ANSWERS else 0.0
    where = entries_of(context, version.project_id, [image.source_ref for image in judged])
    return {
        "arn": version.arn,
        "name": version.name,
        "is_detector": family(card.family).task == "detection",
        "labels": list(card.labels),
        "assumed": extra["thresholds"],
        "own": read_thresholds(folder),
        "summary": evaluation_of(context, version.arn),
        "expected": expected_of(judged, card, extra),
        "images": [_image(image, where.get(image.source_ref), least) for image in judged],
        "least_score": least,
        "left_out": sum(score < least for score in scores),
        "history": list(card.history),
        "settings": settings_of(card, extra),
        "data": extra.get("data", {}),
    }


def _image(image: Judged, where: Where | None, least: float) -> dict[str, Any]:
    return {
        "source_ref": image.source_ref,
        "entry": where and {"dataset": where.dataset_arn, "position": where.position},
        "truth": image.truth,
        "found": [
            (one.detection.label, one.detection.score, one.detection.box, one.truth)
            for one in image.matches
            if one.detection.score >= least
        ],
    }


def entries_of(context: Context, project_id: int, source_refs: Sequence[str]) -> dict[str, Where]:
    """Where the entries of pictures are now in a project; those that are in no dataset of it are left out."""
    with context.database.read() as db:
        found = datasets.of_project(db, project_id)
    where: dict[str, Where] = {}
    for one in found:
        with reading(context, one.arn, lambda _: None) as (_, own):
            where |= {ref: Where(one.arn, at) for ref, at in entries.positions_of(own, source_refs).items()}
    return where
