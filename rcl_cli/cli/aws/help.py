"""What there is to say about a command: from the model and `manual`, for `--help`, manual pages and completion."""

from __future__ import annotations

import textwrap

from rcl_cli.api.model import Operation, Shape, load
from rcl_cli.api.names import camel
from rcl_cli.cli.aws.manual import DETAILS, EXAMPLES, GLOBAL_OPTIONS, option_text
from rcl_cli.cli.aws.operation import options_of

Row = tuple[str, str]
_NAMES = {
    "string": "TEXT",
    "integer": "N",
    "long": "N",
    "float": "NUMBER",
    "blob": "BASE64|fileb://FILE",
    "map": "KEY=VALUE,…",
}
PAGING = ("--max-items", "--page-size", "--starting-token")
_LOCAL: dict[str, list[Row]] = {
    "create-project-version": [("--wait", "Watch until the training ends; Ctrl-C leaves it running")],
    "wait": [
        ("--delay SECONDS", "Time between two looks"),
        ("--max-attempts N", "Looks before giving up"),
    ],
}
IMAGE_BYTES = ("--image-bytes fileb://FILE", "The image itself, PNG or JPEG of up to 4 MB")


def metavar(shape: Shape) -> str:
    """What stands for the value of an option."""
    if shape.enum:
        return "|".join(shape.enum)
    if shape.type == "structure":
        return "KEY=VALUE,…|JSON"
    if shape.type == "list":
        return f"{metavar(shape.member)} …"
    return _NAMES.get(shape.type, shape.type.upper())


def option_rows(operation: Operation) -> list[Row]:
    """(option, help) of the operation's own options, the required ones first."""
    needed, optional = [], []
    for option in options_of(operation):
        text = option_text(operation.name, option.member)
        negation = f" | --no-{option.flag[2:]}" if option.shape.type == "boolean" else f" {metavar(option.shape)}"
        if option.required:
            needed.append((option.flag + negation, f"{text} (required)"))
        else:
            optional.append((option.flag + negation, text))
        if option.member == "Image":
            optional.append(IMAGE_BYTES)
    return needed + optional


def local_rows(command: str) -> list[Row]:
    """(option, help) of what the aws CLI does not have."""
    return _LOCAL.get(command, [])


def global_rows(operation: Operation) -> list[Row]:
    """(option, help) of what every operation takes, and every listing."""
    shown = (
        (flag, metavar, text)
        for flag, (metavar, text) in GLOBAL_OPTIONS.items()
        if operation.paginator or flag not in PAGING
    )
    return [(f"{flag} {metavar}".rstrip(), text) for flag, metavar, text in shown]


def operation_of(command: str) -> Operation:
    """The operation behind a command; `wait` asks DescribeProjectVersions."""
    return load().operation("DescribeProjectVersions" if command == "wait" else camel(command))


def details(command: str, width: int, indent: str = "  ") -> str:
    """What a command does beyond its summary; words with hyphens stay whole."""
    wrapper = textwrap.TextWrapper(width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
    return wrapper.fill(DETAILS[command])


def example(command: str) -> str:
    """What an example does, and its command line."""
    purpose, line = EXAMPLES[command]
    return f"{purpose}:\n\n{textwrap.indent(line, '  ')}"
