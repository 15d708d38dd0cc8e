"""The SQLite database: one connection a thread, explicit transactions, named migrations."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rcl_cli.errors import ConfigError
from rcl_cli.store.connections import BUSY_TIMEOUT_MS, connect
from rcl_cli.store.migrations import MIGRATIONS


class Database:
    """Opens the database on first use and brings its schema up to date.

    Args:
        path: the file; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        # SQLite lets writers try again and again; threads of one process can do better and stand in line.
        self._writing = threading.Lock()

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection.

        Raises:
            ConfigError: the file can't be opened, or is from a newer rcl.
        """
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            try:
                connection = connect(self.path, MIGRATIONS)
            except sqlite3.Error as error:
                raise ConfigError(f"The database {self.path} can't be opened: {error}.") from error
            self._local.connection = connection
        return connection

    @contextmanager
    def write(self, patience_s: float | None = None) -> Iterator[sqlite3.Connection]:
        """A write transaction: taken at once, so what is read inside still holds when it is changed.

        Args:
            patience_s: how long to wait for another writer, if not as long as usual.

        Raises:
            sqlite3.OperationalError: another writer was not done in time.
        """
        connection = self.connection
        if not self._writing.acquire(timeout=-1 if patience_s is None else patience_s):
            raise sqlite3.OperationalError("another thread is writing")
        try:
            self._begin(connection, patience_s)
            try:
                yield connection
                connection.execute("COMMIT")
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
        connection = self.connection
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            if connection.in_transaction:
                connection.execute("COMMIT")

    def close(self) -> None:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None
