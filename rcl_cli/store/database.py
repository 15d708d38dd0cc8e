"""The SQLite database: one connection a thread, explicit transactions, named migrations."""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rcl_cli.errors import ConfigError
from rcl_cli.store.migrations import MIGRATIONS

_BUSY_TIMEOUT_MS = 60_000
NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "sshfs", "fuse.sshfs", "9p", "afs", "ceph"})


def file_system(path: Path) -> str:
    """Type of the file system that holds a path, empty where the platform does not tell."""
    if not sys.platform.startswith("linux"):
        return ""
    best, kind = "", ""
    try:
        mounts = Path("/proc/self/mounts").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    for line in mounts:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        mount = fields[1].replace("\\040", " ")
        inside = mount == "/" or str(path) == mount or str(path).startswith(mount + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, fields[2]
    return kind


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
                connection = self._open()
            except sqlite3.Error as error:
                raise ConfigError(f"The database {self.path} can't be opened: {error}.") from error
            self._local.connection = connection
        return connection

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_BUSY_TIMEOUT_MS / 1000, isolation_level=None)
        connection.row_factory = sqlite3.Row
        # Of a new file only: manifests' lines are long, and this writes them with fewer pages.
        connection.execute("PRAGMA page_size = 16384")
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA foreign_keys = ON")
        # WAL needs shared memory between all processes, which network mounts do not give.
        mode = "DELETE" if file_system(self.path.parent.resolve()) in NETWORK_FILE_SYSTEMS else "WAL"
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute("PRAGMA synchronous = FULL")
        self._migrate(connection)
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        """Run the migrations that this database has not seen, all in one transaction."""
        names = [name for name, _ in MIGRATIONS]
        if connection.execute("PRAGMA user_version").fetchone()[0] == len(names):
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY)")
            done = {row[0] for row in connection.execute("SELECT name FROM migrations")}
            if unknown := done - set(names):
                raise ConfigError(f"{self.path} was written by a newer rcl ({sorted(unknown)[0]}): upgrade rcl.")
            for name, statements in MIGRATIONS:
                if name not in done:
                    for statement in statements:
                        connection.execute(statement)
                    connection.execute("INSERT INTO migrations VALUES (?)", (name,))
            connection.execute(f"PRAGMA user_version = {len(names)}")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

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
            connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")

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
