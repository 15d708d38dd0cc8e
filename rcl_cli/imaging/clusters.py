"""Images that look alike, among many, as clusters: images of one camera would make more pairs than memory holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rcl_cli.imaging.looks import HASH_BYTES, THUMBNAIL_PX, Look

if TYPE_CHECKING:
    from numpy.typing import NDArray

# How many of 64 bits may differ before thumbnails are compared, and how alike those must be.
_MOST_BITS = 10
LEAST_LIKENESS = 0.97
_ROWS, _COLUMNS = 256, 4096


class Cluster(NamedTuple):
    """Files that look the same, each like another of them.

    Args:
        files: their numbers, in order.
        likeness: the least that joined them.
    """

    files: tuple[int, ...]
    likeness: float


class Album:
    """Different files, numbered from 0, and about a kilobyte of what each looks like."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._hashes, self._thumbnails = bytearray(), bytearray()

    def add(self, look: Look) -> int:
        """The number of a file; files of the same bytes have the same."""
        number = self._numbers.setdefault(look.digest, len(self._numbers))
        if number * HASH_BYTES == len(self._hashes):
            self._hashes += look.bits
            self._thumbnails += look.thumbnail
        return number

    def clusters(self) -> list[Cluster]:
        """All files that look like another one, in order of the first of each cluster."""
        count = len(self._numbers)
        bits = np.unpackbits(np.frombuffer(self._hashes, np.uint8).reshape(count, HASH_BYTES), axis=1)
        thumbnails = np.frombuffer(self._thumbnails, np.uint8).reshape(count, THUMBNAIL_PX * THUMBNAIL_PX)
        joined = _Joined(count)
        for rows, columns, close in _close(bits, joined.labels):
            # Those of the block that are close to anything at all.
            some_rows, some_columns = np.flatnonzero(close.any(axis=1)), np.flatnonzero(close.any(axis=0))
            alike = _standardised(thumbnails[rows[some_rows]]) @ _standardised(thumbnails[columns[some_columns]]).T
            near = close[np.ix_(some_rows, some_columns)] & (alike >= LEAST_LIKENESS)
            for row in np.flatnonzero(near.any(axis=1)):
                joined.join(int(rows[some_rows[row]]), columns[some_columns[near[row]]], alike[row][near[row]])
        return joined.clusters()


_Block = tuple["NDArray[np.int64]", "NDArray[np.int64]", "NDArray[np.bool_]"]


def _close(bits: NDArray[np.uint8], labels: NDArray[np.int64]) -> Iterator[_Block]:
    """(rows, columns, which of them are close) block by block, as far as they are not joined already.

    Args:
        bits: (files, 64), 0 or 1.
        labels: what each file is joined to; read anew for each block.
    """
    count = len(bits)
    # The product of two rows is 64 less twice the bits that differ; a product of matrices is the quickest way to count.
    signs = bits.astype(np.float32) * 2 - 1
    for start in range(0, count, _ROWS):
        rows = np.arange(start, min(count, start + _ROWS))
        for first in range(start, count, _COLUMNS):
            columns = np.arange(first, min(count, first + _COLUMNS))
            if (labels[rows] == labels[columns[0]]).all() and (labels[columns] == labels[columns[0]]).all():
                continue
            close = signs[rows] @ signs[columns].T >= signs.shape[1] - 2 * _MOST_BITS
            if close.any():
                close &= labels[rows][:, None] != labels[columns]
                if close.any():
                    yield rows, columns, close


def _standardised(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Rows whose products are correlations, -1..1: 1 for the same picture, however bright or contrasty it is."""
    found = thumbnails.astype(np.float32)
    found -= found.mean(axis=1, keepdims=True)
    norms = np.sqrt(np.einsum("ij,ij->i", found, found))
    # Plain surfaces say nothing about each other.
    found /= np.where(norms > 0, norms, np.inf)[:, None]
    return found


class _Joined:
    """Which files are joined: each has the label of its cluster, the number of one in it."""

    def __init__(self, count: int) -> None:
        self.labels = np.arange(count)
        self._members: dict[int, list[int]] = {}
        self._least: dict[int, float] = {}

    def join(self, file: int, others: NDArray[np.int64], alike: NDArray[np.float32]) -> None:
        """Join a file, and all that it is joined to, with others and theirs.

        Args:
            alike: how much the others are like it.
        """
        is_new = self.labels[others] != self.labels[file]
        if not is_new.any():
            return
        joining = [int(self.labels[file]), *map(int, np.unique(self.labels[others[is_new]]))]
        # The most numerous keep their label, so that a file changes its own a few times only.
        joining.sort(key=lambda one: len(self._members.get(one, ())), reverse=True)
        label = joining[0]
        self._least[label] = min(float(alike[is_new].min()), *(self._least.pop(one, 1.0) for one in joining))
        members = self._members.setdefault(label, [label])
        for one in joining[1:]:
            more = self._members.pop(one, [one])
            self.labels[more] = label
            members += more

    def clusters(self) -> list[Cluster]:
        return sorted(Cluster(tuple(sorted(files)), self._least[label]) for label, files in self._members.items())
