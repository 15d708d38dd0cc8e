"""Requests held against the model: once as an AWS client does it, once as the service does it.

Clients check types, required and unknown members and minimum sizes only; patterns, maxima and enums are the service's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Any

from rcl_cli.api.model import Operation, Shape
from rcl_cli.api.names import lower_camel
from rcl_cli.errors import SerializationError, ValidationError

_SEPARATORS = "\\u0020\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
# A message that quoted everything would be a multiple of the request.
_MAX_REPORTS = 100
_MAX_SHOWN_CHARS = 10_000
_INTEGER_LIMITS = {"integer": 2**31 - 1, "long": 2**63 - 1}
_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "blob": (bytes, bytearray),
    "timestamp": (int, float, str, datetime),
    "list": (list, tuple),
    "map": (dict,),
    "structure": (dict,),
}


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    r"""A model pattern as Python's `re` reads it; it always has to match the whole value.

    `re` has no `\p{..}`. The two tag patterns are the only users, and always name letters, numbers and `_` together,
    which is what `\w` means. `.*\S.*` would take time by the square of the length, and hold up all threads meanwhile.
    """
    if pattern == r".*\S.*":
        return re.compile(r"[^\S\n]*\S.*")
    return re.compile(pattern.replace(r"\p{L}", r"\w").replace(r"\p{N}", "").replace(r"\p{Z}", _SEPARATORS))


def _fits_type(shape: Shape, value: Any) -> bool:
    if isinstance(value, bool):
        return shape.type == "boolean"
    return isinstance(value, _PYTHON_TYPES[shape.type])


def _size(shape: Shape, value: Any) -> float:
    return value if shape.type in {"integer", "long", "float", "double"} else len(value)


def _children(shape: Shape, value: Any) -> Iterator[tuple[str, Shape, Any]]:
    """(path part, shape, value) of everything directly inside a container."""
    if shape.type == "structure":
        members = shape.members
        for name, member in value.items():
            if name in members:
                yield name, members[name], member
    elif shape.type == "list":
        for number, item in enumerate(value):
            yield f"[{number}]", shape.member, item
    elif shape.type == "map":
        for key, item in value.items():
            yield f" (key: {key})", shape.key, key
            yield str(key), shape.value, item


# --- as a client ------------------------------------------------------------------------------------------------------


def _type_names(shape: Shape) -> str:
    names = {
        "blob": "<class 'bytes'>, <class 'bytearray'>, file-like object",
        "list": "<class 'list'>, <class 'tuple'>",
    }
    plain = {"string": "str", "integer": "int", "long": "int", "boolean": "bool", "map": "dict", "structure": "dict"}
    if shape.type in {"float", "double"}:
        return "<class 'float'>, <class 'decimal.Decimal'>, <class 'int'>"
    return names.get(shape.type) or f"<class '{plain.get(shape.type, shape.type)}'>"


def _client_reports(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if not _fits_type(shape, value):
        yield (
            f"Invalid type for parameter {path}, value: {value}, type: {type(value)}, valid types: {_type_names(shape)}"
        )
        return
    if shape.type == "structure":
        where = path or "input"
        for name in shape.required:
            if name not in value:
                yield f'Missing required parameter in {where}: "{name}"'
        for name in value:
            if name not in shape.members:
                yield f'Unknown parameter in {where}: "{name}", must be one of: {", ".join(shape.members)}'
    if shape.min is not None and shape.type not in {"structure", "blob"} and _size(shape, value) < shape.min:
        numeric = shape.type in {"integer", "long", "float", "double"}
        word = "value" if numeric else "length"
        shown = value if numeric else len(value)
        yield f"Invalid {word} for parameter {path}, value: {shown}, valid min {word}: {shape.min}"
    for part, inner, item in _children(shape, value):
        joined = path + part if part.startswith(("[", " (key: ")) else f"{path}.{part}".lstrip(".")
        yield from _client_reports(inner, item, joined)


def client_report(shape: Shape, params: Mapping[str, Any]) -> str | None:
    """What botocore would refuse before sending, one problem a line, or None."""
    reports = list(_client_reports(shape, dict(params), ""))
    return "Parameter validation failed:\n" + "\n".join(reports) if reports else None


# --- as the service ---------------------------------------------------------------------------------------------------


def _constraints(shape: Shape, value: Any) -> Iterator[str]:
    """The constraints that a value of the right type breaks, in the service's words."""
    if shape.enum and value not in shape.enum:
        yield f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
    numeric = shape.type in {"integer", "long", "float", "double"}
    word = "value" if numeric else "length"
    if shape.max is not None and _size(shape, value) > shape.max:
        yield f"Member must have {word} less than or equal to {_number(shape.max)}"
    if shape.min is not None and _size(shape, value) < shape.min:
        yield f"Member must have {word} greater than or equal to {_number(shape.min)}"
    if shape.pattern and isinstance(value, str) and not compiled(shape.pattern).fullmatch(value):
        yield f"Member must satisfy regular expression pattern: {shape.pattern}"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)


def _shown(shape: Shape, value: Any) -> str:
    return "(blob)" if shape.type == "blob" else _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN_CHARS else f"{text[:_MAX_SHOWN_CHARS]}…"


def _service_reports(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if not _fits_type(shape, value):
        raise SerializationError(f"The value at '{path}' is not a {shape.type}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise SerializationError(f"The value at '{path}' is not a {shape.type}.")
    if shape.type in _INTEGER_LIMITS and abs(value) > _INTEGER_LIMITS[shape.type]:
        raise SerializationError(f"The value at '{path}' does not fit into a {shape.type}.")
    if shape.type == "string" and not _is_text(value):
        raise SerializationError(f"The value at '{path}' holds half of a surrogate pair.")
    if shape.type == "structure":
        for name in shape.required:
            if value.get(name) is None:
                where = ".".join(filter(None, (path, lower_camel(name))))
                yield f"Value null at '{where}' failed to satisfy constraint: Member must not be null"
    else:
        for broken in _constraints(shape, value):
            yield f"Value '{_shown(shape, value)}' at '{path}' failed to satisfy constraint: {broken}"
    for part, inner, item in _children(shape, value):
        # On the wire null is as good as absent.
        if item is None and shape.type == "structure":
            continue
        yield from _service_reports(inner, item, _wire_path(shape, path, part))


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _wire_path(shape: Shape, path: str, part: str) -> str:
    if shape.type == "list":
        return f"{path}.{int(part[1:-1]) + 1}.member"
    if shape.type == "map" and part.startswith(" (key: "):
        return f"{path}.key"
    return ".".join(filter(None, (path, _cut(lower_camel(part)))))


def validated(operation: Operation, params: Mapping[str, Any]) -> dict[str, Any]:
    """The request without nulls and unknown members.

    Raises:
        SerializationError: a member has the wrong JSON type.
        ValidationError: constraints are broken; the message lists them, the first of very many.
    """
    reports = list(islice(_service_reports(operation.input, dict(params), ""), _MAX_REPORTS))
    if reports:
        plural = "error" if len(reports) == 1 else "errors"
        raise ValidationError(f"{len(reports)} validation {plural} detected: {'; '.join(reports)}")
    request: dict[str, Any] = _known(operation.input, dict(params))
    return request


def _known(shape: Shape, value: Any) -> Any:
    if shape.type == "structure":
        members = shape.members
        return {k: _known(members[k], v) for k, v in value.items() if k in members and v is not None}
    if shape.type == "list":
        return [_known(shape.member, item) for item in value]
    return value
