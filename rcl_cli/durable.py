"""Files and folders that are on the disk, not only in the system's memory, before anybody is told that they are there.

After a power cut a file system may have a name without its content, or neither: `fsync` of the file makes sure of its
content, `fsync` of its folder of its name.
"""

from __future__ import annotations

import os
import re
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PARTIAL = ".rcl-part-"
_NEW_FILE = re.compile(re.escape(_PARTIAL) + r"[a-z0-9_]{8}(\.\w+)?")
# Folders in which this process has looked for what others left.
_SWEPT: set[Path] = set()
_MOST_SWEPT = 1000


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
def new_file(folder: Path, suffix: str = "") -> Iterator[Path]:
    """A new, empty file for its owner, to be written and then renamed.

    Else it goes: here, or with the first such file of another process.

    Raises:
        OSError: it can't be made.
    """
    if folder not in _SWEPT:
        # Once, or nearly: a bucket may hold a great many files, and as many folders.
        if len(_SWEPT) >= _MOST_SWEPT:
            _SWEPT.clear()
        _SWEPT.add(folder)
        _remove_abandoned_files(folder)
    descriptor, path = _locked_file(folder, suffix)
    try:
        yield path
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """One at a time, of all processes and threads; where files can't be locked, all at once.

    Args:
        path: a file that is there for this; made if need be.

    Raises:
        OSError: it can't be made.
    """
    import fcntl

    with path.open("w") as lock:
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def abandoned_files(folder: Path) -> list[Path]:
    """New files of a folder whose writers died; where files can't be locked, that can't be told."""
    found = []
    for path in _new_files(folder):
        with suppress(OSError), _unless_in_use(path, os.O_NONBLOCK):
            found.append(path)
    return found


def _remove_abandoned_files(folder: Path) -> None:
    """While each is locked: its writer may have just made it, and wait for the lock."""
    for path in _new_files(folder):
        with suppress(OSError), _unless_in_use(path, os.O_NONBLOCK):
            path.unlink()


def _new_files(folder: Path) -> Iterator[Path]:
    """Regular files with such a name as `new_file` gives; buckets may hold others that begin alike."""
    for path in folder.glob(f"{_PARTIAL}*"):
        with suppress(OSError):
            if _NEW_FILE.fullmatch(path.name) and stat.S_ISREG(path.lstat().st_mode):
                yield path


def _locked_file(folder: Path, suffix: str) -> tuple[int, Path]:
    """Make a file that is locked until the descriptor that is returned is closed."""
    import fcntl
    import tempfile

    while True:
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=_PARTIAL, suffix=suffix)
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if _is(descriptor, Path(name)):
                return descriptor, Path(name)
        # Somebody took it for one that was left, before it was locked.
        os.close(descriptor)


@contextmanager
def new_folder(folder: Path) -> Iterator[None]:
    """Make a folder for its owner that goes: here, or by `remove_abandoned`, unless it got another name meanwhile.

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
    """Remove new folders whose makers died; where folders can't be locked, that can't be told, and they stay."""
    for folder in place.glob(f"{prefix}*"):
        # Who has just made it, and waits for its lock meanwhile, sees that it is gone and makes it again.
        with suppress(OSError), _unless_in_use(folder):
            import shutil

            shutil.rmtree(folder, ignore_errors=True)


def abandoned(place: Path, prefix: str) -> list[Path]:
    """What `remove_abandoned` would remove."""
    found = []
    for folder in place.glob(f"{prefix}*"):
        with suppress(OSError), _unless_in_use(folder):
            found.append(folder)
    return found


@contextmanager
def _unless_in_use(folder: Path, kind: int = getattr(os, "O_DIRECTORY", 0)) -> Iterator[None]:
    """Hold the lock of a folder, or of a file, for a moment.

    Args:
        kind: how it is opened.

    Raises:
        OSError: somebody else holds it, or it is gone, a link, or another user's: in temporary folders there are such.
    """
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY | kind | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is(descriptor, folder) or os.fstat(descriptor).st_uid != os.getuid():
            raise PermissionError(f"{folder} is not this user's")
        yield
    finally:
        os.close(descriptor)


def _locked_folder(folder: Path) -> int:
    """Make a folder that is locked until the descriptor that is returned is closed."""
    import fcntl

    while True:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = -1
        with suppress(FileNotFoundError):
            descriptor = _open_folder(folder)
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is(descriptor, folder):
                return descriptor
        # Somebody removed it before it was locked.
        if descriptor >= 0:
            os.close(descriptor)


def _open_folder(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)


def _is(descriptor: int, folder: Path) -> bool:
    """Whether a descriptor is that of the folder of this name.

    Raises:
        FileNotFoundError: there is none any more.
    """
    return os.path.samestat(os.fstat(descriptor), folder.stat())
