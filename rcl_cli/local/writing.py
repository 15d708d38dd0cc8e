"""Files that commands write: whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from rcl_cli.durable import new_file
from rcl_cli.errors import RclError


def write_file(target: Path, write: Callable[[Path], object]) -> None:
    """Write a file under another name, and put it in its place when it is done; what was there stays until then.

    Args:
        write: is given a path of the same folder and suffix.

    Raises:
        RclError: it can't be written.
    """
    try:
        with new_file(target.parent, target.suffix) as partial:
            write(partial)
            partial.chmod(0o666 & ~_umask())
            partial.replace(target)
    except OSError as error:
        raise RclError(f"{target}: {error.strerror or error}") from error


def write_text(target: Path, text: str) -> None:
    """Write a text; names of files that are no UTF-8 are made legible.

    Raises:
        RclError: it can't be written.
    """
    write_file(target, lambda path: path.write_bytes(text.encode("utf-8", "replace")))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
