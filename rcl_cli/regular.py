"""Files that others name: opened where they are regular files, and never otherwise.

A pipe waits for a writer who never comes, a device hangs or does something, a folder can't be read. What a manifest, an
export or a folder of images calls a file may be any of them.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO, TextIO, cast


def check_regular(path: str | Path) -> os.stat_result:
    """What the system knows of a regular file, or of the one that a link leads to.

    Raises:
        OSError: it is not there, or is a folder, a pipe, a device or a socket: its text says which file.
    """
    return _checked(os.stat(path), path)  # noqa: PTH116 - paths may be plain strings


def _checked(found: os.stat_result, path: str | Path) -> os.stat_result:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "is no regular file", str(path))
    return found


def _descriptor(path: str, flags: int) -> int:
    """For `open`.

    Raises:
        OSError: as `check_regular`.
    """
    # Opening a device may do something already.
    check_regular(path)
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        # It may have been put there meanwhile; without a wait it is opened and closed again.
        _checked(os.fstat(descriptor), path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_bytes(path: str | Path) -> BinaryIO:
    """A regular file's bytes as a stream.

    Raises:
        OSError: it is not there, can't be read, or is no regular file.
    """
    return cast("BinaryIO", open(path, "rb", opener=_descriptor))


def open_text(path: str | Path, encoding: str = "utf-8", newline: str | None = None) -> TextIO:
    """A regular file's text as a stream.

    Raises:
        OSError: as `open_bytes`.
    """
    stream = open(path, encoding=encoding, newline=newline, opener=_descriptor)  # noqa: SIM115
    return cast("TextIO", stream)


def read_bytes(path: str | Path) -> bytes:
    """All bytes of a regular file.

    Raises:
        OSError: as `open_bytes`.
    """
    with open_bytes(path) as stream:
        return stream.read()
