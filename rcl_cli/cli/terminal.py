"""Where all that a command says leaves it: `say` and `console` are for people, `put` is for programs.

What people read has no control characters but rcl's own; tests/unit/test_terminal.py holds that nobody else writes.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rcl_cli.cli.escapes import shown
from rcl_cli.status import VersionStatus

if TYPE_CHECKING:
    from rich.console import Console

_WIDE = 200
STATUS_COLOURS = {
    VersionStatus.RUNNING: "green",
    VersionStatus.TRAINING_IN_PROGRESS: "cyan",
    VersionStatus.STARTING: "cyan",
}


def say(text: str, *, err: bool = False, end: str = "\n") -> None:
    """Tell people something, on stdout or stderr, at once."""
    put(shown(text) + end, err=err)


def put(text: str, *, err: bool = False) -> None:
    """Give programs something as it is, on stdout or stderr, at once: JSON, and what the aws CLI writes."""
    stream = sys.stderr if err else sys.stdout
    stream.write(text)
    stream.flush()


class Stderr:
    """What `say` tells on stderr, as the stream that logging wants."""

    def write(self, text: str) -> None:
        say(text, err=True, end="")

    def flush(self) -> None:
        """Nothing waits: `say` is at once."""


def console(*, stderr: bool = False) -> Console:
    """A console on stdout or stderr for tables and bars, as wide as the terminal, and never cut where there is none.

    `NO_COLOR` holds. Strings are words as they are, without markup.
    """
    from rcl_cli.cli.drawn import Drawn

    stream = sys.stderr if stderr else sys.stdout
    return Drawn(stderr=stderr, markup=False, emoji=False, highlight=False, width=None if stream.isatty() else _WIDE)
