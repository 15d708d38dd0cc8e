"""Whether what several writers were told about one entry can have happened: in one order, with nothing lost.

A command or an SDK puts a line in the place of whatever is there, as the API does. A page changes only the line that it
has shown, and keeps all of it that people do not label.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Event(NamedTuple):
    """What somebody was told.

    Args:
        begin: seconds; it happened after this, and before `end`.
        needs: mark of the line that a page had shown; None where anything is replaced.
        result: mark of the line as it is then.
        is_told: the page was told that somebody else had changed it, to `result`; nothing was changed.
        is_sure: it was done; otherwise it may have been.
    """

    who: str
    begin: float
    end: float
    needs: str | None
    result: str
    is_told: bool = False
    is_sure: bool = True

    def after(self, mark: str) -> str | None:
        """The mark of the line after this, where it was another one before; None if it can't have happened then."""
        if self.is_told:
            return mark if mark == self.result != self.needs else None
        if self.needs is None or mark == self.needs:
            return self.result
        # What was wanted was there already.
        return mark if mark == self.result else None


def is_possible(events: Sequence[Event], first: str, last: str, slack_s: float = 0.02) -> bool:
    """Whether there is an order, true to the clock, from the first line to the last.

    Args:
        slack_s: by how much clocks may differ.
    """
    every = sorted(events, key=lambda one: one.begin)
    start = (0, first)
    seen, waiting = {start}, [start]
    while waiting:
        done, mark = waiting.pop()
        left = [number for number in range(len(every)) if not done >> number & 1]
        if mark == last and not any(every[number].is_sure for number in left):
            return True
        soonest = min((every[number].end for number in left if every[number].is_sure), default=float("inf"))
        for number in left:
            one = every[number]
            if one.begin > soonest + slack_s:
                break
            after = one.after(mark)
            step = (done | 1 << number, after or "")
            if after is not None and step not in seen:
                seen.add(step)
                waiting.append(step)
    return False
