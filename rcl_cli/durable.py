"""Files and folders that are on the disk, not only in the system's memory, before anybody is told that they are there.

After a power cut a file system may have a name without its content, or neither: `fsync` of the file makes sure of its
content, `fsync` of its folder of its name.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make sure of the names in a folder."""
    _sync(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | getattr(os, "O_CLOEXEC", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Make sure of every file and folder below a folder, and of the folder itself."""
    for place, _, files in os.walk(folder):
        for name in files:
            _sync(Path(place, name), os.O_RDONLY)
        sync_folder(Path(place))


def write_durably(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all, whatever happens."""
    partial = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        with partial.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        replace_durably(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def replace_durably(source: Path, target: Path) -> None:
    """Rename a file or folder whose content is on the disk."""
    source.replace(target)
    sync_folder(target.parent)
    if source.parent != target.parent:
        sync_folder(source.parent)


@contextmanager
def new_folder(folder: Path) -> Iterator[None]:
    """Make a folder that is to get another name when it is complete, and else goes: here, or by `remove_abandoned`.

    Raises:
        OSError: it can't be made.
    """
    import shutil

    lock = _locked_folder(folder)
    try:
        yield
    finally:
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(place: Path, prefix: str) -> None:
    """Remove new folders whose makers died."""
    import shutil

    for folder in place.glob(f"{prefix}*"):
        if not _is_locked(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _locked_folder(folder: Path) -> int:
    """Make a folder that is locked until the descriptor that is returned is closed."""
    import fcntl

    while True:
        folder.mkdir(mode=0o700, parents=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        # Where folders can't be locked, as on NFS, those of the dead stay.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        with suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), folder.stat()):
                return descriptor
        # Somebody removed it before it was locked.
        os.close(descriptor)


def _is_locked(folder: Path) -> bool:
    """Whether its maker is at work, as far as can be told."""
    import fcntl

    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
