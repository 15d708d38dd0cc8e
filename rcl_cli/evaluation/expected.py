"""What to expect of a model on new images.

The API's F1 takes, for each label, the threshold that is best on the test images themselves, and so promises too much:
most for labels with few of them. Here each image is judged with thresholds that were fitted without it (cross-fitting:
Stone, "Cross-Validatory Choice and Assessment of Statistical Predictions", 1974).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rcl_cli.evaluation.evidence import Judged
from rcl_cli.evaluation.metrics import threshold_of
from rcl_cli.evaluation.paired import INTERVAL_PCT, drawn_anew, mean_f1

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FOLDS, _PARTITIONS = 10, 5
_RESAMPLINGS = 1000
LEAST_IMAGES = 10
_FEW_ERRING = 6
# Standard deviations to each side that have 95 %.
_NORMAL = 1.96


class Expected(NamedTuple):
    """Mean F1 over labels to expect on images like those of the test set, and its 95 % interval; all 0..1."""

    f1: float
    low: float
    high: float


class _Events(NamedTuple):
    """Predictions of one label, best first: the image of each, its score, 1 where it is true; (N,)."""

    images: NDArray[np.int64]
    scores: NDArray[np.float64]
    hits: NDArray[np.float64]


def expected(judged: Sequence[Judged], labels: Sequence[str]) -> Expected | None:
    """Cross-fitted F1; None where there are too few images to tell.

    The interval says how much depends on which test images there are (percentile bootstrap over images, Efron 1979;
    with few errors its low end is that of the share of images without any). It does not know what another training
    would have given.
    """
    if len(judged) < LEAST_IMAGES:
        return None
    numbers = {label: number for number, label in enumerate(labels)}
    truths = np.zeros((len(judged), len(labels)), np.int64)
    for row, image in zip(truths, judged, strict=True):
        for label, _ in image.truth:
            if label in numbers:
                row[numbers[label]] += 1
    events = _by_label(judged, numbers)
    random = np.random.default_rng(0)
    counts = np.zeros((len(judged), len(labels), 3))
    for _ in range(_PARTITIONS):
        folds = random.permutation(len(judged)) % min(_FOLDS, len(judged))
        for number, one in enumerate(events):
            counts[:, number] += _counted(one, truths[:, number], folds)
    counts /= _PARTITIONS
    f1 = float(mean_f1(counts.sum(0)[None])[0])
    flat = counts.reshape(len(judged), -1)
    anew = [mean_f1((often @ flat).reshape(-1, len(labels), 3)) for often in drawn_anew(len(judged), _RESAMPLINGS)]
    low, high = map(float, np.percentile(np.concatenate(anew), INTERVAL_PCT))
    erring = int((counts[..., 1:].sum((1, 2)) > 0).sum())
    if erring < _FEW_ERRING:
        # Drawn anew from hardly any errors, they would hardly be more.
        low = min(low, _least_share(len(judged) - erring, len(judged)))
    return Expected(f1, low, high)


def _least_share(right: int, count: int) -> float:
    """The low end of the 95 % interval of a share (Wilson, "Probable Inference", 1927)."""
    share, weight = right / count, _NORMAL**2 / count
    spread = _NORMAL * math.sqrt(share * (1 - share) / count + weight / (4 * count))
    return max(0.0, (share + weight / 2 - spread) / (1 + weight))


def _by_label(judged: Sequence[Judged], numbers: dict[str, int]) -> list[_Events]:
    found: list[list[tuple[int, float, bool]]] = [[] for _ in numbers]
    for index, image in enumerate(judged):
        for match in image.matches:
            number = numbers.get(match.detection.label)
            if number is not None:
                found[number].append((index, match.detection.score, match.truth is not None))
    events = []
    for one in found:
        one.sort(key=lambda event: -event[1])
        images, scores, hits = zip(*one, strict=True) if one else ((), (), ())
        events.append(_Events(np.array(images, np.int64), np.array(scores, float), np.array(hits, float)))
    return events


def _counted(events: _Events, truths: NDArray[np.int64], folds: NDArray[np.int64]) -> NDArray[np.float64]:
    """(images, 3): right, wrong, missed; each image with the threshold of the others' folds."""
    counts = np.zeros((len(truths), 3))
    for fold in range(int(folds.max()) + 1):
        inside = folds[events.images] == fold
        threshold, *_ = threshold_of(events.scores[~inside], events.hits[~inside], int(truths[folds != fold].sum()))
        claimed = inside & (events.scores >= threshold)
        np.add.at(counts[:, 0], events.images[claimed & (events.hits > 0)], 1)
        np.add.at(counts[:, 1], events.images[claimed & (events.hits == 0)], 1)
    counts[:, 2] = truths - counts[:, 0]
    return counts
