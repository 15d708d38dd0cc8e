"""Project policies in the store."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    id: int
    name: str
    revision_id: str
    document: str
    created_ms: int
    updated_ms: int


_COLUMNS = "id, name, revision_id, document, created_ms, updated_ms"


def by_name(db: sqlite3.Connection, project_id: int, name: str) -> Policy | None:
    query = f"SELECT {_COLUMNS} FROM policies WHERE project_id = ? AND name = ?"
    row = db.execute(query, (project_id, name)).fetchone()
    return Policy(*row) if row else None


def put(db: sqlite3.Connection, project_id: int, name: str, document: str, *, revision_id: str, now_ms: int) -> None:
    """Write a policy; one of that name is replaced and keeps its place and its creation time."""
    db.execute(
        """INSERT INTO policies (project_id, name, revision_id, document, created_ms, updated_ms)
        VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (project_id, name) DO UPDATE SET
        revision_id = excluded.revision_id, document = excluded.document, updated_ms = excluded.updated_ms""",
        (project_id, name, revision_id, document, now_ms, now_ms),
    )


def page(db: sqlite3.Connection, project_id: int, after_id: int | None, limit: int) -> list[Policy]:
    """Oldest first; `after_id` is the id of the last policy of the page before."""
    query = f"SELECT {_COLUMNS} FROM policies WHERE project_id = ? AND id > ? ORDER BY id LIMIT ?"
    return [Policy(*row) for row in db.execute(query, (project_id, after_id or 0, limit))]


def delete(db: sqlite3.Connection, policy_id: int) -> None:
    db.execute("DELETE FROM policies WHERE id = ?", (policy_id,))
