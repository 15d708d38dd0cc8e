"""How many workers a host needs: one more where all are busy for a while, one less where it would not be missed."""

from __future__ import annotations

from collections.abc import Sequence

# A worker with this many requests has batches to fill; the next one would only wait.
_FULL = 6
_GROW_AFTER_S, _SHRINK_AFTER_S = 1.0, 30.0


class Scaling:
    """Decides about the number of workers.

    Args:
        least, most: how many there may be.
        now: seconds, as in `decide`.
    """

    def __init__(self, least: int, most: int, now: float) -> None:
        self._least, self._most = least, most
        self._full_since = self._idle_since = now

    def decide(self, loads: Sequence[int | None], now: float) -> int:
        """1 for one worker more, -1 for one less, 0 to leave them.

        Args:
            loads: requests that each worker has; None for one that is not ready.
            now: monotonic seconds.
        """
        load = sum(one or 0 for one in loads)
        if not all(one is not None and one >= _FULL for one in loads):
            self._full_since = now
        if load > _FULL * (len(loads) - 1) // 2:
            self._idle_since = now
        if len(loads) < self._most and now - self._full_since >= _GROW_AFTER_S:
            # The new one must have time to take its share.
            self._full_since = now
            return 1
        if len(loads) > self._least and now - self._idle_since >= _SHRINK_AFTER_S:
            self._idle_since = now
            return -1
        return 0
