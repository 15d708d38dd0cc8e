"""The entries of datasets: 250 000 of them must cost no more each than a few.

Each dataset has a file (entry_files.py). An entry's key is its position, from 1 on; that of a label's use in an entry
holds several things in one number, `label << 33 | position << 1 | on a box`, so that what is read together lies
together and in order, and a page is read from where the last one ended. Lines are kept as they were given; listings
are made when they are asked for.
"""

from __future__ import annotations

import heapq
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from itertools import chain, groupby, islice
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rcl_cli.manifest.line import Line

_BATCH = 500
_POSITION_BITS = 32
_POSITION_MASK = 2**_POSITION_BITS - 1
_LABEL_SHIFT = _POSITION_BITS + 1
_MOST_VALUES = 600
_COLUMNS = "entries (id, source_ref, is_labeled, has_errors, line)"


# (label, is on a box) of what an entry names.
Named = AbstractSet[tuple[str, bool]]


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


def _uses(label_id: int, first: int = 0) -> tuple[int, int]:
    """The keys of a label's uses, from a position on, lie from the one to before the other."""
    return label_id << _LABEL_SHIFT | first << 1, (label_id + 1) << _LABEL_SHIFT


def _batches(items: Iterable[Line]) -> Iterator[list[Line]]:
    left = iter(items)
    while batch := list(islice(left, _BATCH)):
        yield batch


def _marks(count: int) -> str:
    return ", ".join("?" * count)


def _insert_rows(db: sqlite3.Connection, into: str, rows: Sequence[Sequence[object]], otherwise: str = "") -> None:
    """Insert many rows a statement, which takes two thirds of the time of a statement a row."""
    if not rows:
        return
    row_marks = f"({_marks(len(rows[0]))})"
    most = _MOST_VALUES // len(rows[0])
    for start in range(0, len(rows), most):
        part = rows[start : start + most]
        marks = ", ".join([row_marks] * len(part))
        db.execute(f"INSERT INTO {into} VALUES {marks} {otherwise}", list(chain.from_iterable(part)))


class Labels:
    """The labels of a dataset.

    Args:
        ids: by name.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        rows = db.execute("SELECT name, id FROM labels ORDER BY name")
        self.ids: dict[str, int] = {row[0]: row[1] for row in rows}

    def id_of(self, name: str) -> int:
        """The id of a label, which is there from now on."""
        if name not in self.ids:
            self.ids[name] = int(self._db.execute("INSERT INTO labels (name) VALUES (?)", (name,)).lastrowid or 0)
        return self.ids[name]

    def _keys(self, entries: Iterable[tuple[int, Named]]) -> list[tuple[int]]:
        known = self.ids
        return [
            ((known[name] if name in known else self.id_of(name)) << _LABEL_SHIFT | position << 1 | boxed,)
            for position, named in entries
            for name, boxed in named
        ]

    def use(self, entries: Iterable[tuple[int, Named]]) -> None:
        """Remember the labels of entries, by their positions."""
        _insert_rows(self._db, "entry_labels", self._keys(entries))

    def unuse(self, entries: Iterable[tuple[int, Named]]) -> None:
        """Forget the labels of entries, by their positions."""
        keys = [key for (key,) in self._keys(entries)]
        for start in range(0, len(keys), _MOST_VALUES):
            part = keys[start : start + _MOST_VALUES]
            self._db.execute(f"DELETE FROM entry_labels WHERE id IN ({_marks(len(part))})", part)

    def forget_unused(self) -> None:
        """Remove labels that no entry has."""
        for name, label_id in list(self.ids.items()):
            query = "SELECT 1 FROM entry_labels WHERE id >= ? AND id < ? LIMIT 1"
            if not self._db.execute(query, _uses(label_id)).fetchone():
                self._db.execute("DELETE FROM labels WHERE id = ?", (label_id,))
                del self.ids[name]


# --- writing ----------------------------------------------------------------------------------------------------------


def put(db: sqlite3.Connection, lines: Iterable[Line]) -> Counts:
    """Insert entries, or replace those whose source-ref is there already, keeping their place.

    Args:
        lines: no two of the same source-ref.

    Returns:
        By how much the dataset's counts change.
    """
    last = int(db.execute("SELECT IFNULL(MAX(id), 0) FROM entries").fetchone()[0])
    was_empty, change, labels = not last, Counts(), Labels(db)
    for batch in _batches(lines):
        there = {} if was_empty else _there(db, [line.source_ref for line in batch])
        new = [line for line in batch if line.source_ref not in there] if there else batch
        change = change.plus(_insert(db, last, new, labels))
        last += len(new)
        if there:
            change = change.plus(_replace(db, there, [b for b in batch if b.source_ref in there], labels))
    labels.forget_unused()
    return change


def _there(db: sqlite3.Connection, source_refs: Sequence[str]) -> dict[str, sqlite3.Row]:
    """Entries of these source-refs, by source-ref."""
    rows = db.execute(
        "SELECT source_ref, id, is_labeled, has_errors, line FROM entries "
        f"WHERE source_ref IN ({_marks(len(source_refs))})",
        source_refs,
    )
    return {row[0]: row for row in rows}


def _insert(db: sqlite3.Connection, last: int, lines: Sequence[Line], labels: Labels) -> Counts:
    """Append entries behind the last position; returns their counts."""
    rows = [
        (position, line.source_ref, line.is_labeled, bool(line.problems) and line.has_listed_errors, line.text)
        for position, line in enumerate(lines, last + 1)
    ]
    _insert_rows(db, _COLUMNS, rows)
    labels.use(enumerate([line.named for line in lines], last + 1))
    return Counts(len(rows), sum([row[2] for row in rows]), sum([row[3] for row in rows]))


def _replace(db: sqlite3.Connection, there: dict[str, sqlite3.Row], lines: Sequence[Line], labels: Labels) -> Counts:
    """Put lines into the places of those with the same source-ref."""
    placed = [(there[line.source_ref][1], line) for line in lines]
    before = [_named_before(there[line.source_ref]) for line in lines]
    labels.unuse((position, old - line.named) for (position, line), old in zip(placed, before, strict=True))
    rows = [
        (position, line.source_ref, line.is_labeled, line.has_listed_errors, line.text) for position, line in placed
    ]
    _insert_rows(
        db, _COLUMNS, rows,
        "ON CONFLICT (id) DO UPDATE SET is_labeled = excluded.is_labeled, has_errors = excluded.has_errors, "
        "line = excluded.line",
    )  # fmt: skip
    labels.use((position, line.named - old) for (position, line), old in zip(placed, before, strict=True))
    labeled = sum(row[2] for row in rows) - sum(row[2] for row in there.values())
    errors = sum(row[3] for row in rows) - sum(row[3] for row in there.values())
    return Counts(0, labeled, errors)


def _named_before(row: sqlite3.Row) -> Named:
    """What a line that is there names: most have no error, and then little of them has to be read."""
    from rcl_cli.manifest.faultless import named_by
    from rcl_cli.manifest.line import parse_line

    _, _, _, has_errors, line = row
    named = None if has_errors else named_by(line)
    return parse_line(line).named if named is None else named


def move(source: sqlite3.Connection, target: sqlite3.Connection, positions: Sequence[int]) -> None:
    """Move entries by position into a dataset that does not use these positions; they keep them."""
    with _named(source, positions) as chosen:
        rows = source.execute(
            f"SELECT id, source_ref, is_labeled, has_errors, line FROM entries WHERE id {chosen} ORDER BY id"
        )
        while batch := rows.fetchmany(_BATCH):
            _insert_rows(target, _COLUMNS, batch)
        new = Labels(target)
        for name, label_id in Labels(source).ids.items():
            there = new.id_of(name) - label_id << _LABEL_SHIFT
            keys = source.execute(
                f"SELECT id + ? FROM entry_labels WHERE {_uses_in(chosen)}", (there, *_uses(label_id))
            )
            while batch := keys.fetchmany(_BATCH):
                _insert_rows(target, "entry_labels", batch)
        _remove(source, chosen)
        new.forget_unused()


def remove(db: sqlite3.Connection, positions: Sequence[int]) -> None:
    """Take entries out; the others keep their positions."""
    with _named(db, positions) as chosen:
        _remove(db, chosen)


@contextmanager
def _named(db: sqlite3.Connection, positions: Sequence[int]) -> Iterator[str]:
    """A condition that positions meet."""
    db.execute("CREATE TEMP TABLE chosen (position INTEGER PRIMARY KEY)")
    db.executemany("INSERT OR IGNORE INTO chosen VALUES (?)", ((position,) for position in positions))
    yield "IN (SELECT position FROM chosen)"
    db.execute("DROP TABLE chosen")


def _uses_in(chosen: str) -> str:
    return f"id >= ? AND id < ? AND (id >> 1 & {_POSITION_MASK}) {chosen}"


def _remove(db: sqlite3.Connection, chosen: str) -> None:
    db.execute(f"DELETE FROM entries WHERE id {chosen}")
    labels = Labels(db)
    for label_id in labels.ids.values():
        db.execute(f"DELETE FROM entry_labels WHERE {_uses_in(chosen)}", _uses(label_id))
    labels.forget_unused()


def settle(
    db: sqlite3.Connection, status: str, message: str, message_code: str, updated_ms: int, counts: Counts
) -> State:
    """Write what a change left.

    Args:
        counts: of the entries as they are now.
    """
    before = db.execute("SELECT revision FROM state").fetchone()
    revision = before[0] + 1 if before else 0
    settled = State(revision, status, message, message_code, updated_ms, *counts, label_count(db))
    db.execute(f"INSERT OR REPLACE INTO state VALUES (1, {_marks(len(settled))})", settled)
    return settled


# --- reading ----------------------------------------------------------------------------------------------------------


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
    return bool(_there(db, [source_ref]))


def label_count(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT COUNT(*) FROM labels").fetchone()[0])


def line_of(db: sqlite3.Connection, source_ref: str) -> str | None:
    """The line of a source-ref as it was given; None where there is none."""
    row = db.execute("SELECT line FROM entries WHERE source_ref = ?", (source_ref,)).fetchone()
    return str(row[0]) if row else None


def at(db: sqlite3.Connection, positions: Sequence[int]) -> list[Entry]:
    """The entries of these positions that are there, in order."""
    found: list[Entry] = []
    for start in range(0, len(positions), _MOST_VALUES):
        part = positions[start : start + _MOST_VALUES]
        query = f"SELECT id, line, is_labeled, has_errors FROM entries WHERE id IN ({_marks(len(part))}) ORDER BY id"
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
    for start in range(0, len(source_refs), _MOST_VALUES):
        found |= {ref: row[1] for ref, row in _there(db, source_refs[start : start + _MOST_VALUES]).items()}
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
        for (key,) in db.execute("SELECT id FROM entry_labels WHERE id >= ? AND id < ?", _uses(label_id)):
            found[key >> 1 & _POSITION_MASK].add(name)
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
    first, end = _uses(label_id, after + 1)
    for (key,) in db.execute("SELECT id FROM entry_labels WHERE id >= ? AND id < ? ORDER BY id", (first, end)):
        yield key >> 1 & _POSITION_MASK


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
        clauses.append(f"id IN ({_marks(len(positions))})")
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
        images, boxed = db.execute(counting, _uses(label_id)).fetchone()
        found.append((name, images, int(boxed)))
    return found
