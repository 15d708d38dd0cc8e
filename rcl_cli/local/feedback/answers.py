"""Answers of a model about an image: checked, counted where they reach their thresholds, as people would label it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

from rcl_cli.backends.registry import family, read_card, read_thresholds
from rcl_cli.context import Context
from rcl_cli.domain import Box, Detection
from rcl_cli.evaluation.metrics import DEFAULT_THRESHOLD
from rcl_cli.evaluation.sureness import unsure
from rcl_cli.limits import limits
from rcl_cli.local.labelling.lines import Drawn, Labelling
from rcl_cli.local.models.thresholds import folder_of
from rcl_cli.status import FeedbackState
from rcl_cli.store.feedback import Item
from rcl_cli.store.versions import Version

_LEAST_SIDE = 1e-6


class Answerer(NamedTuple):
    """A model that answers, and how its answers are to be read.

    Args:
        thresholds: those that it serves with, 0..1, by label; all its labels are in it.
        one_label: each image has one label.
    """

    version: Version
    thresholds: Mapping[str, float]
    one_label: bool

    def item(self, source_ref: str, origin: str, answers: Sequence[dict[str, Any]], now_ms: int) -> Item:
        """What is kept of its answers about an image."""
        ranked = sorted(answers, key=lambda one: -float(one["Confidence"]))
        found = [detection_of(one) for one in ranked]
        # Of boxes there may be hundreds, next to nothing of which is of any use.
        kept = [
            one
            for number, one in enumerate(ranked)
            if number < limits().boxes or "Geometry" not in one or self._counts(one)
        ]  # fmt: skip
        claimed = [index for index, one in enumerate(kept) if self._counts(one)]
        return Item(
            source_ref, origin, self.version.arn, self.version.created_ms, tuple(kept), tuple(claimed),
            unsure(found, self.thresholds, one_label=self.one_label), FeedbackState.WAITING, now_ms, now_ms, None,
        )  # fmt: skip

    def _counts(self, answer: dict[str, Any]) -> bool:
        # As hosts multiply: a score that is its threshold must stay it.
        return bool(answer["Confidence"] >= self.thresholds.get(answer["Name"], DEFAULT_THRESHOLD) * 100)


def answerer_of(context: Context, version: Version) -> Answerer:
    """
    Raises:
        ResourceNotReady: the version is not trained.
        ConfigError: its files are damaged.
    """
    folder = folder_of(context, version)
    card, extra = read_card(folder)
    # As hosts do it (inference/model.py).
    leaves_room = extra.get("device", "cpu") != "cpu" or extra.get("runtime") == "openvino"
    assumed = extra.get("served_thresholds", extra["thresholds"]) if leaves_room else extra["thresholds"]
    one_label = not card.multi_label and family(card.family).task == "classification"
    return Answerer(version, {**assumed, **read_thresholds(folder)}, one_label)


def detection_of(answer: Mapping[str, Any]) -> Detection:
    """One of CustomLabels as a detection."""
    place = answer["Geometry"]["BoundingBox"] if "Geometry" in answer else None
    box = Box(place["Left"], place["Top"], place["Width"], place["Height"]) if place else None
    return Detection(answer["Name"], answer["Confidence"] / 100, box)


def fault_of(answers: object, labels: Mapping[str, float]) -> str:
    """Why something can't be CustomLabels of a model with these labels; empty where it can."""
    if not isinstance(answers, list):
        return "its CustomLabels are no list"
    for one in answers:
        if not _is_answer(one):
            return "its CustomLabels are not what a model answers"
        if one["Name"] not in labels:
            return f"the model has no label {one['Name']!r}: another one answered"
    return ""


def _is_answer(one: object) -> bool:
    try:
        box = one["Geometry"]["BoundingBox"] if "Geometry" in one else {}  # type: ignore[index, operator]
        sides = [box[side] for side in ("Left", "Top", "Width", "Height")] if box else []
        numbers = [one["Confidence"], *sides]  # type: ignore[index]
        are_numbers = all(isinstance(n, int | float) and not isinstance(n, bool) and isfinite(n) for n in numbers)
        return are_numbers and 0 <= numbers[0] <= 100 and isinstance(one["Name"], str)  # type: ignore[index]
    except (KeyError, TypeError, OverflowError):
        return False


def labelling_of(claims: Sequence[Mapping[str, Any]]) -> Labelling:
    """What a line says for which these answers are right, best first."""
    found = [detection_of(one) for one in claims]
    boxes = [(one.label, _inside(one.box)) for one in found if one.box is not None]
    labels = dict.fromkeys(one.label for one in found if one.box is None)
    drawn = [Drawn(label, box) for label, box in boxes if min(box.width, box.height) > _LEAST_SIDE]
    return Labelling(tuple(labels), tuple(drawn[: limits().boxes]))


def _inside(box: Box) -> Box:
    """What of a box lies in its image: models draw a little beyond."""
    left, top = min(1.0, max(0.0, box.left)), min(1.0, max(0.0, box.top))
    return Box(left, top, min(1.0, box.right) - left, min(1.0, box.bottom) - top)
