"""SQLite files on a disk that has no room for what connections share, and files that are damaged."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rcl_cli.store import connections, database
from rcl_cli.store.database import Database, StoreGoneError
from rcl_cli.store.entry_files import EntriesDamagedError, EntryFiles
from tests.conftest import in_threads


def no_room(*_: Any, **__: Any) -> sqlite3.Connection:
    """As SQLite says it where its shared memory finds no room."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    raise error


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Database]:
    """A store that can't be opened as usual."""
    (tmp_path / "home").mkdir()
    made = Database(tmp_path / "home" / "rcl.db")
    with made.write() as db:
        db.execute("CREATE TABLE seen (number INTEGER)")
        db.execute("INSERT INTO seen VALUES (7)")
    made.close()
    monkeypatch.setattr(database, "connect", no_room)
    return lambda: Database(made.path)


def read(store: Database) -> int:
    with store.read() as db:
        return int(db.execute("SELECT number FROM seen").fetchone()[0])


def test_without_room_everybody_reads_in_turn(full: Callable[[], Database]) -> None:
    numbers: list[int] = []

    def work(_: int) -> None:
        store = full()
        numbers.extend(read(store) for _ in range(5))

    with in_threads(6, work) as failures:
        pass
    assert (failures, numbers) == ([], [7] * 30)


def test_without_room_nothing_is_written(full: Callable[[], Database]) -> None:
    with pytest.raises(sqlite3.OperationalError), full().write():
        pass


def test_without_room_a_home_that_was_replaced_is_told_too(full: Callable[[], Database], tmp_path: Path) -> None:
    store = full()
    assert read(store) == 7
    (tmp_path / "home").rename(tmp_path / "away")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "rcl.db").write_bytes((tmp_path / "away" / "rcl.db").read_bytes())
    with pytest.raises(StoreGoneError):
        read(store)


def test_somebody_who_keeps_the_file_ends_the_patience(full: Callable[[], Database], tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "home" / "rcl.db", isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        connections.shared_or_alone(no_room, tmp_path / "home" / "rcl.db", database.MIGRATIONS, 300)
    other.close()
    assert read(full()) == 7


def test_a_text_that_is_no_utf8_is_damage(tmp_path: Path) -> None:
    """Python finds that itself, and gives no code of SQLite's."""
    files = EntryFiles(tmp_path)
    path = files.path("one")
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE migrations (name TEXT PRIMARY KEY)")
        db.execute("INSERT INTO migrations VALUES (CAST(x'ff' AS TEXT))")
    db.close()
    with pytest.raises(EntriesDamagedError), files.reading("one"):
        pass
