"""Projects in the store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple


class Project(NamedTuple):
    id: int
    arn: str
    name: str
    feature: str
    status: str
    created_ms: int


_COLUMNS = "id, arn, name, feature, status, created_ms"


def insert(db: sqlite3.Connection, arn: str, name: str, created_ms: int) -> None:
    db.execute(
        "INSERT INTO projects (arn, name, feature, status, created_ms) VALUES (?, ?, 'CUSTOM_LABELS', 'CREATED', ?)",
        (arn, name, created_ms),
    )


def by_arn(db: sqlite3.Connection, arn: str) -> Project | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM projects WHERE arn = ?", (arn,)).fetchone()
    return Project(*row) if row else None


def by_name(db: sqlite3.Connection, name: str) -> Project | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM projects WHERE name = ?", (name,)).fetchone()
    return Project(*row) if row else None


def by_id(db: sqlite3.Connection, project_id: int) -> Project:
    return Project(*db.execute(f"SELECT {_COLUMNS} FROM projects WHERE id = ?", (project_id,)).fetchone())


def page(
    db: sqlite3.Connection, names: Iterable[str] | None, before: tuple[int, int] | None, limit: int
) -> list[Project]:
    """Newest first; `before` is (created_ms, id) of the last project of the page before."""
    clauses: list[str] = []
    values: list[object] = []
    if names is not None:
        wanted = list(names)
        clauses.append(f"name IN ({', '.join('?' * len(wanted))})")
        values += wanted
    if before is not None:
        clauses.append("(created_ms, id) < (?, ?)")
        values += before
    where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM projects {where} ORDER BY created_ms DESC, id DESC LIMIT ?", (*values, limit)
    )
    return [Project(*row) for row in rows]


def delete(db: sqlite3.Connection, project_id: int) -> None:
    db.execute("DELETE FROM projects WHERE id = ?", (project_id,))
