"""Manual pages in roff, one a command, from the command tree."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rcl_cli import __version__
from tools.tree import Command, Option, commands

_SECTION = "Rekognition Custom Labels, locally"


def _roff(text: str) -> str:
    """Text that roff shows as it is: dashes of options stay ASCII, and no line is taken for a request."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    escaped = escaped.replace("…", "...").replace("~", "\\(ti").replace("^", "\\(ha")
    return re.sub(r"^([.'])", r"\\&\1", escaped, flags=re.MULTILINE)


_NOTE = '.\\" Written by `make gen` from the command tree of rcl; changes belong there.'


def _name(command: Command) -> str:
    """The page's name."""
    return f"rcl-{command.name.replace(' ', '-')}"


def _head(name: str) -> str:
    """A page's first lines; a date would make it stale every day."""
    return f'{_NOTE}\n.TH "{name.upper()}" "1" "" "rcl {__version__}" "{_SECTION}"\n.nh\n.ad l'


def _options(title: str, options: list[Option]) -> list[str]:
    if not options:
        return []
    lines = [f".SH {title}"]
    for option in options:
        metavar = f" \\fI{_roff(option.metavar)}\\fR" if option.metavar else ""
        lines += [".TP", f"\\fB{_roff(option.flag)}\\fR{metavar}", _roff(option.text or "")]
    return lines


def _words(title: str, words: Sequence[str]) -> list[str]:
    return [f".SH {title}", ", ".join(f"\\fB{_roff(word)}\\fR" for word in words)] if words else []


def _sentences(text: str) -> list[str]:
    """A sentence a line, as roff likes it."""
    return [_roff(line) for line in re.split(r"(?<=[.:]) (?=[A-Z`0-9-])", text) if line]


def page(command: Command, shared: set[Option]) -> str:
    """One command's page.

    Args:
        shared: options of every operation; they stand behind the command's own.
    """
    name = _name(command)
    own = [one for one in command.options if one not in shared and one.flag not in command.local]
    local = [one for one in command.options if one.flag in command.local]
    lines = [
        _head(name),
        ".SH NAME",
        f"{_roff(name)} \\- {_roff(command.summary[0].lower() + command.summary[1:].rstrip('.'))}",
        ".SH SYNOPSIS",
        f"\\fBrcl {_roff(command.name)}\\fR {_roff(command.usage)}",
        ".SH DESCRIPTION",
        *_sentences(command.summary),
        *_sentences(command.details),
        *_words("COMMANDS", command.words if command.is_group else ()),
        *_options("OPTIONS", own),
        *_options("LOCAL OPTIONS", local),
        *_options("GLOBAL OPTIONS", [one for one in command.options if one in shared]),
    ]
    if command.example:
        purpose, line = command.example
        lines += [".SH EXAMPLE", f"{_roff(purpose)}:", ".PP", ".nf", ".RS 4", _roff(line), ".RE", ".fi"]
    lines += [".SH SEE ALSO", "\\fBrcl\\fR(1)"]
    return "\n".join(lines) + "\n"


def overview(tree: list[Command]) -> str:
    """The page of `rcl` itself."""
    lines = [
        _head("rcl"),
        ".SH NAME",
        "rcl \\- Amazon Rekognition Custom Labels on your own machine",
        ".SH SYNOPSIS",
        "\\fBrcl\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR]",
        ".br",
        "\\fBrcl help\\fR [\\fICOMMAND\\fR]",
        ".SH DESCRIPTION",
        _roff("Every command of `aws rekognition` for Custom Labels, with the same options, output and errors."),
        _roff("Options that every operation takes may stand before the command as well as behind it."),
    ]
    for title, chosen in (
        ("COMMANDS", [one for one in tree if not one.is_local]),
        ("LOCAL COMMANDS", [one for one in tree if one.is_local]),
    ):
        lines.append(f".SH {title}")
        for command in chosen:
            lines += [".TP", f"\\fB{_roff(_name(command))}\\fR(1)", _roff(command.summary)]
    lines += [".SH EXIT STATUS"]
    for code, meaning in EXIT_CODES:
        lines += [".TP", f"\\fB{code}\\fR", _roff(meaning)]
    lines += [".SH ENVIRONMENT"]
    for name, meaning in ENVIRONMENT:
        lines += [".TP", f"\\fB{name}\\fR", _roff(meaning)]
    return "\n".join(lines) + "\n"


EXIT_CODES = (
    ("0", "Done."),
    ("130", "Ended by Ctrl-C."),
    ("252", "The command line makes no sense: a word, an option or a value is wrong, or one is missing."),
    ("253", "The surroundings can't be used: the home, its config.yaml, credentials, the pager."),
    ("254", "The service answered with an error."),
    ("255", "Everything else: a waiter gave up, no connection, a number that is none."),
)
ENVIRONMENT = (
    ("RCL_HOME", "Folder of the store; else the platform's folder for user data."),
    ("RCL_BUCKETS_DIR", "Folder whose folders are buckets, beside RCL_HOME/buckets."),
    ("RCL_OFFLINE", "1: never fetch weights."),
    ("RCL_TRAINING_OPTION", "Value of a training option, such as RCL_TRAINING_EPOCHS."),
    ("AWS_REGION, AWS_DEFAULT_REGION", "Region in new ARNs."),
    ("AWS_DEFAULT_OUTPUT", "Format of results."),
    ("AWS_PAGER, PAGER", "Pager on a terminal; empty for none."),
    ("NO_COLOR", "No colours."),
)


def pages() -> dict[str, str]:
    """File name to text."""
    tree = commands()
    shared = set.intersection(*(set(command.options) for command in tree if not command.is_local))
    found = {f"{_name(command)}.1": page(command, shared) for command in tree}
    return {"rcl.1": overview(tree), **found}
