"""A folder a dataset for its entries, so that a long change of one keeps nobody from anything else.

A dataset's file is written as a draft that nobody knows of, synced, and gets its name while the store is held for the
row that names it. Names are never used again. What no row names is nobody's, and goes with the next sweep.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from rcl_cli.durable import new_folder, remove_abandoned, replace_durably, sync_tree
from rcl_cli.errors import RclError
from rcl_cli.store import room
from rcl_cli.store.connections import BUSY_TIMEOUT_MS, Migration, connect, connect_to_read, draft
from rcl_cli.store.trouble import code_of, is_full

_FILE = "entries.db"
_NEW, _GONE = ".new-", ".gone-"

# Keys that hold more than one thing are explained in entry_labels.py.
_INITIAL = (
    """CREATE TABLE entries (
        id INTEGER PRIMARY KEY,
        source_ref TEXT NOT NULL UNIQUE,
        is_labeled INTEGER NOT NULL,
        has_errors INTEGER NOT NULL,
        line TEXT NOT NULL
    )""",
    "CREATE INDEX entries_labeled ON entries (is_labeled)",
    "CREATE INDEX entries_errors ON entries (has_errors) WHERE has_errors = 1",
    "CREATE TABLE labels (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE entry_labels (id INTEGER PRIMARY KEY)",
    # What the last change left, one row.
    """CREATE TABLE state (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        revision INTEGER NOT NULL,
        status TEXT NOT NULL,
        message TEXT NOT NULL,
        message_code TEXT NOT NULL,
        updated_ms INTEGER NOT NULL,
        total_entries INTEGER NOT NULL,
        labeled_entries INTEGER NOT NULL,
        error_entries INTEGER NOT NULL,
        total_labels INTEGER NOT NULL
    )""",
)
MIGRATIONS: tuple[Migration, ...] = (("initial", _INITIAL),)


# Threads of one process that change the same file stand in line: SQLite would let them try again and again.
_QUEUES: dict[Path, threading.Lock] = {}


_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


_Way = Callable[[Path, int], sqlite3.Connection]


def _connect_to_read(path: Path, patience_ms: int) -> sqlite3.Connection:
    return connect_to_read(path, MIGRATIONS, patience_ms)


def _connect_to_write(path: Path, patience_ms: int) -> sqlite3.Connection:
    return connect(path, MIGRATIONS, patience_ms, is_new=False)


class EntriesGoneError(Exception):
    """There is no such file: its dataset was deleted, or has another one now."""


class EntriesBusyError(Exception):
    """Somebody else changes the file for a long time."""


class EntriesDamagedError(RclError):
    """The file is not what was written."""


class EntryFiles(NamedTuple):
    """The entries of all datasets of a home.

    Args:
        folder: made on first use.
    """

    folder: Path

    def path(self, name: str) -> Path:
        return self.folder / name / _FILE

    @contextmanager
    def reading(self, name: str) -> Iterator[sqlite3.Connection]:
        """A read transaction: one consistent picture, whatever becomes of the dataset meanwhile.

        Raises:
            EntriesGoneError: there is no such file.
            EntriesDamagedError: it can't be read, now or later on.
        """
        with closing(self._connect(name, _connect_to_read)) as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            except sqlite3.DatabaseError as error:
                if _code(error) in _DAMAGED:
                    raise self._meant(name, error) from error
                raise

    @contextmanager
    def writing(self, name: str, patience_s: float | None = None) -> Iterator[sqlite3.Connection]:
        """A write transaction, taken at once; to be committed by whoever asks for it, else nothing is changed.

        Args:
            patience_s: how long to wait for another writer, if not as long as usual.

        Raises:
            EntriesGoneError: there is no such file.
            EntriesBusyError: another writer was not done in time.
            EntriesDamagedError: it can't be read or changed.
        """
        queue = _QUEUES.setdefault(self.path(name), threading.Lock())
        if not queue.acquire(timeout=-1 if patience_s is None else patience_s):
            raise EntriesBusyError(name)
        try:
            with closing(self._connect(name, _connect_to_write, patience_s)) as connection:
                try:
                    connection.execute("BEGIN IMMEDIATE")
                except sqlite3.DatabaseError as error:
                    raise self._meant(name, error) from error
                yield connection
        finally:
            queue.release()

    def _connect(self, name: str, way: _Way, patience_s: float | None = None) -> sqlite3.Connection:
        path = self.path(name)
        patience_ms = BUSY_TIMEOUT_MS if patience_s is None else round(patience_s * 1000)
        try:
            if not path.stat().st_size:
                raise sqlite3.DatabaseError("it is empty")
            return self._opened(path, way, patience_ms)
        except FileNotFoundError as error:
            raise EntriesGoneError(name) from error
        except sqlite3.DatabaseError as error:
            raise self._meant(name, error) from error

    def _opened(self, path: Path, way: _Way, patience_ms: int) -> sqlite3.Connection:
        try:
            return way(path, patience_ms)
        except sqlite3.DatabaseError as error:
            if is_full(error, self.folder) and room.give(self.folder.parent):
                return way(path, patience_ms)
            raise

    def _meant(self, name: str, error: sqlite3.DatabaseError) -> Exception:
        """What an error of SQLite means: that the file is gone, taken, or damaged; or itself."""
        path = self.path(name)
        if not path.is_file():
            return EntriesGoneError(name)
        if _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return EntriesBusyError(name)
        if _code(error) in _DAMAGED:
            return EntriesDamagedError(
                f"The entries of a dataset can't be read: {path}: {error}. Put the file back from a backup, or delete "
                "the dataset."
            )
        return error

    @contextmanager
    def draft(self, name: str) -> Iterator[Draft]:
        """A new file; thrown away unless it is kept.

        Args:
            name: one that was never used.

        Raises:
            OSError, sqlite3.Error: it can't be made.
        """
        folder = self.folder / f"{_NEW}{name}"
        with new_folder(folder), closing(Draft(folder, self.folder / name)) as made:
            yield made

    def put_aside_all_but(self, names: Collection[str]) -> None:
        """Take away from everybody, who does not have it open, what no row names.

        Whoever asks holds the store, and so do drafts when they get their names.
        """
        for path in self.folder.glob("[!.]*"):
            if path.name not in names:
                with suppress(OSError):
                    path.rename(path.with_name(f"{_GONE}{path.name}"))

    def sweep(self) -> None:
        """Remove what was put aside, and drafts whose writers died."""
        remove_abandoned(self.folder, _NEW)
        for path in self.folder.glob(f"{_GONE}*"):
            import shutil

            shutil.rmtree(path, ignore_errors=True)


class Draft:
    """A file that nobody knows of yet.

    Args:
        folder: where it is written.
        final: where it is to be.

    Attributes:
        db: a transaction on it.
    """

    def __init__(self, folder: Path, final: Path) -> None:
        self._folder, self._final = folder, final
        self.db = self._begun()

    def replace_by(self, other: sqlite3.Connection) -> None:
        """Take over everything that another file has.

        Args:
            other: in no write transaction: SQLite waits for that to end.
        """
        self.db.execute("COMMIT")
        other.backup(self.db)
        # The other file's way of writing came along.
        self.db.execute("PRAGMA journal_mode = OFF")
        self.db.execute("BEGIN")

    def empty(self) -> None:
        """Begin anew: what was written takes no room."""
        self.db.close()
        (self._folder / _FILE).unlink()
        self.db = self._begun()

    def _begun(self) -> sqlite3.Connection:
        path = self._folder / _FILE
        path.touch(mode=0o600)
        connection = draft(path, MIGRATIONS)
        connection.execute("BEGIN")
        return connection

    def close(self) -> None:
        self.db.close()

    def finish(self) -> None:
        """Bring it to the disk.

        Raises:
            OSError, sqlite3.Error: there is no room.
        """
        self.db.execute("COMMIT")
        self.db.close()
        # Opened as everybody will: the first one would change how the file is written, and wants to be alone for it.
        connect(self._folder / _FILE, MIGRATIONS).close()
        sync_tree(self._folder)

    def keep(self) -> str:
        """Give the finished file its name; returns it. The store is held meanwhile, for the row that has it.

        Raises:
            OSError: it can't be had.
        """
        replace_durably(self._folder, self._final)
        return self._final.name


def _code(error: sqlite3.DatabaseError) -> int:
    """SQLite's primary result code; ours are about damaged files."""
    return (code_of(error) or sqlite3.SQLITE_CORRUPT) & 0xFF
