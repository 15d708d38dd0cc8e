"""Room that a home keeps for the day on which its disk is full.

SQLite needs some for every look at a file and for every deletion: without it a full disk would keep its owner from all
that makes room.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from rcl_cli.store.trouble import free_bytes

_NAME, _BYTES = ".room", 2**20
# Else it would be taken from what was just made.
_PLENTY_BYTES = 64 * 2**20


def keep(home: Path) -> None:
    """Take the room, where the disk has plenty; doing without is no failure."""
    place = home / _NAME
    with suppress(OSError):
        if place.exists() or free_bytes(home) < _PLENTY_BYTES:
            return
        partial = place.with_name(f"{_NAME}.new")
        try:
            # Written, not only claimed: file systems that compress or copy on write promise nothing.
            partial.write_bytes(os.urandom(_BYTES))
            partial.replace(place)
        finally:
            partial.unlink(missing_ok=True)


def give(home: Path) -> bool:
    """Give the room away; false where there is none."""
    try:
        (home / _NAME).unlink()
    except OSError:
        return False
    return True
