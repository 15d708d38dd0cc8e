"""How far a training is: by its steps, or by the time that it was given."""

from __future__ import annotations

import math
import time


class Pace:
    """Where a training stands between its beginning, 0, and its end, 1; learning rates follow from that.

    Args:
        steps: planned.
        budget_s: seconds that it has; None for as long as the steps take.
        is_bounded: it has no more steps than planned, however much time is left.
    """

    def __init__(self, steps: int, budget_s: float | None, *, is_bounded: bool) -> None:
        self._steps, self._budget_s, self._is_bounded = max(1, steps), budget_s, is_bounded
        self._began = time.monotonic()

    @property
    def spent_s(self) -> float:
        return time.monotonic() - self._began

    def state(self) -> dict[str, float | None]:
        """What `go_on` needs."""
        return {"spent_s": self.spent_s, "budget_s": self._budget_s}

    def go_on(self, state: dict[str, float | None], again_s: float = 0.0) -> None:
        """Go on where a state was taken.

        Args:
            again_s: seconds that it took to get there again, which are paid from the budget too.
        """
        self._budget_s = state["budget_s"]
        self._began = time.monotonic() - (state["spent_s"] or 0.0) - again_s

    def share(self, step: int) -> float:
        """0..1, after so many steps."""
        by_steps = step / self._steps
        if self._budget_s is None:
            return min(1.0, by_steps)
        by_time = self.spent_s / max(self._budget_s, 1e-3)
        return min(1.0, max(by_time, by_steps) if self._is_bounded else by_time)

    def is_over(self, step: int, reserve_s: float = 0.0) -> bool:
        """Whether no further step fits, where `reserve_s` seconds are needed after it."""
        counts = self._budget_s is None or self._is_bounded
        if counts and step >= self._steps:
            return True
        return self._budget_s is not None and self.spent_s + reserve_s >= self._budget_s


def warm_then_cosine(share: float, warm: float = 0.1, least: float = 0.01) -> float:
    """A learning rate's factor: rises evenly over the first part of a training, then falls along half a cosine.

    Args:
        share: where the training is, 0..1.
        warm: the part in which it rises.
        least: what it ends with.
    """
    if share < warm:
        return max(least, share / warm)
    return least + (1 - least) * 0.5 * (1 + math.cos(math.pi * (share - warm) / (1 - warm)))
