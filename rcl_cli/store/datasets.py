"""Datasets in the store. What is in them is in a file each (entry_files.py), and so is what the last change left: a row
repeats that, for listings.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from rcl_cli.store.entries import State


class Dataset(NamedTuple):
    """A row.

    Args:
        file: name of the file of its entries.
        state: of the file, as far as the row knows.
    """

    id: int
    arn: str
    project_id: int
    type: str
    created_ms: int
    file: str
    state: State


_STATE = ", ".join(State._fields)
_COLUMNS = f"id, arn, project_id, type, created_ms, file, {_STATE}"
_SET_STATE = ", ".join(f"{name} = ?" for name in State._fields)


def _dataset(row: sqlite3.Row) -> Dataset:
    dataset_id, arn, project_id, kind, created_ms, file, *state = tuple(row)
    return Dataset(dataset_id, arn, project_id, kind, created_ms, file, State(*state))


def insert(
    db: sqlite3.Connection, arn: str, project_id: int, kind: str, created_ms: int, file: str, state: State
) -> None:
    """A new dataset."""
    db.execute(
        f"INSERT INTO datasets (arn, project_id, type, created_ms, file, expected, {_STATE}) "
        f"VALUES (?, ?, ?, ?, ?, ?{', ?' * len(state)})",
        (arn, project_id, kind, created_ms, file, state.revision, *state),
    )


def by_arn(db: sqlite3.Connection, arn: str) -> Dataset | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM datasets WHERE arn = ?", (arn,)).fetchone()
    return _dataset(row) if row else None


def of_project(db: sqlite3.Connection, project_id: int) -> list[Dataset]:
    """Oldest first."""
    rows = db.execute(f"SELECT {_COLUMNS} FROM datasets WHERE project_id = ? ORDER BY created_ms, id", (project_id,))
    return [_dataset(row) for row in rows]


def behind(db: sqlite3.Connection) -> list[Dataset]:
    """Those whose file may know of a change that their row does not."""
    return [_dataset(row) for row in db.execute(f"SELECT {_COLUMNS} FROM datasets WHERE revision < expected")]


def expect(db: sqlite3.Connection, dataset: Dataset, revision: int) -> bool:
    """Remember that a file is about to be changed; whether the dataset still has that file."""
    query = "UPDATE datasets SET expected = MAX(expected, ?) WHERE id = ? AND file = ?"
    return db.execute(query, (revision, dataset.id, dataset.file)).rowcount == 1


def catch_up(db: sqlite3.Connection, dataset: Dataset, state: State) -> None:
    """Repeat what a change left in the dataset's file, unless a later one was repeated already."""
    db.execute(
        f"UPDATE datasets SET {_SET_STATE} WHERE id = ? AND file = ? AND revision < ?",
        (*state, dataset.id, dataset.file, state.revision),
    )


def settle(db: sqlite3.Connection, dataset: Dataset, state: State) -> None:
    """Repeat what the dataset's file says, which nobody is changing; whoever was about to will not."""
    catch_up(db, dataset, state)
    db.execute("UPDATE datasets SET expected = revision WHERE id = ? AND file = ?", (dataset.id, dataset.file))


def replace_file(db: sqlite3.Connection, dataset: Dataset, file: str, state: State) -> None:
    """Give a dataset another file."""
    db.execute(
        f"UPDATE datasets SET file = ?, expected = ?, {_SET_STATE} WHERE id = ?",
        (file, state.revision, *state, dataset.id),
    )


def files(db: sqlite3.Connection) -> set[str]:
    """The names of all files that datasets have."""
    return {row[0] for row in db.execute("SELECT file FROM datasets")}


def delete(db: sqlite3.Connection, dataset_id: int) -> None:
    db.execute("DELETE FROM datasets WHERE id = ?", (dataset_id,))
