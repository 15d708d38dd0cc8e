"""Room for a training's images, so that each is decoded and resized once however often it is looked at."""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from rcl_cli.config import cpu_cores
from rcl_cli.domain import Sample
from rcl_cli.imaging.decode import read_header

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHARE_OF_MEMORY = 0.25
_DISK_LEFT_BYTES = 2 * 2**30
_STEPS = 50


def shared_bytes(size: int, folder: Path) -> NDArray[np.uint8] | None:
    """Zeroes that forked processes share.

    Args:
        size: in bytes.
        folder: on the disk that holds what would take more than a quarter of the memory, in a file without a name.

    Returns:
        Shape (size,); None where the disk has no room for it either.
    """
    if size <= _SHARE_OF_MEMORY * psutil.virtual_memory().total:
        return np.frombuffer(mmap.mmap(-1, max(1, size)), np.uint8, size)
    if shutil.disk_usage(folder).free - size < _DISK_LEFT_BYTES:
        return None
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            # Taken now: a disk that fills up later would end the process with a signal.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                os.truncate(file.fileno(), size)
        except OSError:
            return None
        return np.frombuffer(mmap.mmap(file.fileno(), size), np.uint8, size)


class ResizedImages:
    """Images of different sizes, side by side in one block; read by as many processes as there are.

    Args:
        sizes: (height, width) of each.
        load: gives the image of an index, (height, width, 3) uint8.
        step: told how many of how many are there.

    Raises:
        what `load` raises.
    """

    def __init__(
        self,
        sizes: Sequence[tuple[int, int]],
        load: Callable[[int], NDArray[np.uint8]],
        folder: Path,
        step: Callable[[int, int], None],
    ) -> None:
        self._sizes, self._load = sizes, load
        ends = np.cumsum([0, *(height * width * 3 for height, width in sizes)])
        self._starts = [int(end) for end in ends]
        self._block = shared_bytes(self._starts[-1], folder)
        if self._block is not None:
            fill(len(sizes), self._fill, step)
            self._block.flags.writeable = False

    def _slot(self, block: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
        return block[self._starts[index] : self._starts[index + 1]].reshape(*self._sizes[index], 3)

    def _fill(self, index: int) -> None:
        assert self._block is not None
        self._slot(self._block, index)[:] = self._load(index)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """The image of an index, (height, width, 3) uint8, read-only; decoded again where there was no room."""
        return self._load(index) if self._block is None else self._slot(self._block, index)


def size_of(sample: Sample) -> tuple[int, int]:
    """(height, width) in pixels of a sample's upright image."""
    if sample.height:
        return sample.height, sample.width
    header = read_header(sample.path)
    return header.height, header.width


def fill(count: int, load: Callable[[int], None], step: Callable[[int, int], None]) -> None:
    """Load images on all cores, and tell now and then how many are there."""
    with ThreadPoolExecutor(cpu_cores()) as pool:
        for number, _ in enumerate(pool.map(load, range(count)), 1):
            if number % _STEPS == 0 or number == count:
                step(number, count)
