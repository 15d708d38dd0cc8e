"""`--generate-cli-skeleton`: a request to fill in, or an answer to look at, without any request made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rcl_cli.api.model import Operation, Shape

KINDS = ("input", "output", "yaml-input")
_SCALARS: dict[str, Any] = {
    "integer": 0,
    "long": 0,
    "float": 0.0,
    "double": 0.0,
    "boolean": True,
}
_YAML_SCALARS = {"string": "''", "blob": "!!binary ''", "boolean": "true"}


def skeleton(shape: Shape, name: str | None = None) -> Any:
    """A value of a shape with every member.

    Args:
        name: what strings say; None for empty ones and the first of an enum.
    """
    if shape.type == "structure":
        members = shape.members
        return {key: skeleton(members[key], key if name is not None else None) for key in members}
    if shape.type == "list":
        return [skeleton(shape.member, shape.member.name if name is not None else None)]
    if shape.type == "map":
        return {"KeyName": skeleton(shape.value, "" if name is not None else None)}
    if shape.type == "string":
        return name if name is not None else next(iter(shape.enum or [""]))
    if shape.type == "timestamp":
        # One object each: YAML would show the same one twice as an alias. The aws CLI shows it without a zone.
        return datetime(1970, 1, 1)  # noqa: DTZ001
    return _SCALARS.get(shape.type)


def input_json(operation: Operation) -> str:
    return json.dumps(skeleton(operation.input), indent=4) + "\n"


def output_example(operation: Operation) -> dict[str, Any]:
    """An answer whose strings are the names of their members."""
    example: dict[str, Any] = skeleton(operation.output, "")
    return example


def input_yaml(operation: Operation) -> str:
    """The request as YAML, with a comment at every member."""
    from rcl_cli.cli.aws.manual import option_text

    lines = []
    for name, shape in operation.input.members.items():
        needed = ["[REQUIRED]"] if name in operation.input.required else []
        valid = [f"Valid values are: {', '.join(shape.enum)}."] if shape.enum else []
        first, *rest = _member_lines(name, shape, "")
        lines += [f"{first}  # {' '.join([*needed, option_text(operation.name, name), *valid])}", *rest]
    return "".join(line + "\n" for line in lines)


def _member_lines(name: str, shape: Shape, indent: str) -> Iterator[str]:
    if shape.type in ("structure", "list", "map"):
        yield f"{indent}{name}:"
        # The dash of a list stands below its name's first letter.
        yield from _inner_lines(shape, indent if shape.type == "list" else indent + "  ")
    else:
        yield f"{indent}{name}: {_yaml_scalar(shape)}"


def _inner_lines(shape: Shape, indent: str) -> Iterator[str]:
    """What is inside a structure, a map or a list."""
    if shape.type == "structure":
        for name, member in shape.members.items():
            yield from _member_lines(name, member, indent)
    elif shape.type == "map":
        yield from _member_lines("KeyName", shape.value, indent)
    elif shape.member.type == "structure":
        first, *rest = _inner_lines(shape.member, indent + "  ")
        yield f"{indent}- {first.lstrip()}"
        yield from rest
    else:
        yield f"{indent}- {_yaml_scalar(shape.member)}"


def _yaml_scalar(shape: Shape) -> str:
    return shape.enum[0] if shape.enum else _YAML_SCALARS.get(shape.type) or str(_SCALARS.get(shape.type))
