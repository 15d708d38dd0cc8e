"""Changes of a dataset's entries: put, moved, taken out; and what a change leaves."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from rcl_cli.store.entries import Counts, State, label_count, rows_of
from rcl_cli.store.entry_labels import LABEL_SHIFT, POSITION_MASK, Labels, Named, insert_rows, marks, uses

if TYPE_CHECKING:
    from rcl_cli.manifest.line import Line

_BATCH = 500
_COLUMNS = "entries (id, source_ref, is_labeled, has_errors, line)"


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
        there = {} if was_empty else rows_of(db, [line.source_ref for line in batch])
        new = [line for line in batch if line.source_ref not in there] if there else batch
        change = change.plus(_insert(db, last, new, labels))
        last += len(new)
        if there:
            change = change.plus(_replace(db, there, [b for b in batch if b.source_ref in there], labels))
    labels.forget_unused()
    return change


def _batches(items: Iterable[Line]) -> Iterator[list[Line]]:
    left = iter(items)
    while batch := list(islice(left, _BATCH)):
        yield batch


def _insert(db: sqlite3.Connection, last: int, lines: Sequence[Line], labels: Labels) -> Counts:
    """Append entries behind the last position; returns their counts."""
    rows = [
        (position, line.source_ref, line.is_labeled, bool(line.problems) and line.has_listed_errors, line.text)
        for position, line in enumerate(lines, last + 1)
    ]
    insert_rows(db, _COLUMNS, rows)
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
    insert_rows(
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
            insert_rows(target, _COLUMNS, batch)
        new = Labels(target)
        for name, label_id in Labels(source).ids.items():
            there = new.id_of(name) - label_id << LABEL_SHIFT
            keys = source.execute(f"SELECT id + ? FROM entry_labels WHERE {_uses_in(chosen)}", (there, *uses(label_id)))
            while batch := keys.fetchmany(_BATCH):
                insert_rows(target, "entry_labels", batch)
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
    return f"id >= ? AND id < ? AND (id >> 1 & {POSITION_MASK}) {chosen}"


def _remove(db: sqlite3.Connection, chosen: str) -> None:
    db.execute(f"DELETE FROM entries WHERE id {chosen}")
    labels = Labels(db)
    for label_id in labels.ids.values():
        db.execute(f"DELETE FROM entry_labels WHERE {_uses_in(chosen)}", uses(label_id))
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
    db.execute(f"INSERT OR REPLACE INTO state VALUES (1, {marks(len(settled))})", settled)
    return settled
