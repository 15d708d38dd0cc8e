"""The entries of datasets: 250 000 of them must cost no more each than a few.

Each dataset has a file (entry_files.py). An entry's key is its position, from 1 on, and a page is read from where the
last one ended; labels' uses are in entry_labels.py, changes in entry_changes.py. Lines are kept as they were given;
listings are made when they are asked for.
"""

from __future__ import annotations

import heapq
import sqlite3
from array import array
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from typing import NamedTuple

from rcl_cli.store.entry_labels import MOST_VALUES, POSITION_MASK, Labels, marks, uses

_BATCH = 500


class EntryFilter(NamedTuple):
    """Conditions of ListDatasetEntries; they hold together."""

    labels: tuple[str, ...] = ()
    is_labeled: bool | None = None
    has_errors: bool = False
    source_ref_contains: str | None = None


class Counts(NamedTuple):
    """How many entries there are, how many of them are labeled, and how many have errors."""

    total: int = 0
    labeled: int = 0
    errors: int = 0

    def plus(self, other: Counts) -> Counts:
        return Counts(self.total + other.total, self.labeled + other.labeled, self.errors + other.errors)


class State(NamedTuple):
    """What the last change of a dataset left.

    Args:
        message_code: SUCCESS, or whose fault it is.
        updated_ms: epoch milliseconds.
        revision: how many changes there were.
    """

    revision: int
    status: str
    message: str
    message_code: str
    updated_ms: int
    total_entries: int
    labeled_entries: int
    error_entries: int
    total_labels: int

    @property
    def counts(self) -> Counts:
        return Counts(self.total_entries, self.labeled_entries, self.error_entries)


def rows_of(db: sqlite3.Connection, source_refs: Sequence[str]) -> dict[str, sqlite3.Row]:
    """Entries of these source-refs, by source-ref."""
    rows = db.execute(
        "SELECT source_ref, id, is_labeled, has_errors, line FROM entries "
        f"WHERE source_ref IN ({marks(len(source_refs))})",
        source_refs,
    )
    return {row[0]: row for row in rows}


def state(db: sqlite3.Connection) -> State:
    """What the last change left.

    Raises:
        sqlite3.DatabaseError: the file does not say: it is not what was written.
    """
    row = db.execute("SELECT * FROM state").fetchone()
    if row is None:
        raise sqlite3.DatabaseError("it does not say what is in it")
    return State(*tuple(row)[1:])


def count(db: sqlite3.Connection) -> Counts:
    query = "SELECT COUNT(*), TOTAL(is_labeled), TOTAL(has_errors) FROM entries"
    return Counts(*map(int, db.execute(query).fetchone()))


def first_source_ref(db: sqlite3.Connection) -> str:
    """A source-ref of the dataset, empty for none; all are in one bucket."""
    query = "SELECT source_ref FROM entries WHERE source_ref >= 's3:' AND source_ref < 's3;' LIMIT 1"
    row = db.execute(query).fetchone()
    return str(row[0]) if row else ""


def has(db: sqlite3.Connection, source_ref: str) -> bool:
    return bool(rows_of(db, [source_ref]))


def label_count(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT COUNT(*) FROM labels").fetchone()[0])


def line_of(db: sqlite3.Connection, source_ref: str) -> str | None:
    """The line of a source-ref as it was given; None where there is none."""
    row = db.execute("SELECT line FROM entries WHERE source_ref = ?", (source_ref,)).fetchone()
    return str(row[0]) if row else None


def at(db: sqlite3.Connection, positions: Sequence[int]) -> list[Entry]:
    """The entries of these positions that are there, in order."""
    found: list[Entry] = []
    for start in range(0, len(positions), MOST_VALUES):
        part = positions[start : start + MOST_VALUES]
        query = f"SELECT id, line, is_labeled, has_errors FROM entries WHERE id IN ({marks(len(part))}) ORDER BY id"
        found += [Entry(row[0], row[1], bool(row[2]), bool(row[3])) for row in db.execute(query, part)]
    return found


def positions(db: sqlite3.Connection, conditions: EntryFilter, *, by_name: bool = False) -> array[int]:
    """Where all entries are that fit the conditions, in order, or in that of their source-refs."""
    clauses, values = _clauses(conditions)
    order = "source_ref" if by_name else "id"
    query = f"SELECT id FROM entries WHERE {' AND '.join(['1', *clauses])} ORDER BY {order}"
    found = (row[0] for row in db.execute(query, values))
    if conditions.labels:
        named = set(_labelled(db, conditions.labels, 0))
        found = (position for position in found if position in named)
    return array("Q", found)


def positions_of(db: sqlite3.Connection, source_refs: Sequence[str]) -> dict[str, int]:
    """Where the entries of source-refs are; those that are not there are left out."""
    found: dict[str, int] = {}
    for start in range(0, len(source_refs), MOST_VALUES):
        found |= {ref: row[1] for ref, row in rows_of(db, source_refs[start : start + MOST_VALUES]).items()}
    return found


def all_source_refs(db: sqlite3.Connection) -> Iterator[tuple[int, str]]:
    """(position, source-ref) of every entry, in the order of source-refs."""
    yield from db.execute("SELECT id, source_ref FROM entries ORDER BY source_ref")


def all_lines(db: sqlite3.Connection) -> Iterator[str]:
    for row in db.execute("SELECT line FROM entries ORDER BY id"):
        yield row[0]


def labels_by_position(db: sqlite3.Connection) -> dict[int, set[str]]:
    """The labels of every entry; entries without labels have an empty set."""
    found: dict[int, set[str]] = {row[0]: set() for row in db.execute("SELECT id FROM entries ORDER BY id")}
    for name, label_id in Labels(db).ids.items():
        for (key,) in db.execute("SELECT id FROM entry_labels WHERE id >= ? AND id < ?", uses(label_id)):
            found[key >> 1 & POSITION_MASK].add(name)
    return found


class Entry(NamedTuple):
    """An entry as it was given, and what is known of it."""

    position: int
    line: str
    is_labeled: bool
    has_errors: bool


def page(db: sqlite3.Connection, conditions: EntryFilter, after: int, limit: int) -> list[Entry]:
    """Entries in manifest order, behind position `after`."""
    if not conditions.labels:
        return _select(db, conditions, after, limit)
    found: list[Entry] = []
    candidates, size = _labelled(db, conditions.labels, after), limit
    while len(found) < limit and (batch := list(islice(candidates, size))):
        found += _select(db, conditions, after, limit - len(found), batch)
        # Where the other conditions leave little, looking in larger steps finds it sooner.
        size = min(4 * size, max(limit, _BATCH))
    return found


def _labelled(db: sqlite3.Connection, names: Sequence[str], after: int) -> Iterator[int]:
    """Positions of entries that have any of some labels, in order; as many are looked up as are asked for."""
    ids = Labels(db).ids
    streams = [_positions(db, ids[name], after) for name in dict.fromkeys(names) if name in ids]
    return (position for position, _ in groupby(heapq.merge(*streams)))


def _positions(db: sqlite3.Connection, label_id: int, after: int) -> Iterator[int]:
    """Where a label is used behind a position."""
    first, end = uses(label_id, after + 1)
    for (key,) in db.execute("SELECT id FROM entry_labels WHERE id >= ? AND id < ? ORDER BY id", (first, end)):
        yield key >> 1 & POSITION_MASK


def _select(
    db: sqlite3.Connection,
    conditions: EntryFilter,
    after: int,
    limit: int,
    positions: Sequence[int] | None = None,
) -> list[Entry]:
    """Entries that fit all conditions but the labels'.

    Args:
        positions: where to look, None for everywhere.
    """
    clauses, values = _clauses(conditions)
    if positions is not None:
        clauses.append(f"id IN ({marks(len(positions))})")
        values += positions
    query = (
        "SELECT id, line, is_labeled, has_errors FROM entries "
        f"WHERE {' AND '.join(['id > ?', *clauses])} ORDER BY id LIMIT ?"
    )
    rows = db.execute(query, (after, *values, limit))
    return [Entry(row[0], row[1], bool(row[2]), bool(row[3])) for row in rows]


def _clauses(conditions: EntryFilter) -> tuple[list[str], list[object]]:
    """What SQL says of all conditions but the labels', and its values."""
    clauses, values = list[str](), list[object]()
    if conditions.is_labeled is not None:
        clauses.append("is_labeled = ?")
        values.append(int(conditions.is_labeled))
    if conditions.has_errors:
        clauses.append("has_errors = 1")
    if conditions.source_ref_contains is not None:
        clauses.append("INSTR(source_ref, ?) > 0")
        values.append(conditions.source_ref_contains)
    return clauses, values


def labels_page(db: sqlite3.Connection, after: str, limit: int) -> list[tuple[str, int, int]]:
    """(label, images that have it, images that have it on a box), by name."""
    query = "SELECT id, name FROM labels WHERE name > ? ORDER BY name LIMIT ?"
    found = []
    for label_id, name in db.execute(query, (after, limit)).fetchall():
        counting = "SELECT COUNT(DISTINCT id >> 1), TOTAL(id & 1) FROM entry_labels WHERE id >= ? AND id < ?"
        images, boxed = db.execute(counting, uses(label_id)).fetchone()
        found.append((name, images, int(boxed)))
    return found
