"""What people see: tables and words by rich, as wide as the terminal, and never cut where there is none."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rcl_cli.status import VersionStatus

if TYPE_CHECKING:
    from rich.console import Console

_WIDE = 200
STATUS_COLOURS = {
    VersionStatus.RUNNING: "green",
    VersionStatus.TRAINING_IN_PROGRESS: "cyan",
    VersionStatus.STARTING: "cyan",
}


def console(*, stderr: bool = False) -> Console:
    """A console on stdout or stderr; `NO_COLOR` holds, and nothing is highlighted by itself."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, width=None if stream.isatty() else _WIDE)
