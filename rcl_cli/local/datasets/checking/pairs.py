"""Images that look alike, among many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from rcl_cli.local.datasets.checking.looks import Look, likeness

# How many of 64 bits may differ before thumbnails are compared, and how alike those must be.
_MOST_BITS = 10
LEAST_LIKENESS = 0.97
_ROWS_AT_ONCE = 1024
# Above this many images only hashes that share a quarter are compared: all pairs would take too long.
_MOST_FOR_ALL_PAIRS = 30_000
_BANDS = 4


def near_duplicates(looks: Sequence[Look]) -> Iterator[tuple[int, int, float]]:
    """Pairs of indices of different files that look the same, the smaller one first, with their likeness."""
    for one, other in _candidates(np.array([look.bits for look in looks], dtype=np.uint64)):
        if looks[one].digest == looks[other].digest:
            continue
        alike = likeness(looks[one].thumbnail, looks[other].thumbnail)
        if alike >= LEAST_LIKENESS:
            yield one, other, alike


def _candidates(hashes: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs whose hashes differ in few bits."""
    if len(hashes) > _MOST_FOR_ALL_PAIRS:
        yield from _sharing_a_band(hashes)
        return
    for start in range(0, len(hashes), _ROWS_AT_ONCE):
        block = hashes[start : start + _ROWS_AT_ONCE]
        close = np.bitwise_count(block[:, None] ^ hashes[None, start:]) <= _MOST_BITS
        for row, column in zip(*np.nonzero(np.triu(close, 1)), strict=True):
            yield start + int(row), start + int(column)


def _sharing_a_band(hashes: np.ndarray) -> Iterator[tuple[int, int]]:
    seen: set[tuple[int, int]] = set()
    for band in range(_BANDS):
        values = (hashes >> np.uint64(16 * band)) & np.uint64(0xFFFF)
        order = np.argsort(values, kind="stable")
        starts = np.flatnonzero(np.diff(values[order], prepend=values[order[:1]]))
        for group in np.split(order, starts):
            # A band that very many share is one of plain surfaces.
            members = sorted(int(i) for i in group[:_ROWS_AT_ONCE])
            for position, one in enumerate(members):
                for other in members[position + 1 :]:
                    if (one, other) not in seen and int(hashes[one] ^ hashes[other]).bit_count() <= _MOST_BITS:
                        seen.add((one, other))
                        yield one, other
