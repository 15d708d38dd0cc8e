"""SQLite files: how they are opened, and brought up to date by named migrations."""

from __future__ import annotations

import random
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from rcl_cli.errors import ConfigError
from rcl_cli.store.trouble import code_of

BUSY_TIMEOUT_MS = 60_000
# Who reads alone does so for a moment.
_ALONE_MS = 200
_ASKING_ALONE = threading.Lock()
NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "sshfs", "fuse.sshfs", "9p", "afs", "ceph"})

Step = str | Callable[[sqlite3.Connection, Path], None]
# A name, and what it does: statements, and functions of a connection and the file's folder.
Migration = tuple[str, tuple[Step, ...]]


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


def connect(
    path: Path, migrations: Sequence[Migration], patience_ms: int = BUSY_TIMEOUT_MS, *, is_new: bool = True
) -> sqlite3.Connection:
    """Open a file for changes that survive power cuts.

    Args:
        patience_ms: how long to wait for others, here and later.
        is_new: it may be, and is made then.

    Raises:
        ConfigError: a newer rcl wrote it.
        sqlite3.Error: it can't be opened.
    """
    connection = _open(path, patience_ms, "rwc" if is_new else "rw")
    try:
        # WAL needs shared memory between all processes, which network mounts do not give.
        mode = "DELETE" if _is_on_network(path.parent) else "WAL"
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute("PRAGMA synchronous = FULL")
        _migrate(connection, path, migrations)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_read(path: Path, migrations: Sequence[Migration], patience_ms: int) -> sqlite3.Connection:
    """Open a file that is there, to read it: what only writers need costs as much as a page of entries.

    Raises:
        ConfigError, sqlite3.Error: as `connect`.
    """
    return shared_or_alone(
        lambda: _read_by(path, migrations, patience_ms) or connect(path, migrations, patience_ms, is_new=False),
        path, migrations, patience_ms,
    )  # fmt: skip


def shared_or_alone(
    shared: Callable[[], sqlite3.Connection], path: Path, migrations: Sequence[Migration], patience_ms: int
) -> sqlite3.Connection:
    """A connection to read by; where the disk has no room for what SQLite shares with others, one that shares nothing.

    Others wait until it is closed.

    Args:
        shared: connects as usual.

    Raises:
        what `shared` raises.
    """
    deadline = time.monotonic() + patience_ms / 1000
    while True:
        try:
            return shared()
        except sqlite3.OperationalError as error:
            if code_of(error) != sqlite3.SQLITE_IOERR_SHMSIZE:
                raise
            try:
                # Several who ask at the same moment keep each other from it: threads take turns, processes are patient
                # for times of their own.
                with _ASKING_ALONE:
                    alone = _read_by(path, migrations, _ALONE_MS, "locking_mode = EXCLUSIVE")
            except sqlite3.OperationalError as taken:
                if code_of(taken) & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise error from taken
                time.sleep(random.uniform(0, _ALONE_MS / 1000))
                continue
            if alone is None:
                raise
            return alone


def _read_by(
    path: Path, migrations: Sequence[Migration], patience_ms: int, setting: str = ""
) -> sqlite3.Connection | None:
    """A connection to a file that is up to date; None for one that is not.

    Args:
        setting: made before the file is looked at.
    """
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=patience_ms / 1000, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        if setting:
            connection.execute(f"PRAGMA {setting}")
        if connection.execute("PRAGMA user_version").fetchone()[0] == len(migrations):
            return connection
    except BaseException:
        connection.close()
        raise
    connection.close()
    return None


def draft(path: Path, migrations: Sequence[Migration]) -> sqlite3.Connection:
    """Open a new file that nobody knows of yet: whatever happens before it is synced ends with throwing it away."""
    connection = _open(path, BUSY_TIMEOUT_MS, "rwc")
    try:
        for setting in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
            connection.execute(f"PRAGMA {setting}")
        _migrate(connection, path, migrations)
    except BaseException:
        connection.close()
        raise
    return connection


@cache
def _is_on_network(folder: Path) -> bool:
    return file_system(folder.resolve()) in NETWORK_FILE_SYSTEMS


def _open(path: Path, patience_ms: int, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=patience_ms / 1000, isolation_level=None)
    connection.row_factory = sqlite3.Row
    # Of a new file only: manifests' lines are long, and this writes them with fewer pages.
    connection.execute("PRAGMA page_size = 16384")
    connection.execute(f"PRAGMA busy_timeout = {patience_ms}")
    connection.execute("PRAGMA foreign_keys = ON")
    # Overwriting what is deleted costs as much again; a home is its owner's.
    connection.execute("PRAGMA secure_delete = OFF")
    return connection


def _migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    """Run the migrations that this file has not seen, all in one transaction."""
    names = [name for name, _ in migrations]
    if connection.execute("PRAGMA user_version").fetchone()[0] == len(names):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY)")
        done = {row[0] for row in connection.execute("SELECT name FROM migrations")}
        if unknown := done - set(names):
            raise ConfigError(f"{path} was written by a newer rcl ({sorted(unknown)[0]}): upgrade rcl.")
        for name, steps in migrations:
            if name not in done:
                for step in steps:
                    connection.execute(step) if isinstance(step, str) else step(connection, path.parent)
                connection.execute("INSERT INTO migrations VALUES (?)", (name,))
        connection.execute(f"PRAGMA user_version = {len(names)}")
        connection.execute("COMMIT")
    except BaseException:
        # A full disk ends a transaction by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    free, pages = (connection.execute(f"PRAGMA {name}_count").fetchone()[0] for name in ("freelist", "page"))
    if free > pages // 4:
        # What moved out leaves its room to others; where the disk has none for that now, nothing is lost.
        with suppress(sqlite3.OperationalError):
            connection.execute("VACUUM")
