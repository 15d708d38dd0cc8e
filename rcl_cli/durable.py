"""Files and folders that are on the disk, not only in the system's memory, before anybody is told that they are there.

After a power cut a file system may have a name without its content, or neither: `fsync` of the file makes sure of its
content, `fsync` of its folder of its name.
"""

from __future__ import annotations

import os
import threading
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
