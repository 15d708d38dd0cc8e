"""Two models judged on the same test images: figures of each, and how sure their difference is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rcl_cli.training.evidence import Judged

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLINGS = 2000
_INTERVAL_PCT = (2.5, 97.5)
# Resamplings at once: their counts must fit into memory.
_AT_ONCE = 100


def counts_of(judged: Sequence[Judged], labels: Sequence[str], thresholds: Mapping[str, float]) -> NDArray[np.int64]:
    """What was right, what was wrong, what was missed: (images, labels, 3).

    Args:
        thresholds: of all labels, 0..1.
    """
    index = {label: number for number, label in enumerate(labels)}
    counts = np.zeros((len(judged), len(labels), 3), dtype=np.int64)
    for row, image in zip(counts, judged, strict=True):
        for label, _ in image.truth:
            if label in index:
                row[index[label], 2] += 1
        for match in image.matches:
            label = match.detection.label
            if label not in index or match.detection.score < thresholds[label]:
                continue
            if match.truth is None:
                row[index[label], 1] += 1
            else:
                row[index[label], 0] += 1
                row[index[label], 2] -= 1
    return counts


def figures_of(counts: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """F1, precision and recall, 0 where there is nothing to divide by, and how many there should be.

    Args:
        counts: (…, labels, 3).

    Returns:
        (…, labels) by name.
    """
    right, wrong, missed = counts[..., 0], counts[..., 1], counts[..., 2]

    def share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)

    return {
        "f1": share(2 * right, 2 * right + wrong + missed),
        "precision": share(right, right + wrong),
        "recall": share(right, right + missed),
        "positives": (right + missed).astype(np.float64),
    }


def f1_interval(first: NDArray[np.int64], second: NDArray[np.int64]) -> tuple[float, float]:
    """95 % interval of the difference of mean F1: Efron's percentile bootstrap, paired by image.

    Args:
        first, second: (images, labels, 3) counts of each model.
    """
    images, labels, _ = first.shape
    rng = np.random.default_rng(0)
    found = []
    for _ in range(RESAMPLINGS // _AT_ONCE):
        weights = rng.multinomial(images, np.full(images, 1 / images), size=_AT_ONCE)
        means = []
        for counts in (first, second):
            drawn = figures_of((weights @ counts.reshape(images, -1)).reshape(_AT_ONCE, labels, 3))
            occurring = drawn["positives"] > 0
            means.append(np.where(occurring, drawn["f1"], 0).sum(axis=1) / np.maximum(1, occurring.sum(axis=1)))
        found.append(means[1] - means[0])
    low, high = np.percentile(np.concatenate(found), _INTERVAL_PCT)
    return float(low), float(high)
