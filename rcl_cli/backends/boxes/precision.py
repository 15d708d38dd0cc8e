"""Average precision of boxes as COCO has it, over all its overlaps: what checkpoints of detectors are chosen by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rcl_cli.domain import Box, Detection, Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

OVERLAPS = np.linspace(0.5, 0.95, 10)
MOST_BOXES = 100
_RECALL_POINTS = np.linspace(0, 1, 101)


def average_precisions(
    labels: Sequence[str], samples: Sequence[Sample], predictions: Sequence[Sequence[Detection]]
) -> NDArray[np.float64]:
    """Mean over the labels that occur, at each of `OVERLAPS`.

    Of an image at most `MOST_BOXES` of a label count, as with COCO, or twice as many as there should be.

    Args:
        predictions: of each sample, best first.

    Returns:
        Shape (10,); zeros where no label occurs.
    """
    per_label = []
    for label in labels:
        truths = [_corners([box for name, box in sample.boxes if name == label]) for sample in samples]
        if not sum(map(len, truths)):
            continue
        scores, hits = [], []
        for found, truth in zip(predictions, truths, strict=True):
            most = max(MOST_BOXES, 2 * len(truth))
            here = [d for d in found if d.label == label and d.box is not None][:most]
            scores += [d.score for d in here]
            hits.append(_hits(_corners([d.box for d in here if d.box is not None]), truth))
        order = np.argsort(-np.array(scores), kind="stable")
        per_label.append(_precisions(np.concatenate(hits, 1)[:, order], sum(map(len, truths))))
    return np.mean(per_label, 0) if per_label else np.zeros(len(OVERLAPS))


def _corners(boxes: Sequence[Box]) -> NDArray[np.float64]:
    return np.array([(b.left, b.top, b.right, b.bottom) for b in boxes], float).reshape(-1, 4)


def _hits(found: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(overlaps, N): whether each box takes a true one, best first; each takes the free one that it overlaps most."""
    low = np.maximum(found[:, None, :2], truth[None, :, :2])
    high = np.minimum(found[:, None, 2:], truth[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(2)
    areas = [(box[:, 2:] - box[:, :2]).prod(1) for box in (found, truth)]
    iou = shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-12)
    hits = np.zeros((len(OVERLAPS), len(found)), bool)
    if not len(truth):
        return hits
    free = np.ones((len(OVERLAPS), len(truth)), bool)
    rows = np.arange(len(OVERLAPS))
    for number in range(len(found)):
        left = np.where(free, iou[number][None], -1.0)
        best = left.argmax(1)
        hit = left[rows, best] >= OVERLAPS
        hits[:, number] = hit
        free[rows[hit], best[hit]] = False
    return hits


def _precisions(hits: NDArray[np.bool_], positives: int) -> NDArray[np.float64]:
    """(overlaps,): areas under the curves of ranked hits, (overlaps, N), made monotone, at 101 recalls."""
    if not hits.shape[1]:
        return np.zeros(len(hits))
    claimed = np.arange(1, hits.shape[1] + 1)
    return np.array([area_under(true, claimed, positives) for true in hits.cumsum(1)])


def area_under(true: NDArray[Any], claimed: NDArray[Any], positives: int) -> float:
    """Area under a precision-recall curve after COCO: precision made monotone, sampled at 101 recalls.

    Args:
        true, claimed: true predictions and predictions down to each score, falling; (N,), N > 0.
        positives: how many there should be.
    """
    envelope = np.maximum.accumulate((true / claimed)[::-1])[::-1]
    places = np.searchsorted(true / positives, _RECALL_POINTS, side="left")
    return float(np.append(envelope, 0.0)[np.minimum(places, len(envelope))].mean())
