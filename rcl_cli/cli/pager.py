"""Output through a pager, on a terminal only."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable

from rcl_cli.errors import ConfigError


def configured() -> list[str]:
    """The pager's command; empty where there is none, or the user wants none.

    Raises:
        ConfigError: a variable makes no sense.
    """
    for name in ("AWS_PAGER", "PAGER"):
        if name in os.environ:
            try:
                return shlex.split(os.environ[name])
            except ValueError as error:
                raise ConfigError(f"{name} is no command: {error}.") from error
    return ["less"]


def write(pieces: Iterable[str], *, paged: bool) -> None:
    """Write to stdout, or to the pager.

    Args:
        paged: may go through a pager if stdout is a terminal.

    Raises:
        ConfigError: the pager can't be started.
    """
    command = configured() if paged and sys.stdout.isatty() else []
    if not command:
        for piece in pieces:
            sys.stdout.write(piece)
            sys.stdout.flush()
        return
    # A failing request must show its error, not an empty pager.
    waiting = iter(pieces)
    first = next((piece for piece in waiting if piece), None)
    if first is None:
        return
    # Less leaves what fits on the screen where it is, and keeps colours.
    environment = {"LESS": "FRX", **os.environ}
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, env=environment)
    except OSError as error:
        if "AWS_PAGER" not in os.environ and "PAGER" not in os.environ:
            write((piece for part in ([first], waiting) for piece in part), paged=False)
            return
        raise ConfigError(
            f"The pager {command[0]} can't be started: {error.strerror}. Set AWS_PAGER to another, or to nothing."
        ) from error
    try:
        # Whoever leaves the pager early has seen enough.
        with contextlib.suppress(BrokenPipeError), process.stdin or sys.stdout as stdin:
            stdin.write(first)
            for piece in waiting:
                stdin.write(piece)
    finally:
        # Two must not read the same terminal, whatever ended the writing.
        while process.returncode is None:
            # Ctrl-C is the pager's.
            with contextlib.suppress(KeyboardInterrupt):
                process.wait()
