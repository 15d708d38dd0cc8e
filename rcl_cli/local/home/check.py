"""What was looked at, and how it is."""

from __future__ import annotations

from typing import Literal, NamedTuple

State = Literal["ok", "warning", "fault"]


class Check(NamedTuple):
    """One thing that was looked at.

    Args:
        fix: what to do; empty where all is well.
    """

    name: str
    state: State
    detail: str
    fix: str = ""
