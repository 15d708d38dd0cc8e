"""Responses as text on stdout: one formatter per output format."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from rcl_cli.api.model import Shape
from rcl_cli.errors import UsageError


def presentable(shape: Shape, value: Any) -> Any:
    """A response in the model's member order, timestamps as ISO 8601 in local time, blobs as base64."""
    if shape.type == "structure":
        members = shape.members
        known = {name: presentable(members[name], value[name]) for name in members if name in value}
        return known | {name: value[name] for name in value if name not in members}
    if shape.type == "list":
        return [presentable(shape.member, item) for item in value]
    if shape.type == "timestamp":
        return datetime.fromtimestamp(value).astimezone().isoformat()
    if shape.type == "blob":
        return base64.b64encode(value).decode("ascii")
    return value


def search(expression: str, document: Any) -> Any:
    """Apply a JMESPath expression.

    Raises:
        UsageError: it is none.
    """
    import jmespath

    try:
        return jmespath.search(expression, document)
    except jmespath.exceptions.JMESPathError as error:
        raise UsageError(f"Bad value for --query {expression}: {error}") from error


def as_json(document: Any) -> str:
    return "" if document == {} else json.dumps(document, indent=4, ensure_ascii=False) + "\n"


def as_text(document: Any) -> str:
    """Tab-separated rows: scalars of a map in the order of their keys, nested lists on rows of their own."""
    rows: list[str] = []
    _text_rows(document, rows, None, None)
    return "".join(row + "\n" for row in rows)


def _text_rows(item: Any, rows: list[str], name: str | None, columns: list[str] | None) -> None:
    if isinstance(item, dict):
        _text_map(item, rows, name, columns)
    elif isinstance(item, list):
        _text_list(item, rows, name)
    else:
        rows.append(_text_scalar(item))


def _text_scalar(value: Any) -> str:
    return str(value)


def _text_map(item: dict[str, Any], rows: list[str], name: str | None, columns: list[str] | None) -> None:
    nested = {k: v for k, v in item.items() if isinstance(v, (dict, list))}
    keys = sorted(k for k in item if k not in nested) if columns is None else columns
    cells = [_text_scalar(item.get(k, "")) for k in keys if k not in nested]
    if cells:
        rows.append("\t".join(([name.upper()] if name else []) + cells))
    for key in sorted(nested):
        _text_rows(nested[key], rows, key, None)


def _text_list(items: list[Any], rows: list[str], name: str | None) -> None:
    if any(isinstance(item, dict) for item in items):
        maps = [item for item in items if isinstance(item, dict)]
        columns = sorted({k for one in maps for k, v in one.items() if not isinstance(v, (dict, list))})
        for item in items:
            _text_rows(item, rows, name, columns if isinstance(item, dict) else None)
        return
    _text_scalars([item for item in items if not isinstance(item, list)], rows, name)
    for item in items:
        if isinstance(item, list):
            _text_list(item, rows, name)


def _text_scalars(items: list[Any], rows: list[str], name: str | None) -> None:
    """A row each behind the list's name; without a name one row for all."""
    if name:
        rows.extend(f"{name.upper()}\t{_text_scalar(item)}" for item in items)
    elif items:
        rows.append("\t".join(_text_scalar(item) for item in items))


def as_yaml(document: Any) -> str:
    import yaml

    return "" if document == {} else yaml.safe_dump(document, default_flow_style=False, allow_unicode=True)


def off(_document: Any) -> str:
    return ""


FORMATS: dict[str, Callable[[Any], str]] = {"json": as_json, "text": as_text, "yaml": as_yaml, "off": off}
