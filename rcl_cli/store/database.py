"""The SQLite database: one connection a thread, explicit transactions, named migrations."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rcl_cli.errors import ConfigError, RclError
from rcl_cli.store import room
from rcl_cli.store.connections import BUSY_TIMEOUT_MS, connect, shared_or_alone
from rcl_cli.store.migrations import MIGRATIONS
from rcl_cli.store.trouble import is_full, meaning


class StoreGoneError(RclError):
    """The store is not where it was any more."""


class Database:
    """Opens the database on first use and brings its schema up to date.

    Args:
        path: the file; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        # Device and inode of the file that was opened first, for all threads.
        self._file: tuple[int, int] | None = None
        self._writing_identity = threading.Lock()
        # SQLite lets writers try again and again; threads of one process can do better and stand in line.
        self._writing = threading.Lock()

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection, for reading; see `_open`."""
        return self._open(give_room=True)

    def _open(self, *, give_room: bool) -> sqlite3.Connection:
        """This thread's connection.

        Args:
            give_room: where the disk is full, use the room that the home keeps.

        Raises:
            ConfigError: the file can't be opened, or is from a newer rcl.
            sqlite3.Error: the disk is full.
            StoreGoneError: another file is in its place, or none.
        """
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            self._check_place()
            return connection
        if self._file is not None:
            self._check_place()
        before = self._there()
        try:
            connection = self._connected(give_room=give_room)
        except sqlite3.Error as error:
            if is_full(error, self.path.parent):
                raise
            raise ConfigError(f"{meaning(error, self.path.parent)}.") from error
        self._local.connection = connection
        self._remember(before)
        return connection

    def _remember(self, before: tuple[int, int] | None) -> None:
        """Take what was opened first for the store from now on.

        Args:
            before: what lay there before it was opened; it may have been made since.

        Raises:
            StoreGoneError: another file is in its place, or none.
        """
        with self._writing_identity:
            self._file = self._file or before or self._there()
        self._check_place()

    def _connected(self, *, give_room: bool) -> sqlite3.Connection:
        try:
            return connect(self.path, MIGRATIONS)
        except sqlite3.Error as error:
            if give_room and is_full(error, self.path.parent) and room.give(self.path.parent):
                return connect(self.path, MIGRATIONS)
            raise

    def _there(self) -> tuple[int, int] | None:
        """Device and inode of what lies at the path; None for nothing."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _check_place(self) -> None:
        """Whether the file still lies where it was opened: what is written to one that does not is lost.

        Raises:
            StoreGoneError: not so.
        """
        if self._there() != self._file:
            raise StoreGoneError(
                f"The folder {self.path.parent} was moved, removed or replaced while it was in use: start again."
            )

    @contextmanager
    def write(self, patience_s: float | None = None) -> Iterator[sqlite3.Connection]:
        """A write transaction: taken at once, so what is read inside still holds when it is changed.

        Args:
            patience_s: how long to wait for another writer, if not as long as usual.

        Raises:
            sqlite3.OperationalError: another writer was not done in time.
            StoreGoneError: the home is another one now; nothing was changed.
        """
        connection = self._open(give_room=False)
        if not self._writing.acquire(timeout=-1 if patience_s is None else patience_s):
            raise sqlite3.OperationalError("another thread is writing")
        try:
            self._begin(connection, patience_s)
            try:
                yield connection
                self._check_place()
                connection.execute("COMMIT")
                self._check_place()
            except BaseException:
                # A full disk ends a transaction by itself; a COMMIT that finds readers leaves it open.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        finally:
            self._writing.release()

    @staticmethod
    def _begin(connection: sqlite3.Connection, patience_s: float | None) -> None:
        if patience_s is None:
            connection.execute("BEGIN IMMEDIATE")
            return
        connection.execute(f"PRAGMA busy_timeout = {round(patience_s * 1000)}")
        try:
            connection.execute("BEGIN IMMEDIATE")
        finally:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A read transaction: one consistent picture."""
        with self._reading() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection, or one for this time where the disk has no room for any."""
        before = self._there()
        connection = shared_or_alone(lambda: self.connection, self.path, MIGRATIONS, BUSY_TIMEOUT_MS)
        try:
            self._remember(before)
            yield connection
        finally:
            if connection is not getattr(self._local, "connection", None):
                connection.close()

    def close(self) -> None:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None
