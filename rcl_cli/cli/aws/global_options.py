"""Options that every operation takes, as the aws CLI has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import argparse

FORMATS = ("json", "yaml", "yaml-stream", "text", "table", "off")
ERROR_FORMATS = ("legacy", "json", "yaml", "text", "table", "enhanced")


class GlobalOption(NamedTuple):
    """One of them.

    Args:
        takes: whether a value follows; otherwise it is a flag.
        choices: the values there are, empty where any will do.
    """

    flag: str
    takes: bool = True
    choices: tuple[str, ...] = ()


GLOBAL_OPTIONS = (
    GlobalOption("--output", choices=FORMATS),
    GlobalOption("--query"),
    GlobalOption("--region"),
    GlobalOption("--profile"),
    GlobalOption("--endpoint-url"),
    GlobalOption("--no-sign-request", takes=False),
    GlobalOption("--no-verify-ssl", takes=False),
    GlobalOption("--ca-bundle"),
    GlobalOption("--cli-read-timeout"),
    GlobalOption("--cli-connect-timeout"),
    GlobalOption("--cli-binary-format", choices=("base64", "raw-in-base64-out")),
    GlobalOption("--color", choices=("on", "off", "auto")),
    GlobalOption("--no-cli-pager", takes=False),
    GlobalOption("--cli-error-format", choices=ERROR_FORMATS),
    GlobalOption("--debug", takes=False),
    GlobalOption("--cli-auto-prompt", takes=False),
    GlobalOption("--no-cli-auto-prompt", takes=False),
    GlobalOption("--no-paginate", takes=False),
)


def one_of(choices: Sequence[str]) -> Callable[[str], str]:
    """The type of an option that takes one of a few words."""

    def check(word: str) -> str:
        import argparse

        if word not in choices:
            raise argparse.ArgumentTypeError(f"Found invalid choice '{word}'; the choices are {', '.join(choices)}")
        return word

    return check


def add_to(parser: argparse.ArgumentParser) -> None:
    for option in GLOBAL_OPTIONS:
        if option.takes:
            parser.add_argument(option.flag, type=one_of(option.choices) if option.choices else str)
        else:
            parser.add_argument(option.flag, action="store_true")


def split_early(words: list[str]) -> tuple[list[str], list[str]]:
    """(global options before the command, the rest); the aws CLI takes them there as well as behind it."""
    by_flag = {option.flag: option for option in GLOBAL_OPTIONS}
    at = 0
    while at < len(words):
        flag, equals, _ = words[at].partition("=")
        option = by_flag.get(flag)
        if option is None:
            break
        at += 2 if option.takes and not equals else 1
    return words[:at], words[at:]


def value_of(words: Iterable[str], flag: str) -> str | None:
    """A global option's value among words that nobody has parsed yet; the last one wins."""
    found, before = None, ""
    for word in words:
        if before == flag:
            found = word
        elif word.startswith(f"{flag}="):
            found = word.partition("=")[2]
        before = word
    return found
