"""Responses as text on stdout: one formatter per output format."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from rcl_cli.api.model import Shape
from rcl_cli.cli.aws.params import PlainError
from rcl_cli.errors import UsageError

if TYPE_CHECKING:
    from rcl_cli.cli.aws.paging import Pages


def presentable(shape: Shape, value: Any, *, is_wire: bool = False) -> Any:
    """A response in the model's member order, timestamps as ISO 8601 in local time, blobs as base64.

    Args:
        is_wire: leave timestamps as they are on the wire, epoch seconds.
    """
    if shape.type == "structure":
        members = shape.members
        known = {name: presentable(members[name], value[name], is_wire=is_wire) for name in members if name in value}
        return known | {name: value[name] for name in value if name not in members}
    if shape.type == "list":
        return [presentable(shape.member, item, is_wire=is_wire) for item in value]
    if shape.type == "timestamp" and not is_wire:
        return datetime.fromtimestamp(value).astimezone().isoformat() if isinstance(value, (int, float)) else value
    if shape.type == "blob":
        return base64.b64encode(value).decode("ascii")
    return value


def compiled(expression: str) -> Any:
    """A JMESPath expression, checked before anything is asked of the service.

    Raises:
        UsageError: it is none.
    """
    import jmespath

    try:
        return jmespath.compile(expression)
    except jmespath.exceptions.JMESPathError as error:
        raise UsageError(f"Bad value for --query {expression}: {error}") from error


def search(expression: str, document: Any) -> Any:
    """Apply a JMESPath expression.

    Raises:
        PlainError: a function in it does not take what the document has there.
    """
    import jmespath

    try:
        return compiled(expression).search(document)
    # The library lets Python's own errors through, as `contains` does for a text and a number.
    except (jmespath.exceptions.JMESPathError, TypeError, ValueError, AttributeError) as error:
        raise PlainError(str(error)) from error


def as_json(document: Any) -> str:
    return (
        "" if document == {} else json.dumps(document, indent=4, ensure_ascii=False, default=datetime.isoformat) + "\n"
    )


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
    if columns is None:
        columns = sorted(k for k, v in item.items() if not isinstance(v, (dict, list)))
    # A column of the list's other maps stays one here, whatever this map has in it.
    cells = [_text_scalar(item.get(k, "")) for k in columns]
    if cells:
        rows.append("\t".join(([name.upper()] if name else []) + cells))
    for key in sorted(item.keys() - set(columns)):
        _text_rows(item[key], rows, key, None)


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
    if document == {}:
        return ""
    if document is None or isinstance(document, (str, int, float)):
        return json.dumps(document, ensure_ascii=False) + "\n"
    return _yaml(document)


def as_yaml_stream(pages: Iterable[Any]) -> Iterator[str]:
    """A list of pages, each written when it is there."""
    for page in pages:
        if page != {}:
            yield _yaml([page])


def _yaml(document: Any) -> str:
    from ruamel.yaml import YAML

    # The aws CLI's YAML is this library's, with its C part: without it, long words stand on lines of their own.
    yaml = YAML(typ="safe")
    yaml.representer.default_flow_style = False
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


def off(_document: Any) -> str:
    return ""


# `table` and `yaml-stream` need more than the document; `formatted` knows.
_PLAIN: dict[str, Callable[[Any], str]] = {"json": as_json, "text": as_text, "yaml": as_yaml, "off": off}


class Style(NamedTuple):
    """How to write a response.

    Args:
        format: one of FORMATS.
        query: a JMESPath expression.
        colour: whether tables have colours.
        width: columns of the terminal, None where there is none.
    """

    format: str = "json"
    query: str | None = None
    colour: bool = False
    width: int | None = None


def formatted(title: str, response: Pages | Single, style: Style) -> Iterator[str]:
    """The text of a response, in pieces; `--query` sees the whole of it, in a YAML stream each page.

    Args:
        title: the operation's name.
    """
    if style.format == "yaml-stream":
        yield from as_yaml_stream(_searched(style.query, page) for page in response)
        return
    whole = response.whole()
    document = _searched(style.query, whole)
    if style.format == "table":
        from rcl_cli.cli.aws.table import as_table

        yield as_table(document, title, width=style.width, colour=style.colour)
    elif style.format == "text" and style.query is None and response.resume_token is not None:
        rows = {name: value for name, value in whole.items() if name != "NextToken"}
        yield as_text(rows) + as_text({"NextToken": {"NextToken": response.resume_token}})
    else:
        yield _PLAIN[style.format](document)


def _searched(query: str | None, document: Any) -> Any:
    return document if query is None else search(query, document)


class Single:
    """A response of one page.

    Args:
        resume_token: where `--max-items` broke off; here it never does.
    """

    resume_token: str | None = None

    def __init__(self, document: Any) -> None:
        self._document = document

    def __iter__(self) -> Iterator[Any]:
        return iter([self._document])

    def whole(self) -> Any:
        return self._document
