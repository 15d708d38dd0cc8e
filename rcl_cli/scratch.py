"""Folders for what is needed only while something is done.

They lie in the system's folder for temporary files and go with whoever made them; what a killed process left goes when
the next one is made.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rcl_cli.durable import abandoned, new_folder, remove_abandoned

_PREFIX = "rcl-scratch-"


@contextmanager
def scratch(purpose: str) -> Iterator[Path]:
    """A new, empty folder for its owner only.

    Args:
        purpose: a word that tells people who look what it is for.

    Raises:
        OSError: it can't be made.
    """
    import secrets

    with scratch_at(place_of(purpose, secrets.token_hex(8))) as folder:
        yield folder


def place_of(purpose: str, name: str, within: Path | None = None) -> Path:
    """Where such a folder is, which may be known before it is made.

    Args:
        name: that nobody can guess.
        within: a folder for what is too large for the system's own, which may lie in memory.
    """
    return Path(within or tempfile.gettempdir(), f"{_PREFIX}{purpose}-{name}")


@contextmanager
def scratch_at(folder: Path) -> Iterator[Path]:
    """See `scratch`; at a place that `place_of` gave."""
    remove_abandoned(folder.parent, _PREFIX)
    with new_folder(folder):
        yield folder


def left_behind(*places: Path) -> list[Path]:
    """Such folders of killed processes, in the system's folder and others; the next that makes one removes them."""
    return [folder for place in (Path(tempfile.gettempdir()), *places) for folder in abandoned(place, _PREFIX)]
