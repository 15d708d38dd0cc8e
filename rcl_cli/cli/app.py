"""One command line, from words to exit code.

Operations of the API parse their own words, by the model, and never meet click: importing it would be most of their
time. Help and local commands are click's (`tree`).
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO

from rcl_cli.api.names import camel
from rcl_cli.cli.usage import BadArguments, ReaderGone, meant
from rcl_cli.cli.aws.global_options import split_early
from rcl_cli.cli.aws.texts import SUMMARIES
from rcl_cli.cli.local.texts import LOCAL
from rcl_cli.cli.settings import Settings
from rcl_cli.cli.terminal import say
from rcl_cli.errors import UsageError

if TYPE_CHECKING:
    import argparse

Progress = Callable[[str], dict[str, Any] | None]


def _progress(settings: Settings, values: argparse.Namespace) -> Progress:
    """Where to look for a training's progress: only the local store has it."""
    if values.endpoint_url:
        return lambda _arn: None

    def look(version_arn: str) -> dict[str, Any] | None:
        from rcl_cli.local.models.watching import training_progress

        return training_progress(settings.context(values.region), version_arn)

    return look


# --- commands ---------------------------------------------------------------------------------------------------------


def split(words: list[str]) -> tuple[str, list[str]]:
    """(command, its words); global options may stand before the command, as the aws CLI lets them.

    Raises:
        BadArguments: there is no command, or one that takes none of those options.
    """
    early, rest = split_early(words)
    if not rest:
        raise BadArguments("the following arguments are required: command")
    if rest[0] == "rekognition":
        return split([*rest[1:], *early])
    if early and rest[0] in LOCAL:
        raise BadArguments(f"{early[0]} goes with the operations of the API, not with {rest[0]}")
    # Of no use to help.
    return rest[0], [*rest[1:], *([] if rest[0] == "help" else early)]


def _asks_for_help(command: str, words: list[str]) -> bool:
    return "--help" in words or words == ["help"] or (command == "wait" and words[1:] == ["help"])


def _operate(command: str, words: list[str], settings: Settings) -> None:
    """An API operation."""
    from rcl_cli.cli.aws.operation import run_operation

    try:
        response, values = run_operation(camel(command), words, settings.connect)
    except BrokenPipeError as error:
        raise ReaderGone from error
    if getattr(values, "wait", False) and response:
        from rcl_cli.cli.aws.waiters import wait_for_training

        look = _progress(settings, values)
        wait_for_training(response["ProjectVersionArn"], settings.connect(values), values, look)


def _wait(words: list[str], settings: Settings) -> None:
    """`wait WAITER`."""
    from rcl_cli.cli.aws.waiters import run_waiter, waiter_names

    names = waiter_names()
    early, rest = split_early(words)
    words = [*rest, *early]
    if not rest:
        # The aws CLI's own words, odd as they are.
        raise UsageError("usage: rcl [options] wait <subcommand> [parameters]\nrcl: [ERROR]: too few arguments")
    if words[0] not in names:
        raise BadArguments(f"argument subcommand: Found invalid choice '{words[0]}'{meant(words[0], names)}")
    try:
        run_waiter(names[words[0]], words[1:], settings.connect, partial(_progress, settings))
    except KeyboardInterrupt:
        say("\nWhat was waited for goes on; run the same command to look again.", err=True)
        raise


def _asks_for_version(words: list[str]) -> bool:
    """Whether `--version` stands anywhere, cut short or not, as the aws CLI has it before all other checks."""
    return any(len(word) > 2 and "--version".startswith(word) for word in words)


def _dispatch(argv: list[str]) -> int:
    """Run a command; returns the exit code of one that ends as it should."""
    command, words = split(argv)
    settings = Settings()
    if command in SUMMARIES and _asks_for_version(words):
        command, words = "--version", []
    if command not in SUMMARIES or _asks_for_help(command, words):
        from rcl_cli.cli import tree

        return tree.main([command, *(["--help"] if command in LOCAL and words == ["help"] else words)], settings)
    if command == "wait":
        _wait(words, settings)
    else:
        _operate(command, words, settings)
    return 0


def _nowhere() -> TextIO:
    return os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")


def _usable_streams() -> None:
    """Streams that the caller closed swallow what is written; characters that a terminal lacks are escaped."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, _nowhere())
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def run(argv: list[str]) -> int:
    """Run one command line; returns the exit code."""
    _usable_streams()
    try:
        code = _dispatch(argv)
        sys.stdout.flush()
        return code
    except ReaderGone:
        _drop_stdout()
    except KeyboardInterrupt:
        say("")
        return 130
    except Exception as error:  # noqa: BLE001 - one line, whatever it is; RCL_DEBUG has the rest
        from rcl_cli.cli import failures
        from rcl_cli.config import is_true

        if isinstance(error, OSError):
            _drop_stdout()
        if "--debug" in argv or is_true(os.environ.get("RCL_DEBUG")):
            import traceback

            say(traceback.format_exc(), err=True, end="")
        return failures.write(failures.failure_of(error, _operation_name(argv)), error, argv)
    return 0


def _drop_stdout() -> None:
    """Whatever is still to be written has nowhere to go."""
    sys.stdout = _nowhere()


def _operation_name(argv: list[str]) -> str:
    """The operation that a command line calls, empty for none."""
    names = [word for word in argv if word in SUMMARIES or word in LOCAL]
    if not names or names[0] in LOCAL:
        return ""
    return "DescribeProjectVersions" if names[0] == "wait" else camel(names[0])
