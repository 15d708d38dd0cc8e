"""Datasets and their entries in the store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rcl_cli.manifest.line import Line

_BATCH = 500


class Dataset(NamedTuple):
    id: int
    arn: str
    project_id: int
    type: str
    status: str
    message: str
    message_code: str
    created_ms: int
    updated_ms: int
    total_entries: int
    labeled_entries: int
    error_entries: int
    total_labels: int


class EntryFilter(NamedTuple):
    """Conditions of ListDatasetEntries; they hold together."""

    labels: tuple[str, ...] = ()
    is_labeled: bool | None = None
    has_errors: bool = False
    source_ref_contains: str | None = None


_COLUMNS = (
    "id, arn, project_id, type, status, message, message_code, created_ms, updated_ms, "
    "total_entries, labeled_entries, error_entries, total_labels"
)


def insert(db: sqlite3.Connection, arn: str, project_id: int, kind: str, created_ms: int) -> int:
    """An empty, complete dataset; returns its id."""
    cursor = db.execute(
        "INSERT INTO datasets (arn, project_id, type, status, message, message_code, created_ms, updated_ms) "
        "VALUES (?, ?, ?, 'CREATE_COMPLETE', 'The dataset was successfully created.', 'SUCCESS', ?, ?)",
        (arn, project_id, kind, created_ms, created_ms),
    )
    return int(cursor.lastrowid or 0)


def by_arn(db: sqlite3.Connection, arn: str) -> Dataset | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM datasets WHERE arn = ?", (arn,)).fetchone()
    return Dataset(*row) if row else None


def of_project(db: sqlite3.Connection, project_id: int) -> list[Dataset]:
    """Oldest first."""
    rows = db.execute(f"SELECT {_COLUMNS} FROM datasets WHERE project_id = ? ORDER BY created_ms, id", (project_id,))
    return [Dataset(*row) for row in rows]


def settle(db: sqlite3.Connection, dataset_id: int, status: str, message: str, code: str, updated_ms: int) -> None:
    """Write the outcome of the last operation, and bring the counts up to date."""
    db.execute(
        """UPDATE datasets SET status = ?, message = ?, message_code = ?, updated_ms = ?,
            total_entries = (SELECT COUNT(*) FROM entries WHERE dataset_id = datasets.id),
            labeled_entries = (SELECT COUNT(*) FROM entries WHERE dataset_id = datasets.id AND is_labeled = 1),
            error_entries = (SELECT COUNT(*) FROM entries WHERE dataset_id = datasets.id AND has_errors = 1),
            total_labels = (SELECT COUNT(DISTINCT label) FROM entry_labels WHERE dataset_id = datasets.id)
        WHERE id = ?""",
        (status, message, code, updated_ms, dataset_id),
    )


def delete(db: sqlite3.Connection, dataset_id: int) -> None:
    clear(db, dataset_id)
    db.execute("DELETE FROM datasets WHERE id = ?", (dataset_id,))


def clear(db: sqlite3.Connection, dataset_id: int) -> None:
    """Remove all entries."""
    db.execute("DELETE FROM entry_labels WHERE dataset_id = ?", (dataset_id,))
    db.execute("DELETE FROM entries WHERE dataset_id = ?", (dataset_id,))


# --- entries ----------------------------------------------------------------------------------------------------------


def put_entries(db: sqlite3.Connection, dataset_id: int, lines: Iterable[Line]) -> int:
    """Insert entries, or replace those whose source-ref is there already, keeping their place.

    Returns:
        How many lines were written.
    """
    from rcl_cli.manifest.line import listing

    free = int(
        db.execute("SELECT COALESCE(MAX(position), 0) + 1 FROM entries WHERE dataset_id = ?", (dataset_id,)).fetchone()[
            0
        ]
    )
    count = 0
    for line in lines:
        count += 1
        row = db.execute(
            "SELECT position FROM entries WHERE dataset_id = ? AND source_ref = ?", (dataset_id, line.source_ref)
        ).fetchone()
        if row:
            position = int(row[0])
            db.execute("DELETE FROM entry_labels WHERE dataset_id = ? AND position = ?", (dataset_id, position))
        else:
            position, free = free, free + 1
        db.execute(
            """INSERT INTO entries (dataset_id, position, source_ref, is_labeled, has_errors, line)
            VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (dataset_id, source_ref) DO UPDATE SET
            is_labeled = excluded.is_labeled, has_errors = excluded.has_errors, line = excluded.line""",
            (dataset_id, position, line.source_ref, line.is_labeled, bool(line.listed_errors), listing(line)),
        )
        db.executemany(
            "INSERT OR IGNORE INTO entry_labels VALUES (?, ?, ?, ?)",
            [(dataset_id, label, position, boxed) for label, boxed in line.named],
        )
    return count


def copy_entries(db: sqlite3.Connection, source_id: int, target_id: int) -> None:
    db.execute(
        """INSERT INTO entries (dataset_id, position, source_ref, is_labeled, has_errors, line)
        SELECT ?, position, source_ref, is_labeled, has_errors, line FROM entries WHERE dataset_id = ?
        ORDER BY position""",
        (target_id, source_id),
    )
    db.execute(
        "INSERT INTO entry_labels SELECT ?, label, position, boxed FROM entry_labels WHERE dataset_id = ?",
        (target_id, source_id),
    )


def move_entries(db: sqlite3.Connection, source_id: int, target_id: int, positions: Sequence[int]) -> None:
    """Move entries by position; they keep it in the other dataset, which must not use it yet."""
    for start in range(0, len(positions), _BATCH):
        chunk = positions[start : start + _BATCH]
        marks = ", ".join("?" * len(chunk))
        for table in ("entries", "entry_labels"):
            db.execute(
                f"UPDATE {table} SET dataset_id = ? WHERE dataset_id = ? AND position IN ({marks})",
                (target_id, source_id, *chunk),
            )


def first_source_ref(db: sqlite3.Connection, dataset_id: int) -> str:
    """A source-ref of the dataset, empty for none; all are in one bucket."""
    row = db.execute(
        "SELECT source_ref FROM entries WHERE dataset_id = ? AND source_ref LIKE 's3:%' LIMIT 1", (dataset_id,)
    ).fetchone()
    return str(row[0]) if row else ""


def label_count(db: sqlite3.Connection, dataset_id: int) -> int:
    query = "SELECT COUNT(DISTINCT label) FROM entry_labels WHERE dataset_id = ?"
    return int(db.execute(query, (dataset_id,)).fetchone()[0])


def all_lines(db: sqlite3.Connection, dataset_id: int) -> Iterator[str]:
    for row in db.execute("SELECT line FROM entries WHERE dataset_id = ? ORDER BY position", (dataset_id,)):
        yield row[0]


def labels_by_position(db: sqlite3.Connection, dataset_id: int) -> dict[int, set[str]]:
    """The labels of every entry; entries without labels have an empty set."""
    query = "SELECT position FROM entries WHERE dataset_id = ? ORDER BY position"
    found: dict[int, set[str]] = {row[0]: set() for row in db.execute(query, (dataset_id,))}
    for position, label in db.execute("SELECT position, label FROM entry_labels WHERE dataset_id = ?", (dataset_id,)):
        found[position].add(label)
    return found


def entries_page(
    db: sqlite3.Connection, dataset_id: int, conditions: EntryFilter, after: int, limit: int
) -> list[tuple[int, str]]:
    """(position, line) in manifest order, of entries behind position `after`."""
    clauses, values = ["dataset_id = ?", "position > ?"], [dataset_id, after]
    parameters: list[object] = list(values)
    if conditions.is_labeled is not None:
        clauses.append("is_labeled = ?")
        parameters.append(int(conditions.is_labeled))
    if conditions.has_errors:
        clauses.append("has_errors = 1")
    if conditions.source_ref_contains is not None:
        clauses.append("INSTR(source_ref, ?) > 0")
        parameters.append(conditions.source_ref_contains)
    if conditions.labels:
        marks = ", ".join("?" * len(conditions.labels))
        clauses.append(
            "position IN (SELECT position FROM entry_labels "
            f"WHERE dataset_id = ? AND label IN ({marks}) AND position > ?)"
        )
        parameters += [dataset_id, *conditions.labels, after]
    query = f"SELECT position, line FROM entries WHERE {' AND '.join(clauses)} ORDER BY position LIMIT ?"
    return [(row[0], row[1]) for row in db.execute(query, (*parameters, limit))]


def labels_page(db: sqlite3.Connection, dataset_id: int, after: str, limit: int) -> list[tuple[str, int, int]]:
    """(label, images that have it, images that have it on a box), by name."""
    rows = db.execute(
        """SELECT label, COUNT(DISTINCT position), COUNT(DISTINCT CASE WHEN boxed THEN position END)
        FROM entry_labels WHERE dataset_id = ? AND label > ? GROUP BY label ORDER BY label LIMIT ?""",
        (dataset_id, after, limit),
    )
    return [(row[0], row[1], row[2]) for row in rows]
