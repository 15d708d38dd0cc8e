"""Tags in the store, of projects, datasets and versions alike: they hang on an ARN."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping


def put(db: sqlite3.Connection, arn: str, tags: Mapping[str, str]) -> None:
    """Add tags; a key that is there gets the new value."""
    db.executemany(
        "INSERT INTO tags VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        [(arn, key, value) for key, value in tags.items()],
    )


def of(db: sqlite3.Connection, arn: str) -> dict[str, str]:
    return dict(db.execute("SELECT key, value FROM tags WHERE arn = ? ORDER BY key", (arn,)).fetchall())


def remove(db: sqlite3.Connection, arn: str, keys: Iterable[str]) -> None:
    """Take tags away; a key that is not there is none."""
    db.executemany("DELETE FROM tags WHERE arn = ? AND key = ?", [(arn, key) for key in keys])


def drop(db: sqlite3.Connection, arn: str) -> None:
    """Take all tags away, as their resource goes."""
    db.execute("DELETE FROM tags WHERE arn = ?", (arn,))
