"""Command lines that can't be understood."""

from __future__ import annotations

from rcl_cli.errors import UsageError

USAGE = """usage: rcl [options] <command> [parameters]
To see help text, you can run:

  rcl --help
  rcl <command> --help
"""


class BadArguments(UsageError):
    """Words that the options do not allow; usage is shown with the message."""


class UnknownOptions(UsageError):
    """Words that are no options; usage is shown before the message."""


class ReaderGone(Exception):
    """The reader of stdout has had enough, as `head` does."""
