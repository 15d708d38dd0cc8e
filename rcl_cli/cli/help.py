"""Option tables of operations, from the model."""

from __future__ import annotations

from rcl_cli.api.model import Operation, Shape
from rcl_cli.cli.operation import options_of

_NAMES = {
    "string": "TEXT",
    "integer": "N",
    "long": "N",
    "float": "NUMBER",
    "blob": "BASE64|fileb://FILE",
    "map": "KEY=VALUE,…",
}


def _metavar(shape: Shape) -> str:
    if shape.enum:
        return "|".join(shape.enum)
    if shape.type == "structure":
        return "KEY=VALUE,…|JSON"
    if shape.type == "list":
        return f"{_metavar(shape.member)} …"
    return _NAMES.get(shape.type, shape.type.upper())


def option_rows(operation: Operation) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(local rows, rows of the API) as (option, note)."""
    rows = []
    for option in options_of(operation):
        note = "required" if option.required else ""
        if option.shape.type == "boolean":
            rows.append((f"{option.flag} | --no-{option.flag[2:]}", note))
        else:
            rows.append((f"{option.flag} {_metavar(option.shape)}", note))
    if "Image" in operation.input.members:
        rows.append(("--image-bytes fileb://FILE", "the image itself, up to 4 MB"))
    if operation.paginator:
        rows += [("--max-items N", "print at most so many"), ("--page-size N", "rows a request"), ("--no-paginate", "")]
    rows += [
        ("--cli-input-json JSON|file://FILE", "the whole request; options win over it"),
        ("--output json|text|yaml|off", ""),
        ("--query JMESPATH", "print a part; works on the whole result, in every format"),
        ("--region NAME", "shapes ARNs only"),
    ]
    local = []
    if operation.name == "CreateProjectVersion":
        local.append(("--wait", "watch until the training ends; Ctrl-C leaves it running"))
    return local, rows
