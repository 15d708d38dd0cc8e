"""YAML that others wrote, as plain values: texts, numbers, truth values, nothing, lists and maps.

Aliases let a few lines stand for billions of values, brackets nest deeper than Python can follow, and tags make
objects: values are counted as if aliases were written out, while they are read, and what is too much is refused before
it is there. Dates stay the texts that they are.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from rcl_cli.regular import open_bytes

MAX_BYTES = 1 << 20
MAX_VALUES = 100_000
MAX_DEPTH = 32
_STANDARD = "tag:yaml.org,2002:"
_SCALARS = frozenset({"str", "int", "float", "bool", "null"})
_COLLECTIONS = {"MappingStartEvent": "map", "SequenceStartEvent": "seq"}


class PlainYamlError(ValueError):
    """A text that is no YAML, or more of it than rcl reads; says the line, from 1, and the problem."""


class _Merge(str):
    """`<<` without quotes: as a key, it takes in what other maps hold."""


class _Value(NamedTuple):
    """A value that has been read.

    Args:
        values: in it, itself included, as if aliases were written out.
        depth: of lists and maps in it.
    """

    content: Any
    values: int = 1
    depth: int = 0


class _Open:
    """A list or map whose end has not been read."""

    def __init__(self, *, is_map: bool, anchor: str | None) -> None:
        self.is_map, self.anchor = is_map, anchor
        self.items: list[Any] = []
        self.values, self.depth = 1, 0

    def add(self, value: _Value) -> None:
        """
        Raises:
            PlainYamlError: it is to be a key, and is a list or a map.
        """
        if self.is_map and len(self.items) % 2 == 0 and isinstance(value.content, (list, dict)):
            raise PlainYamlError("a key must be a text or a number")
        self.items.append(value.content)
        self.values += value.values
        self.depth = max(self.depth, value.depth)

    def value(self) -> _Value:
        """The list or map, complete.

        Raises:
            PlainYamlError: `<<` leads to something else than maps.
        """
        return _Value(self._map() if self.is_map else self.items, self.values, self.depth + 1)

    def _map(self) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        merged: dict[Any, Any] = {}
        for key, content in zip(self.items[::2], self.items[1::2], strict=True):
            if not isinstance(key, _Merge):
                found[key] = content
                continue
            # Of several maps the first one counts.
            for one in reversed(content if isinstance(content, list) else [content]):
                if not isinstance(one, dict):
                    raise PlainYamlError("`<<` takes maps only")
                merged |= one
        return {**merged, **found}


def load(path: Path) -> Any:
    """What a file says; None where it says nothing.

    Raises:
        OSError: it is not there, can't be read, or is no regular file.
        PlainYamlError: it is no YAML in UTF-8, or too large.
    """
    with open_bytes(path) as stream:
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise PlainYamlError(f"it is larger than {MAX_BYTES >> 20} MB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise PlainYamlError(f"line {line}: it is no UTF-8") from error
    return parse(text)


def parse(text: str) -> Any:
    """What a text says; None where it says nothing.

    Raises:
        PlainYamlError: it is no YAML, or too much.
    """
    import yaml

    reader = _Reader()
    line = 0
    try:
        # The parser in C is ten times as fast; some installations of PyYAML lack it.
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            line = event.start_mark.line if event.start_mark else line
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line if mark else line
        problem = error.problem or error.context or "it is no YAML"
        if mark and "start any token" in problem and text[mark.index : mark.index + 1] == "\t":
            problem = "a tab where only spaces may be"
        raise PlainYamlError(f"line {line + 1}: {problem}") from error
    except yaml.YAMLError as error:
        odd = yaml.reader.Reader.NON_PRINTABLE.search(text)
        line = text.count("\n", 0, odd.start()) if odd else line
        raise PlainYamlError(f"line {line + 1}: it holds characters that no text has") from error
    except PlainYamlError as error:
        raise PlainYamlError(f"line {line + 1}: {error}") from error
    return reader.content


def check_size(document: Any) -> None:
    """Whether what another parser read can be gone through: what aliases stand for is there once, and met often.

    Raises:
        PlainYamlError: it holds too many values, nests too deep, or holds itself.
    """
    _measured(document, {}, 1)


def _measured(value: Any, known: dict[int, _Value | None], depth: int) -> _Value:
    """How much a value holds.

    Args:
        known: lists and maps by their ids; without a value where they are being measured.
        depth: of lists and maps around it, and itself.
    """
    if not isinstance(value, (list, dict)):
        return _Value(value)
    if id(value) in known:
        found = known[id(value)]
        if found is None:
            raise PlainYamlError("it holds itself")
    else:
        _check(1, depth)
        known[id(value)] = None
        inner = [_measured(one, known, depth + 1) for one in (value.values() if isinstance(value, dict) else value)]
        found = _Value(value, 1 + sum(one.values for one in inner), 1 + max((one.depth for one in inner), default=0))
        known[id(value)] = found
    _check(found.values, depth - 1 + found.depth)
    return found


def _check(values: int, depth: int) -> None:
    if values > MAX_VALUES:
        raise PlainYamlError(f"it holds more than {MAX_VALUES} values, with those that aliases stand for")
    if depth > MAX_DEPTH:
        raise PlainYamlError(f"it is nested more than {MAX_DEPTH} deep")


class _Reader:
    """Takes a parser's events, and has the content once all were taken."""

    def __init__(self) -> None:
        from yaml.constructor import SafeConstructor
        from yaml.resolver import Resolver

        self.content: Any = None
        self._constructor = SafeConstructor()
        self._tag_of: Callable[..., str] = Resolver().resolve
        self._open: list[_Open] = []
        # Without a value where it is not complete.
        self._anchors: dict[str, _Value | None] = {}
        self._documents = 0

    def take(self, event: Any) -> None:
        """Go on by an event.

        Raises:
            PlainYamlError: it is nothing that plain values have, or too much.
        """
        kind = type(event).__name__
        if kind == "DocumentStartEvent":
            self._documents += 1
            if self._documents > 1:
                raise PlainYamlError("there must be one document only")
        elif kind == "ScalarEvent":
            self._anchor(event.anchor, None)
            self._finished(_Value(self._scalar(event)), event.anchor)
        elif kind == "AliasEvent":
            self._finished(self._meant(event.anchor), None)
        elif kind in _COLLECTIONS:
            self._start(event, kind)
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            done = self._open.pop()
            self._finished(done.value(), done.anchor)

    def _start(self, event: Any, kind: str) -> None:
        if event.tag not in (None, "!", _STANDARD + _COLLECTIONS[kind]):
            raise PlainYamlError(f"the tag {event.tag} means nothing here")
        self._anchor(event.anchor, None)
        self._open.append(_Open(is_map=kind == "MappingStartEvent", anchor=event.anchor))
        _check(1, len(self._open))

    def _anchor(self, name: str | None, value: _Value | None) -> None:
        if name is not None:
            self._anchors[name] = value

    def _meant(self, name: str) -> _Value:
        """What an alias stands for."""
        if name not in self._anchors:
            raise PlainYamlError(f"*{name} stands for nothing")
        value = self._anchors[name]
        if value is None:
            raise PlainYamlError(f"*{name} stands for something that holds it")
        return value

    def _finished(self, value: _Value, anchor: str | None) -> None:
        self._anchor(anchor, value)
        if self._open:
            self._open[-1].add(value)
            _check(self._open[-1].values, len(self._open) + value.depth)
        else:
            self.content = value.content

    def _scalar(self, event: Any) -> Any:
        """A scalar's value, as YAML 1.1 and PyYAML read it; dates and the like stay texts."""
        from yaml.nodes import ScalarNode

        tag = event.tag
        if tag in (None, "!"):
            tag = self._tag_of(ScalarNode, event.value, event.implicit)
            if tag.removeprefix(_STANDARD) not in _SCALARS:
                return _Merge(event.value) if tag == _STANDARD + "merge" else event.value
        kind = tag.removeprefix(_STANDARD)
        if kind not in _SCALARS or not tag.startswith(_STANDARD):
            raise PlainYamlError(f"the tag {event.tag} means nothing here")
        if kind == "str":
            return event.value
        try:
            return getattr(self._constructor, f"construct_yaml_{kind}")(ScalarNode(tag, event.value))
        except (ValueError, KeyError, IndexError, OverflowError) as error:
            raise PlainYamlError(f"{event.value[:40]!r} is no {kind}") from error
