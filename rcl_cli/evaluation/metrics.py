"""Evaluation on the test set: one matching of predictions to truth, and every published figure from it.

A prediction is an event: a label with a score that is either true or not. For image-level labels there is one event per
image and label; for boxes one per detected box. Precision, recall, thresholds and average precision follow from events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from rcl_cli.backends.boxes.precision import area_under
from rcl_cli.domain import Box, Detection, Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

MATCH_IOU = 0.5
_MOST_ROOM = 0.005
DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class Match:
    """A prediction and what became of it.

    Args:
        truth: index of the matched ground truth within its image, None for a false one.
    """

    detection: Detection
    truth: int | None


@dataclass(slots=True)
class LabelEvents:
    """All predictions of one label, and how many true objects (or images) there are."""

    scores: list[float] = field(default_factory=list)
    hits: list[bool] = field(default_factory=list)
    positives: int = 0
    images: int = 0


@dataclass(frozen=True, slots=True)
class LabelResult:
    """Figures of one label at its threshold; all 0..1."""

    label: str
    precision: float
    recall: float
    f1: float
    threshold: float
    average_precision: float
    testing_images: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures of a model on its test set.

    Args:
        labels: of labels that occur in the test set, best F1 first.
        thresholds: for every label of the model.
        overall_recall: per label, over all its predictions whatever their score.
        served: thresholds that an accelerator serves with, whose scores depend a little on the company in a batch.
    """

    labels: tuple[LabelResult, ...]
    thresholds: dict[str, float]
    overall_recall: dict[str, float]
    served: dict[str, float]

    def mean(self, figure: str) -> float:
        """Unweighted mean over labels."""
        return float(np.mean([getattr(label, figure) for label in self.labels])) if self.labels else 0.0

    @property
    def f1(self) -> float:
        return self.mean("f1")


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes of one image."""
    width = min(a.right, b.right) - max(a.left, b.left)
    height = min(a.bottom, b.bottom) - max(a.top, b.top)
    if width <= 0 or height <= 0:
        return 0.0
    overlap = width * height
    return overlap / (a.area + b.area - overlap)


def match_image(detections: Sequence[Detection], sample: Sample) -> list[Match]:
    """Match the predictions of one image to its truth.

    Image-level: a prediction is true where the image has its label; `truth` is the label's index in `sample.labels`.
    Boxes: best score first, each takes the free box of its label that it overlaps most, if by at least 0.5 IoU.
    """
    if not sample.boxes and any(d.box is None for d in detections):
        where = {label: i for i, label in enumerate(sample.labels)}
        return [Match(d, where.get(d.label)) for d in detections]
    taken: set[int] = set()
    matches = []
    for detection in sorted(detections, key=lambda d: -d.score):
        best, best_iou = None, MATCH_IOU
        for index, (label, box) in enumerate(sample.boxes):
            if label != detection.label or index in taken or detection.box is None:
                continue
            overlap = iou(detection.box, box)
            if overlap >= best_iou:
                best, best_iou = index, overlap
        if best is not None:
            taken.add(best)
        matches.append(Match(detection, best))
    return matches


def collect(
    labels: Sequence[str], samples: Sequence[Sample], matched: Sequence[Sequence[Match]]
) -> dict[str, LabelEvents]:
    """Gather matches by label; truths of labels that the model does not know are left out."""
    events = {label: LabelEvents() for label in labels}
    for sample, matches in zip(samples, matched, strict=True):
        truths = list(sample.labels) + [label for label, _ in sample.boxes]
        for label in truths:
            if label in events:
                events[label].positives += 1
        for label in set(truths) & events.keys():
            events[label].images += 1
        for match in matches:
            events[match.detection.label].scores.append(match.detection.score)
            events[match.detection.label].hits.append(match.truth is not None)
    return events


def _counts(
    scores: NDArray[np.float64], hits: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(scores, true predictions, predictions) at every distinct score, falling; one counts from its own score on."""
    order = np.argsort(-scores, kind="stable")
    ranked, true = scores[order], np.cumsum(hits[order])
    last_of_tie = np.append(ranked[1:] != ranked[:-1], True)
    return ranked[last_of_tie], true[last_of_tie], np.arange(1.0, len(true) + 1)[last_of_tie]


def best_threshold(events: LabelEvents) -> tuple[float, float, float, float]:
    """(threshold, precision, recall, F1) where F1 is best; of equally good thresholds the lowest."""
    return threshold_of(np.array(events.scores), np.array(events.hits, dtype=float), events.positives)


def threshold_of(
    scores: NDArray[np.float64], hits: NDArray[np.float64], positives: int
) -> tuple[float, float, float, float]:
    """As `best_threshold`, of scores and whether each is true, 1 or 0, (N,), and how many there should be."""
    if not len(scores) or not positives:
        return DEFAULT_THRESHOLD, 0.0, 0.0, 0.0
    scores, true, claimed = _counts(scores, hits)
    # 2PR / (P + R) as one division of whole numbers, so that equally good thresholds compare as equal.
    f1 = 2 * true / (claimed + positives)
    best = len(f1) - 1 - int(np.argmax(f1[::-1]))
    if f1[best] == 0:
        return DEFAULT_THRESHOLD, 0.0, 0.0, 0.0
    return float(scores[best]), float(true[best] / claimed[best]), float(true[best] / positives), float(f1[best])


def _room(events: LabelEvents, threshold: float) -> float:
    """How far below a threshold scores may count without a figure changing: halfway to the next score, and not far.

    A threshold is a test image's own score. That image again, in a batch of another size or on other cores, may score a
    little less.
    """
    below = max((score for score in events.scores if score < threshold), default=0.0)
    return min(_MOST_ROOM, (threshold - below) / 2)


def average_precision(events: LabelEvents) -> float:
    """Area under the precision-recall curve after COCO: precision made monotone, sampled at 101 recalls."""
    if not events.scores or not events.positives:
        return 0.0
    _, true, claimed = _counts(np.array(events.scores), np.array(events.hits, dtype=float))
    return area_under(true, claimed, events.positives)


def evaluate(labels: Sequence[str], samples: Sequence[Sample], matched: Sequence[Sequence[Match]]) -> Evaluation:
    """All figures of a model.

    Args:
        labels: the model's.
        samples: the test set.
        matched: per image, from `match_image`.
    """
    events = collect(labels, samples, matched)
    results, thresholds = [], {}
    for label, one in events.items():
        threshold, precision, recall, f1 = best_threshold(one)
        thresholds[label] = threshold
        if one.positives:
            ap = average_precision(one)
            results.append(LabelResult(label, precision, recall, f1, threshold, ap, one.images))
    unseen = {label for label, one in events.items() if not one.positives}
    if unseen and results:
        # No test image can tell: the middle of what the others need is the best guess.
        middle = float(np.median([r.threshold for r in results]))
        thresholds.update(dict.fromkeys(unseen, middle))
    served = {label: thresholds[label] - _room(events[label], thresholds[label]) for label in thresholds}
    recalls = {label: sum(one.hits) / one.positives for label, one in events.items() if one.positives}
    return Evaluation(tuple(sorted(results, key=lambda r: (-r.f1, r.label))), thresholds, recalls, served)


def confusion(
    labels: Sequence[str],
    samples: Sequence[Sample],
    predictions: Sequence[Sequence[Detection]],
    thresholds: dict[str, float],
) -> list[tuple[str, str, float]]:
    """(true label, predicted label, share) for image-level labels.

    The share's denominator is the number of test images of the *predicted* label, as in the published example. An image
    with one label counts for its best-scored prediction. Of several labels, each that reaches its threshold counts as
    itself, each other one for the best-scored prediction that the image does not have.
    """
    counts: dict[tuple[str, str], int] = {}
    images = dict.fromkeys(labels, 0)
    for sample, found in zip(samples, predictions, strict=True):
        scores = {d.label: d.score for d in found}
        for label in sample.labels:
            if label not in images:
                continue
            images[label] += 1
            if counts_for := _predicted(label, sample, found, scores, thresholds):
                counts[label, counts_for] = counts.get((label, counts_for), 0) + 1
    return [(g, p, counts.get((g, p), 0) / images[p]) for g in labels for p in labels if images[g] and images[p]]


def _predicted(
    label: str, sample: Sample, found: Sequence[Detection], scores: dict[str, float], thresholds: dict[str, float]
) -> str | None:
    if len(sample.labels) == 1:
        return found[0].label
    if scores.get(label, 0.0) >= thresholds[label]:
        return label
    return next((d.label for d in found if d.label not in sample.labels), None)
