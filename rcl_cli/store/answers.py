"""What a model said of pictures: a file a version, below the home's cache, that can be made anew by asking again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

_BATCH = 500
_TABLE = "CREATE TABLE IF NOT EXISTS answers (source_ref TEXT PRIMARY KEY, found TEXT NOT NULL) WITHOUT ROWID"


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """A version's file, made where it is not there."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as db:
        # What a power cut takes is asked again.
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(_TABLE)
        yield db


def put(db: sqlite3.Connection, source_ref: str, found: str) -> None:
    """Keep what was said of a picture, instead of what was said before."""
    db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (source_ref, found))


def count(path: Path) -> int:
    """Of how many pictures it is known what was said."""
    if not path.exists():
        return 0
    with writing(path) as db:
        return int(db.execute("SELECT COUNT(*) FROM answers").fetchone()[0])


def of(path: Path, source_refs: Sequence[str]) -> dict[str, str]:
    """What was said of pictures; those that nobody asked about are left out."""
    found: dict[str, str] = {}
    if not path.exists():
        return found
    with writing(path) as db:
        for start in range(0, len(source_refs), _BATCH):
            part = source_refs[start : start + _BATCH]
            query = f"SELECT source_ref, found FROM answers WHERE source_ref IN ({', '.join('?' * len(part))})"
            found |= dict(db.execute(query, part))
    return found
