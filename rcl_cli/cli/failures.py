"""What ends a command badly: its exit code and its words, as the aws CLI version 2 has them."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any, NamedTuple

from rcl_cli import profiles
from rcl_cli.cli.aws.global_options import ERROR_FORMATS, value_of
from rcl_cli.cli.aws.output import Single, Style, formatted
from rcl_cli.cli.terminal import put, say
from rcl_cli.cli.usage import USAGE, BadArguments, UnknownOptions
from rcl_cli.config import home_folder
from rcl_cli.errors import ConfigError, RclError, RemoteError, ServiceError, UsageError
from rcl_cli.store.trouble import meaning


class Failure(NamedTuple):
    """A way to end.

    Args:
        exit_code: of the process.
        sentence: what a person reads.
        details: Code and Message for the structured formats; None where there is only the sentence.
    """

    exit_code: int
    sentence: str
    details: dict[str, Any] | None = None


def _categorized(exit_code: int, category: str, message: str) -> Failure:
    sentence = f"An error occurred ({category}): {message}"
    return Failure(exit_code, sentence, {"Code": category, "Message": message})


def _of_service(error: ServiceError, operation: str) -> Failure:
    tried = isinstance(error, RemoteError) and error.retries is not None
    retries = f" (reached max retries: {error.retries})" if tried and isinstance(error, RemoteError) else ""
    calling = f" when calling the {operation} operation{retries}" if operation else ""
    sentence = f"An error occurred ({error.code}){calling}: {error.message}"
    return Failure(254, sentence, {"Message": error.message, "Code": error.code})


def failure_of(error: Exception, operation: str) -> Failure:
    """What an error means for the caller of the process.

    Args:
        operation: that was called, CamelCase; empty for local commands.
    """
    if isinstance(error, UnknownOptions):
        return Failure(252, str(error))
    if isinstance(error, BadArguments):
        return _categorized(252, "ParamValidation", f"{error}\n\n{USAGE}")
    if isinstance(error, UsageError):
        return _categorized(252, "ParamValidation", str(error))
    if isinstance(error, ServiceError):
        return _of_service(error, operation)
    if isinstance(error, ConfigError):
        return _categorized(253, error.category, str(error))
    if isinstance(error, RclError):
        return Failure(255, str(error))
    if isinstance(error, OSError):
        return Failure(255, f"{error.filename or 'output'}: {error.strerror or error}")
    if isinstance(error, sqlite3.Error):
        return Failure(255, f"{meaning(error, _home())}.")
    return Failure(255, f"Internal error ({type(error).__name__}: {error}); RCL_DEBUG=1 shows where.")


def _home() -> Path:
    try:
        return home_folder(os.environ)
    except ConfigError:
        return Path()


def write(failure: Failure, error: Exception, argv: list[str]) -> int:
    """Tell stderr; returns the exit code."""
    chosen = (
        value_of(argv, "--cli-error-format")
        or os.environ.get("AWS_CLI_ERROR_FORMAT")
        or profiles.setting("cli_error_format", profile=value_of(argv, "--profile"))
    )
    kind = chosen if chosen in ERROR_FORMATS else "enhanced"
    with contextlib.suppress(OSError):
        if isinstance(error, UnknownOptions) or failure.details is None or kind in ("enhanced", "legacy"):
            say(_sentence(failure, error, kind), err=True)
        else:
            put("".join(formatted("error", Single(failure.details), Style(kind))), err=True)
    return failure.exit_code


def _sentence(failure: Failure, error: Exception, kind: str) -> str:
    """What a person reads."""
    usage = f"\n{USAGE}\n" if isinstance(error, UnknownOptions) else ""
    plain = failure.sentence
    if kind == "legacy" and failure.details and not isinstance(error, ServiceError):
        plain = failure.details["Message"]
    return f"{usage}\nrcl: [ERROR]: {plain.rstrip(chr(10))}"
