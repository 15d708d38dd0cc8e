"""The command tree as data, for completions and manual pages."""

from __future__ import annotations

from dataclasses import dataclass, field

import click

from rcl_cli.api.model import Operation, Shape
from rcl_cli.cli.aws import help as texts
from rcl_cli.cli.aws.global_options import GLOBAL_OPTIONS
from rcl_cli.cli.aws.manual import DETAILS, EXAMPLES
from rcl_cli.cli.aws.operation import options_of
from rcl_cli.cli.aws.texts import SUMMARIES
from rcl_cli.cli.aws.waiters import waiter_names
from rcl_cli.cli.local.texts import LOCAL
from rcl_cli.cli.tree import cli


@dataclass(frozen=True)
class Option:
    """An option and what may follow it.

    Args:
        flag: `--name`.
        text: its help.
        takes: `none`, `one` or `many` words.
        choices: the words there are, empty where `rcl complete` is asked, or the shell for files.
        files: whether the value is a path.
    """

    flag: str
    text: str
    takes: str = "one"
    choices: tuple[str, ...] = ()
    files: bool = False
    metavar: str = ""


@dataclass(frozen=True)
class Command:
    """A command with its options and what it takes besides: the choices of its first word, or paths.

    Args:
        name: of a command in a group both words.
        asked: what `rcl complete` is asked for as the command's words.
    """

    name: str
    summary: str
    options: tuple[Option, ...]
    words: tuple[str, ...] = ()
    files: bool = False
    details: str = ""
    example: tuple[str, str] | None = None
    is_local: bool = False
    usage: str = "[OPTIONS]"
    local: tuple[str, ...] = field(default=())
    asked: str = ""
    is_group: bool = False


def _of_shape(flag: str, text: str, shape: Shape) -> Option:
    inner = shape.member if shape.type == "list" else shape
    takes = "many" if shape.type == "list" else "one"
    return Option(flag, text, takes, tuple(inner.enum or ()), metavar=texts.metavar(shape))


def _api_options(operation: Operation) -> list[Option]:
    helps = {row[0].split()[0]: row[1] for row in texts.option_rows(operation)}
    found = []
    for option in options_of(operation):
        if option.shape.type == "boolean":
            found += [Option(flag, helps[option.flag], "none") for flag in (option.flag, f"--no-{option.flag[2:]}")]
        else:
            found.append(_of_shape(option.flag, helps[option.flag], option.shape))
    if "Image" in operation.input.members:
        flag, metavar = texts.IMAGE_BYTES[0].split()
        found.append(Option(flag, texts.IMAGE_BYTES[1], metavar=metavar))
    return found


def _from_rows(rows: list[texts.Row]) -> list[Option]:
    """Options as help lists them: `--name METAVAR`, or `--name` alone."""
    choices = {option.flag: option.choices for option in GLOBAL_OPTIONS}
    found = []
    for head, text in rows:
        flag, _, metavar = head.partition(" ")
        words = choices.get(flag, ()) or (tuple(metavar.split("|")) if flag == "--generate-cli-skeleton" else ())
        takes = "one" if metavar else "none"
        found.append(Option(flag, text, takes, words, flag == "--ca-bundle", metavar))
    return found


def _operation(name: str) -> Command:
    operation = texts.operation_of(name)
    local = _from_rows(texts.local_rows(name))
    options = [*_api_options(operation), *local, *_from_rows(texts.global_rows(operation))]
    return Command(
        name,
        SUMMARIES[name],
        tuple(options),
        tuple(waiter_names()) if name == "wait" else (),
        details=DETAILS[name],
        example=EXAMPLES[name],
        usage="WAITER [OPTIONS]" if name == "wait" else "[OPTIONS]",
        local=tuple(option.flag for option in local),
    )


def _click_option(parameter: click.Option) -> Option:
    takes = "none" if parameter.is_flag else "one"
    is_choice = isinstance(parameter.type, click.Choice)
    choices = tuple(map(str, parameter.type.choices)) if isinstance(parameter.type, click.Choice) else ()
    is_file = isinstance(parameter.type, click.Path) or parameter.metavar == "FILE"
    metavar = (
        ""
        if parameter.is_flag
        else "|".join(choices)
        if is_choice
        else parameter.metavar or parameter.type.name.upper()
    )
    return Option(parameter.opts[-1], parameter.help or "", takes, choices, is_file, metavar)


# What completes the words of local commands.
_ASKED = {
    "compare": "version",
    "logs": "version",
    "thresholds": "version",
    "push": "source",
    "report": "version",
    "versions": "project",
    "export": "version",
    "detect": "image",
    "feedback add": "queue",
    "feedback status": "project",
    "config explain": "setting",
    "config set": "setting",
    "config unset": "setting",
    "dataset export": "source",
    "dataset check": "source",
    "dataset show": "source",
}


def _local(name: str) -> list[Command]:
    """A local command; of a group, all of them behind it."""
    command = cli.get_command(click.Context(cli), name)
    if command is None:
        raise LookupError(name)
    if not isinstance(command, click.Group):
        return [_described(name, LOCAL[name], command)]
    inner = [
        _described(f"{name} {one}", found.get_short_help_str(200), found) for one, found in command.commands.items()
    ]
    words = tuple(command.commands)
    group = Command(name, LOCAL[name], (), words, is_local=True, usage="COMMAND [OPTIONS]", is_group=True)
    return [group, *inner]


def _described(name: str, summary: str, command: click.Command) -> Command:
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    options = [_click_option(one) for one in command.params if isinstance(one, click.Option)]
    words = next((tuple(map(str, one.type.choices)) for one in arguments if isinstance(one.type, click.Choice)), ())
    body, _, example = (command.help or "").partition("Example: ")
    return Command(
        name,
        summary,
        tuple(options),
        words,
        any(isinstance(one.type, click.Path) for one in arguments),
        details=" ".join(body.split()).removeprefix(summary).strip(),
        example=("For example", example.strip()) if example else None,
        is_local=True,
        asked=_ASKED.get(name, ""),
        usage=" ".join([*(str(one.name).upper() for one in arguments), "[OPTIONS]"]),
    )


def commands() -> list[Command]:
    """Every command, those of the API first."""
    return [*map(_operation, SUMMARIES), *(command for name in LOCAL for command in _local(name))]
