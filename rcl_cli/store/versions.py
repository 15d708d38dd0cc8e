"""Project versions (models) in the store, and the processes that work on them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from rcl_cli.status import WORKED_ON, VersionStatus


class Version(NamedTuple):
    id: int
    arn: str
    project_id: int
    name: str
    status: str
    message: str
    created_ms: int
    ended_ms: int | None
    request: dict[str, Any]
    result: dict[str, Any]
    min_units: int | None
    max_units: int | None


_COLUMNS = "id, arn, project_id, name, status, message, created_ms, ended_ms, request, result, min_units, max_units"


def _version(row: sqlite3.Row) -> Version:
    values = list(row)
    for column in (8, 9):
        values[column] = json.loads(values[column]) if values[column] is not None else None
    return Version(*values)


_BEGINNINGS = {
    VersionStatus.TRAINING_IN_PROGRESS: "The model is being trained.",
    VersionStatus.COPYING_IN_PROGRESS: "The model is being copied.",
}


def insert(
    db: sqlite3.Connection,
    arn: str,
    project_id: int,
    name: str,
    created_ms: int,
    request: Mapping[str, Any],
    status: str = VersionStatus.TRAINING_IN_PROGRESS,
) -> int:
    """A version that is being trained or copied; returns its id.

    Args:
        request: the input of CreateProjectVersion or CopyProjectVersion.
    """
    cursor = db.execute(
        "INSERT INTO versions (arn, project_id, name, status, message, created_ms, request) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (arn, project_id, name, status, _BEGINNINGS[status], created_ms, json.dumps(request)),
    )
    return int(cursor.lastrowid or 0)


def by_arn(db: sqlite3.Connection, arn: str) -> Version | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM versions WHERE arn = ?", (arn,)).fetchone()
    return _version(row) if row else None


def by_id(db: sqlite3.Connection, version_id: int) -> Version | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM versions WHERE id = ?", (version_id,)).fetchone()
    return _version(row) if row else None


def by_name(db: sqlite3.Connection, project_id: int, name: str) -> Version | None:
    query = f"SELECT {_COLUMNS} FROM versions WHERE project_id = ? AND name = ?"
    row = db.execute(query, (project_id, name)).fetchone()
    return _version(row) if row else None


def statuses(db: sqlite3.Connection) -> dict[int, str]:
    """Of all versions that there are, by id."""
    return {int(row[0]): str(row[1]) for row in db.execute("SELECT id, status FROM versions")}


def count_of_project(db: sqlite3.Connection, project_id: int) -> int:
    return int(db.execute("SELECT COUNT(*) FROM versions WHERE project_id = ?", (project_id,)).fetchone()[0])


def page(
    db: sqlite3.Connection, project_id: int, names: Iterable[str] | None, before: tuple[int, int] | None, limit: int
) -> list[Version]:
    """Newest first; `before` is (created_ms, id) of the last version of the page before."""
    clauses, values = ["project_id = ?"], [project_id]
    parameters: list[object] = list(values)
    if names is not None:
        wanted = list(names)
        clauses.append(f"name IN ({', '.join('?' * len(wanted))})")
        parameters += wanted
    if before is not None:
        clauses.append("(created_ms, id) < (?, ?)")
        parameters += before
    query = f"SELECT {_COLUMNS} FROM versions WHERE {' AND '.join(clauses)} ORDER BY created_ms DESC, id DESC LIMIT ?"
    return [_version(row) for row in db.execute(query, (*parameters, limit))]


def in_transition(db: sqlite3.Connection) -> list[Version]:
    marks = ", ".join("?" * len(WORKED_ON))
    rows = db.execute(f"SELECT {_COLUMNS} FROM versions WHERE status IN ({marks})", WORKED_ON)
    return [_version(row) for row in rows]


def move(db: sqlite3.Connection, version_id: int, allowed: Iterable[str], status: str, message: str) -> bool:
    """Compare-and-set of the status; false where it was none of `allowed`."""
    wanted = tuple(allowed)
    marks = ", ".join("?" * len(wanted))
    cursor = db.execute(
        f"UPDATE versions SET status = ?, message = ? WHERE id = ? AND status IN ({marks})",
        (status, message, version_id, *wanted),
    )
    return cursor.rowcount == 1


def end_making(db: sqlite3.Connection, version_id: int, ended_ms: int | None, result: Mapping[str, Any]) -> None:
    """Keep when a training or copy ended, and what it found."""
    db.execute(
        "UPDATE versions SET ended_ms = ?, result = ? WHERE id = ?",
        (ended_ms, json.dumps(result), version_id),
    )


def set_units(db: sqlite3.Connection, version_id: int, min_units: int, max_units: int | None) -> None:
    db.execute("UPDATE versions SET min_units = ?, max_units = ? WHERE id = ?", (min_units, max_units, version_id))


def delete(db: sqlite3.Connection, version_id: int) -> None:
    db.execute("DELETE FROM versions WHERE id = ?", (version_id,))
