"""Responses as the tables of the aws CLI: a section per structure, indented by its depth."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from rcl_cli.cli.aws.params import PlainError

_WIDTH_OF_NO_TERMINAL = 80
_MARGIN = 2
_RESET = "\x1b[0m"
_STYLED_EDGE = "\x1b[2m\x1b[33m|\x1b[0m"
_STYLED_CELL = "\x1b[1m\x1b[34m{}\x1b[0m"


def as_table(document: Any, title: str, *, width: int | None = None, colour: bool = False) -> str:
    """A document as the aws CLI draws it under the operation's name; nothing for what is empty, zero or false.

    Args:
        width: columns of the terminal. A wider table is drawn again with single rows upright, and may stay wider.
            None is no terminal, for which the aws CLI takes 80.

    Raises:
        PlainError: the document has rows of different lengths or mixes maps with others, where the aws CLI fails too.
    """
    sections: list[Section] = []
    _collect(sections, title, document, 0)
    if not sections:
        return ""
    if _overall_width(sections) > (_WIDTH_OF_NO_TERMINAL if width is None else width):
        sections = [section.upright() for section in sections]
    overall = _overall_width(sections)
    # The aws CLI ends all that it writes on a terminal with this.
    end = f"\n{_RESET}" if colour else "\n"
    lines = ["-" * overall, *(line for section in sections for line in _drawn(section, overall, colour))]
    return "".join(line + end for line in lines)


# --- what is in the table ---------------------------------------------------------------------------------------------


@dataclass
class Section:
    """A title over columns of one width each; `columns` holds the widest text of each column, None before any."""

    title: str
    depth: int
    headings: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    columns: list[int] | None = None

    def add_headings(self, names: list[str]) -> None:
        self.headings = self._measured(names)

    def add_row(self, cells: Iterable[Any]) -> None:
        self.rows.append(self._measured(cells))

    def _measured(self, cells: Iterable[Any]) -> list[str]:
        texts = [str(cell) for cell in cells]
        columns = [0] * len(texts) if self.columns is None else self.columns
        if len(texts) != len(columns):
            raise PlainError(f"Row should have {len(columns)} elements, instead it has {len(texts)}")
        self.columns = [max(widest, _text_width(text)) for widest, text in zip(columns, texts, strict=True)]
        return texts

    def natural_widths(self) -> list[int]:
        """Width of each column with its margins."""
        return [widest + 2 * _MARGIN for widest in self.columns or []]

    def upright(self) -> Section:
        """The headings as a column beside their values, if there is one row of them."""
        if not self.headings or len(self.rows) != 1:
            return self
        turned = Section(self.title, self.depth)
        for pair in zip(self.headings, self.rows[0], strict=True):
            turned.add_row(pair)
        return turned


def _nested(value: Any) -> bool:
    return isinstance(value, (dict, list))


def _collect(sections: list[Section], title: str, value: Any, depth: int) -> None:
    """Add the sections of a value. A scalar has a title and nothing below."""
    if not value:
        return
    sections.append(Section(title, depth))
    if isinstance(value, dict):
        _collect_map(sections, value, depth)
    elif isinstance(value, list) and isinstance(value[0], dict):
        _collect_maps(sections, title, value, depth)
    elif isinstance(value, list):
        _collect_rows(sections, value)


def _collect_map(sections: list[Section], one: dict[str, Any], depth: int) -> None:
    headings = sorted(name for name, value in one.items() if not _nested(value))
    if len(headings) == 1:
        sections[-1].add_row([headings[0], one[headings[0]]])
    elif headings:
        sections[-1].add_headings(headings)
        sections[-1].add_row([one[name] for name in headings])
    for name in sorted(one.keys() - set(headings)):
        _collect(sections, name, one[name], depth + 1)


def _collect_maps(sections: list[Section], title: str, maps: list[Any], depth: int) -> None:
    """A row per map; where any map has a nested value, a section per map with its nested values behind it."""
    if not all(isinstance(one, dict) for one in maps):
        raise PlainError("A list of both maps and other values does not fit a table; another --output shows it.")
    members = [(name, _nested(value)) for one in maps for name, value in one.items()]
    # A name can be both: a query gives null for the one map and a structure for the next.
    headings = sorted({name for name, nested in members if not nested})
    inner = sorted({name for name, nested in members if nested})
    for position, one in enumerate(maps):
        if position and inner:
            sections.append(Section(title, depth))
        sections[-1].add_headings(headings)
        sections[-1].add_row([one.get(name, "") for name in headings])
        for name in inner:
            _collect(sections, name, one.get(name), depth + 1)


def _collect_rows(sections: list[Section], items: list[Any]) -> None:
    """A row per scalar or list of scalars, and of a map its names; deeper lists go on in the section begun last."""
    for item in items:
        if not _nested(item):
            sections[-1].add_row([item])
        elif not any(_nested(cell) for cell in item):
            sections[-1].add_row(item)
        elif isinstance(item[0], dict):
            _collect_maps(sections, "", item, 0)
        else:
            _collect_rows(sections, item)


# --- how it is drawn --------------------------------------------------------------------------------------------------


def _text_width(text: str) -> int:
    """Columns on a terminal, characters of ambiguous width counted as wide."""
    return len(text) + sum(unicodedata.east_asian_width(character) in "WFA" for character in text)


def _overall_width(sections: list[Section]) -> int:
    return max(
        max(_text_width(section.title), sum(section.natural_widths())) + 2 * (section.depth + 1) for section in sections
    )


def _drawn(section: Section, overall: int, colour: bool) -> Iterator[str]:
    edges = _STYLED_EDGE * section.depth + _RESET if colour else "|" * section.depth
    for line in _inner_lines(section, overall - 2 * section.depth, colour):
        yield edges + line + (_RESET + edges if colour else edges)


def _inner_lines(section: Section, width: int, colour: bool) -> Iterator[str]:
    if section.title:
        yield f"|{_centred(section.title, width - 2, first=True)}|"
        if not section.headings and not section.rows:
            yield f"+{'-' * (width - 2)}+"
    if not section.columns:
        return
    rooms = _rooms(section.natural_widths(), width)
    rule = "+" + "".join("-" * room + "+" for room in rooms)
    if section.headings:
        yield rule
        cells = zip(section.headings, rooms, strict=True)
        yield "|" + "".join(_centred(name, room, first=not i) + "|" for i, (name, room) in enumerate(cells))
    yield rule
    for row in section.rows:
        yield "|" + "".join(_left(text, room, colour) + "|" for text, room in zip(row, rooms, strict=True))
    yield rule


def _rooms(natural: list[int], width: int) -> list[int]:
    """Room between the edges of each column when the columns are scaled to a width."""
    scale = width / sum(natural)
    scaled = [round(scale * one) for one in natural]
    # Rounding is off by less than a column each: the first columns give what is too much, the last take what is left.
    excess = sum(scaled) - width
    for i in range(abs(excess)):
        scaled[i if excess > 0 else -1 - i] -= 1 if excess > 0 else -1
    return [scaled[0] - 2, *(one - 1 for one in scaled[1:])]


def _centred(text: str, room: int, *, first: bool) -> str:
    # Half of the room counts the left edge, which only the first cell of a line has.
    before = (room if first else room - 1) // 2 - _text_width(text) // 2
    return " " * before + text + " " * (room - before - _text_width(text))


def _left(text: str, room: int, colour: bool) -> str:
    before = _MARGIN if room >= _text_width(text) + _MARGIN else 0
    styled = _STYLED_CELL.format(text) if colour else text
    return " " * before + styled + " " * (room - before - _text_width(text))
