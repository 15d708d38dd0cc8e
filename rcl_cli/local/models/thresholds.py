"""Thresholds of a trained model's labels: the assumed ones of its evaluation, and those that its owner sets.

Detection uses the owner's where a request has no MinConfidence; the API reports the assumed ones, as AWS would.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from rcl_cli.backends.base import THRESHOLDS_FILE
from rcl_cli.backends.registry import read_card, read_thresholds
from rcl_cli.context import Context
from rcl_cli.durable import sync_folder, write_durably
from rcl_cli.errors import ResourceNotReady, UsageError
from rcl_cli.evaluation import evidence
from rcl_cli.evaluation.evidence import NotKeptError, Point, figures_at, points_of
from rcl_cli.local.models.watching import named_version
from rcl_cli.store.versions import Version


class Threshold(NamedTuple):
    """A label's thresholds, 0..1.

    Args:
        assumed: the one with the best F1 on the test set.
        own: what the owner set, None where it was left.
        figures: on the test set, at the one that counts; None where that is unknown.
    """

    label: str
    assumed: float
    own: float | None
    figures: Point | None


@dataclass(frozen=True, slots=True)
class Change:
    """How thresholds are to be changed: one of these ways, or none.

    Args:
        values: thresholds, 0..1, by label.
        precision, recall: 0..1, to be reached on the test set.
        relax: halfway from the assumed ones to the next score.
        reset: back to the assumed ones.
        labels: for these only; empty for all. Not with `values`.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    precision: float | None = None
    recall: float | None = None
    relax: bool = False
    reset: bool = False
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Whether it makes sense.

        Raises:
            UsageError: it does not.
        """
        aims = self.precision is not None or self.recall is not None
        ways = (bool(self.values), self.precision is not None, self.recall is not None, self.relax, self.reset)
        if sum(ways) > 1:
            raise UsageError("Give one of --set, --precision, --recall, --relax and --reset.")
        if self.labels and not (self.relax or self.reset or aims):
            raise UsageError("--label goes with --precision, --recall, --relax or --reset.")


def change_thresholds(context: Context, name: str, change: Change) -> list[Threshold]:
    """Change the thresholds of a version, if that is asked for; returns them as they are then.

    Args:
        name: ARN, PROJECT/VERSION, or a PROJECT.

    Raises:
        UsageError: there is no such label, or none reaches what is aimed at.
        ResourceNotFound, ResourceNotReady: there is no such version, or it is not trained.
        NotKeptError: the model was trained before predictions were kept.
    """
    version = named_version(context, name)
    if change.values:
        set_thresholds(context, version, change.values)
    elif change.relax:
        relax(context, version, change.labels)
    elif change.reset:
        reset_thresholds(context, version, change.labels)
    elif change.precision is not None or change.recall is not None:
        aim(context, version, precision=change.precision, recall=change.recall, labels=change.labels)
    return thresholds_of(context, version)


def folder_of(context: Context, version: Version) -> Path:
    """The folder of a trained version.

    Raises:
        ResourceNotReady: it is not trained.
    """
    folder = context.layout.model(version.id)
    if not folder.is_dir():
        raise ResourceNotReady(f"{version.arn} is not trained: its status is {version.status}.")
    return folder


def thresholds_of(context: Context, version: Version) -> list[Threshold]:
    """The thresholds of all labels, in the model's order."""
    folder = folder_of(context, version)
    card, extra = read_card(folder)
    assumed: dict[str, float] = extra["thresholds"]
    own = read_thresholds(folder)
    try:
        events = evidence.events_of(evidence.read(folder), card.labels)
    except NotKeptError:
        events = {}
    return [
        Threshold(
            label,
            assumed[label],
            own.get(label),
            figures_at(events[label], own.get(label, assumed[label])) if label in events else None,
        )
        for label in card.labels
    ]


def set_thresholds(context: Context, version: Version, values: Mapping[str, float]) -> None:
    """Set thresholds; those of other labels stay.

    Raises:
        UsageError: there is no such label, or a value is not 0..1.
    """
    folder = folder_of(context, version)
    card, _ = read_card(folder)
    for label, value in values.items():
        _check_label(label, card.labels)
        if not 0 <= value <= 1:
            raise UsageError(f"The threshold of {label} can't be {value:g}: it is between 0 and 1.")
    _write(folder, {**read_thresholds(folder), **values})


def reset_thresholds(context: Context, version: Version, labels: Sequence[str]) -> None:
    """Go back to the assumed thresholds.

    Args:
        labels: empty for all.

    Raises:
        UsageError: there is no such label.
    """
    folder = folder_of(context, version)
    if not labels:
        # Whatever is in the file, and be it no JSON.
        _write(folder, {})
        return
    card, _ = read_card(folder)
    for label in labels:
        _check_label(label, card.labels)
    _write(folder, {k: v for k, v in read_thresholds(folder).items() if k not in labels})


def aim(
    context: Context, version: Version, *, precision: float | None, recall: float | None, labels: Sequence[str]
) -> None:
    """Set thresholds by what they do on the test set.

    Args:
        precision: at least this, with the most recall that leaves.
        recall: at least this, with the most precision that leaves.
        labels: empty for all that occur in the test set.

    Raises:
        UsageError: a label can't reach it, or has no test images.
        NotKeptError: the model was trained before predictions were kept.
    """
    folder = folder_of(context, version)
    card, _ = read_card(folder)
    for label in labels:
        _check_label(label, card.labels)
    events = evidence.events_of(evidence.read(folder), card.labels)
    chosen = {}
    for label in labels or [label for label in card.labels if events[label].positives]:
        points = points_of(events[label])
        fitting = [p for p in points if p.precision >= (precision or 0) and p.recall >= (recall or 0)]
        if not fitting:
            best = max((p.precision if precision else p.recall for p in points), default=0.0)
            what = "precision" if precision else "recall"
            raise UsageError(f"{label} reaches a {what} of {best:.3f} at most on the test set; nothing was set.")
        wanted = max(fitting, key=lambda p: (p.recall, p.precision) if precision else (p.precision, p.recall))
        chosen[label] = wanted.threshold
    _write(folder, {**read_thresholds(folder), **chosen})


def relax(context: Context, version: Version, labels: Sequence[str]) -> None:
    """Set thresholds as low as halfway to the next score, where that is lower than the assumed one.

    The assumed threshold is the lowest score that was right where F1 is best. All values down to the next score have
    the same figures on the test set; halfway leaves room for new images about which the model is a little less sure.
    Labels without test images, or without a right answer, stay as they are.

    Args:
        labels: empty for all.

    Raises:
        UsageError: there is no such label.
        NotKeptError: the model was trained before predictions were kept.
    """
    folder = folder_of(context, version)
    card, extra = read_card(folder)
    for label in labels:
        _check_label(label, card.labels)
    events = evidence.events_of(evidence.read(folder), card.labels)
    relaxed = {}
    for label in labels or card.labels:
        assumed = extra["thresholds"][label]
        if figures_at(events[label], assumed).f1:
            next_score = max((score for score in events[label].scores if score < assumed), default=0.0)
            relaxed[label] = (assumed + next_score) / 2
    _write(folder, {**read_thresholds(folder), **relaxed})


def _check_label(label: str, labels: Sequence[str]) -> None:
    if label not in labels:
        raise UsageError(f"The model has no label {label!r}; it has {', '.join(map(repr, labels))}.")


def _write(folder: Path, values: Mapping[str, float]) -> None:
    """Replace the file as a whole, or take it away: a running model may read it at any moment."""
    if not values:
        (folder / THRESHOLDS_FILE).unlink(missing_ok=True)
        sync_folder(folder)
        return
    write_durably(folder / THRESHOLDS_FILE, (json.dumps(values, indent=1, ensure_ascii=False) + "\n").encode())
