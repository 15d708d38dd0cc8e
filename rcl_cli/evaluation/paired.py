"""Two models judged on the same test images: figures of each, and how sure their difference is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rcl_cli.evaluation.evidence import Judged

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLINGS = 2000
INTERVAL_PCT = (2.5, 97.5)
# Resamplings at once: their counts must fit into memory.
_AT_ONCE = 100
_FEW_IMAGES, _FEW_CHANGED = 30, 6


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


def figures_of(counts: NDArray[np.int64] | NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """F1, precision and recall, 0 where there is nothing to divide by, and how many there should be.

    Args:
        counts: (…, labels, 3).

    Returns:
        (…, labels) by name.
    """
    right, wrong, missed = counts[..., 0], counts[..., 1], counts[..., 2]

    def share(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
        quotient: NDArray[np.float64] = np.zeros(part.shape)
        np.divide(part, whole, out=quotient, where=whole > 0)
        return quotient

    return {
        "f1": share(2 * right, 2 * right + wrong + missed),
        "precision": share(right, right + wrong),
        "recall": share(right, right + missed),
        "positives": (right + missed).astype(np.float64),
    }


def mean_f1(counts: NDArray[np.int64] | NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,): F1 over the labels that occur, of (N, labels, 3)."""
    found = figures_of(counts)
    occurring = found["positives"] > 0
    mean: NDArray[np.float64] = np.where(occurring, found["f1"], 0).sum(axis=1) / np.maximum(1, occurring.sum(axis=1))
    return mean


def drawn_anew(images: int, times: int) -> Iterator[NDArray[np.float64]]:
    """How often each image is there where as many are drawn from them: (some, images), `times` rows in all."""
    rng = np.random.default_rng(0)
    for _ in range(times // _AT_ONCE):
        yield rng.multinomial(images, np.full(images, 1 / images), size=_AT_ONCE).astype(np.float64)


def is_enough(images: int, changed: int) -> bool:
    """Whether an interval over so many images, of which so many differ, means something.

    With fewer than six that differ, even all of them going one way is not unusual: 2 / 2⁵ is more than 0.05 (exact
    sign test, two sides).
    """
    return images >= _FEW_IMAGES and changed >= _FEW_CHANGED


def f1_interval(first: NDArray[np.int64], second: NDArray[np.int64]) -> tuple[float, float]:
    """95 % interval of the difference of mean F1: Efron's percentile bootstrap, paired by image.

    It says how much depends on which test images there are. Thresholds stay as they were chosen on the same images, and
    what another seed would train is not in it, so differences are a little less sure than it says.

    Args:
        first, second: (images, labels, 3) counts of each model.
    """
    images, labels, _ = first.shape
    # Products of whole numbers are exact in floats too, and have a fast implementation there.
    sides = [counts.reshape(images, -1).astype(np.float64) for counts in (first, second)]
    found = []
    for weights in drawn_anew(images, RESAMPLINGS):
        means = [mean_f1((weights @ counts).reshape(-1, labels, 3)) for counts in sides]
        found.append(means[1] - means[0])
    low, high = np.percentile(np.concatenate(found), INTERVAL_PCT)
    return float(low), float(high)
