"""Output through a pager, on a terminal only."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from typing import IO, cast

from rcl_cli import profiles
from rcl_cli.cli.terminal import put
from rcl_cli.errors import ConfigError


def configured(profile: str | None) -> list[str]:
    """The pager's command; empty where there is none, or the user wants none.

    Raises:
        ConfigError: a variable makes no sense.
    """
    import shlex
    import shutil

    chosen = os.environ.get("AWS_PAGER", profiles.setting("cli_pager", profile=profile))
    chosen = os.environ.get("PAGER") if chosen is None else chosen
    try:
        command = shlex.split("less" if chosen is None else chosen)
    except ValueError as error:
        raise ConfigError(f"The pager {chosen} is no command: {error}.") from error
    if command and shutil.which(command[0]) is None:
        if chosen is None:
            return []
        raise ConfigError(f"There is no pager {command[0]}. Set AWS_PAGER to another, or to nothing.")
    return command


def write(pieces: Iterable[str], *, paged: bool, profile: str | None = None) -> None:
    """Write to stdout, or to the pager.

    Args:
        paged: may go through a pager if stdout is a terminal.
        profile: of the aws CLI, which may name a pager.

    Raises:
        ConfigError: there is no such pager; nothing was asked of the service.
    """
    command = configured(profile) if paged and sys.stdout.isatty() else []
    if not command:
        for piece in pieces:
            put(piece)
        return
    import subprocess

    # A failing request must show its error, not an empty pager.
    waiting = iter(pieces)
    first = next((piece for piece in waiting if piece), None)
    if first is None:
        return
    # Less leaves what fits on the screen where it is, and keeps colours.
    environment = {"LESS": "FRX", **os.environ}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, env=environment)
    try:
        # Whoever leaves the pager early has seen enough.
        with contextlib.suppress(BrokenPipeError), cast("IO[str]", process.stdin) as stdin:
            stdin.write(first)
            for piece in waiting:
                stdin.write(piece)
    finally:
        # Two must not read the same terminal, whatever ended the writing.
        while process.returncode is None:
            # Ctrl-C is the pager's.
            with contextlib.suppress(KeyboardInterrupt):
                process.wait()
