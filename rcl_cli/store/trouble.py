"""What errors of SQLite and of the system mean for people: a full disk, somebody else's work, damage."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import suppress
from pathlib import Path

# With less, SQLite's files of a page or two can't grow, whatever it says of that.
_TIGHT_BYTES = 2**17


def code_of(error: BaseException) -> int:
    """SQLite's extended result code; 0 for what Python found itself, a text that is no UTF-8, say."""
    return int(getattr(error, "sqlite_errorcode", 0))


def is_full(error: BaseException, folder: Path) -> bool:
    """Whether the disk that holds a folder was too full for something."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    if not isinstance(error, sqlite3.Error):
        return False
    code = code_of(error) & 0xFF
    if code == sqlite3.SQLITE_FULL or code_of(error) == sqlite3.SQLITE_IOERR_SHMSIZE:
        return True
    # Files that can't grow are "disk I/O error", or can't be opened.
    with suppress(OSError):
        return code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and free_bytes(folder) < _TIGHT_BYTES
    return False


def free_bytes(folder: Path) -> int:
    """Room on the disk that holds a folder, for those who are not root."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def is_damage(error: sqlite3.Error) -> bool:
    """Whether a file is not what SQLite wrote."""
    return code_of(error) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def reason(error: OSError, home: Path) -> str:
    """Why something on disk did not work, as the end of a sentence."""
    return f"the disk of {home} is full" if is_full(error, home) else str(error)


def meaning(error: BaseException, home: Path) -> str:
    """A sentence for people.

    Args:
        error: of SQLite or of the system, from work in a home.
    """
    if is_full(error, home):
        return f"The disk of {home} is full: make room on it, or delete a version or a dataset"
    if not isinstance(error, sqlite3.Error):
        return f"The store can't be used: {error}"
    code = code_of(error) & 0xFF
    if is_damage(error):
        return f"The store in {home} is damaged: {error}; rcl doctor says what to do"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"Another process has been changing the store in {home} for too long: try again"
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return f"The store in {home} can't be opened for changes: {error}; look at who may write there"
    return f"The store can't be used: {error}"
