"""Command lines that can't be understood."""

from __future__ import annotations

from collections.abc import Iterable

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


def meant(word: str, names: Iterable[str]) -> str:
    """What to add to a message about a word that is no name: those that are much like it."""
    from difflib import get_close_matches

    close = get_close_matches(word, list(names), n=3, cutoff=0.8)
    return "\n\nMaybe you meant:\n\n" + "\n".join(f"  * {name}" for name in close) if close else ""


class ReaderGone(Exception):
    """The reader of stdout has had enough, as `head` does."""
