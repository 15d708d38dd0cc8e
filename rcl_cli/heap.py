"""How glibc keeps memory that programs give back; elsewhere nothing of this does anything."""

from __future__ import annotations

import ctypes
from contextlib import suppress

# Of mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8


def tune(
    *, mmap_threshold_bytes: int | None = None, trim_threshold_bytes: int | None = None, heaps: int | None = None
) -> None:
    """Set what is given.

    Args:
        mmap_threshold_bytes: what is larger is the system's again when it is given back; at most 32 MiB.
        trim_threshold_bytes: so much is kept at the end of a heap.
        heaps: for all threads together; by default there are eight a core.
    """
    settings = ((_MMAP_THRESHOLD, mmap_threshold_bytes), (_TRIM_THRESHOLD, trim_threshold_bytes), (_ARENA_MAX, heaps))
    with suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(None)
        for name, value in settings:
            if value is not None:
                library.mallopt(name, value)


def trim() -> None:
    """Give back to the system what is not in use."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
