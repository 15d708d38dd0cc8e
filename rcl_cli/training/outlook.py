"""Whether a training was still improving when it ended, and what more of it would likely bring."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

# Fewer tell nothing.
_LEAST_EPOCHS = 6
# How many standard errors make a rise more than chance, and what is worth a word.
_SURE, _LEAST_GAIN = 2.0, 0.02
# Of the rise from half of the epochs to all, what twice as many brought where it was tried: from an eighth, where the
# learning rate's fall had been most of it, to all (bench/RESULTS.md).
_AT_LEAST = 1 / 8
_METRICS = {"metrics/mAP50-95": "AP50:95", "mAP": "mAP", "F1": "F1"}


class Outlook(NamedTuple):
    """What twice the epochs would likely add to a figure on held-out images, from `low` to `high`."""

    metric: str
    low: float
    high: float

    def sentence(self) -> str:
        """For people."""
        return (
            f"It was still improving when it ended: twice the epochs, or the time, would likely add {self.low:.2f} to "
            f"{self.high:.2f} to its {self.metric} on held-out images."
        )


def outlook(history: Sequence[Mapping[str, Any]]) -> Outlook | None:
    """What the second half of a training's epochs lets expect; None where it rose by no more than chance.

    The rise of a figure per doubling of the epochs, by least squares over the second half.

    Args:
        history: of a model card.
    """
    epochs = [one for one in history if "epoch" in one]
    key = next((key for key in _METRICS if epochs and key in epochs[-1]), None)
    if key is None or len(epochs) < _LEAST_EPOCHS:
        return None
    start = len(epochs) // 2
    figures = [float(one[key]) for one in epochs[start:]]
    doublings = [math.log2(number + 1) for number in range(start, len(epochs))]
    rise, error = _slope(doublings, figures)
    rise = min(rise, 1 - figures[-1])
    if rise < _LEAST_GAIN or rise < _SURE * error:
        return None
    return Outlook(_METRICS[key], _AT_LEAST * rise, rise)


def _slope(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Of the line of least squares, and its standard error."""
    count, mean_x, mean_y = len(x), sum(x) / len(x), sum(y) / len(y)
    spread = sum((one - mean_x) ** 2 for one in x)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread
    rest = sum((b - mean_y - slope * (a - mean_x)) ** 2 for a, b in zip(x, y, strict=True))
    return slope, math.sqrt(rest / max(1, count - 2) / spread)
