"""Datasets in the store; `entries` has what is in them."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from rcl_cli.store import entries
from rcl_cli.store.entries import Counts


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

    @property
    def counts(self) -> Counts:
        return Counts(self.total_entries, self.labeled_entries, self.error_entries)


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


def settle(
    db: sqlite3.Connection, dataset_id: int, status: str, message: str, code: str, updated_ms: int, counts: Counts
) -> None:
    """Write the outcome of the last operation.

    Args:
        counts: of the dataset's entries as they are now.
    """
    db.execute(
        """UPDATE datasets SET status = ?, message = ?, message_code = ?, updated_ms = ?,
            total_entries = ?, labeled_entries = ?, error_entries = ?, total_labels = ? WHERE id = ?""",
        (status, message, code, updated_ms, *counts, entries.label_count(db, dataset_id), dataset_id),
    )


def delete(db: sqlite3.Connection, dataset_id: int) -> None:
    entries.clear(db, dataset_id)
    db.execute("DELETE FROM datasets WHERE id = ?", (dataset_id,))
