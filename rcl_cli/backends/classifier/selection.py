"""Metrics for choosing checkpoints on the holdout part; the published figures come from `training.metrics`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rcl_cli.domain import Detection


def tables_of(
    labels: Sequence[str], found: Sequence[Sequence[Detection]], truth: Sequence[Collection[str]]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scores and truth, 0 or 1, of images by labels: both (N, classes).

    Args:
        found, truth: of each image.
    """
    places = {label: place for place, label in enumerate(labels)}
    scores = np.zeros((len(found), len(labels)), np.float32)
    for row, image in zip(scores, found, strict=True):
        for one in image:
            row[places[one.label]] = one.score
    return scores, np.array([[label in one for label in labels] for one in truth], np.float32)


def average_precision(scores: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """Area under the precision-recall steps of one label: sum of (R_n - R_n-1) P_n. Ties count as one step."""
    positives = truth.sum()
    if positives == 0:
        return 0.0
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(truth[order])
    last_of_tie = np.append(ranked[1:] != ranked[:-1], True)
    precision = (hits / np.arange(1, len(hits) + 1))[last_of_tie]
    recall = (hits / positives)[last_of_tie]
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def mean_average_precision(scores: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """Mean over the labels that occur; shapes (N, classes)."""
    present = [c for c in range(truth.shape[1]) if truth[:, c].any()]
    return float(np.mean([average_precision(scores[:, c], truth[:, c]) for c in present])) if present else 0.0


def argmax_f1(scores: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """Macro F1 of the highest score per image, over the labels that occur; shapes (N, classes)."""
    chosen = np.eye(truth.shape[1])[scores.argmax(1)]
    both, either = (chosen * truth).sum(0), chosen.sum(0) + truth.sum(0)
    present = truth.any(0)
    return float(np.mean(2 * both[present] / either[present])) if present.any() else 0.0
