"""Which images look the same, so that no checkpoint is chosen by the doubles of what it was trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rcl_cli.config import cpu_cores
from rcl_cli.imaging.clusters import Album
from rcl_cli.imaging.looks import Look, look_at

# Comparing takes time by the square of their number, a few seconds for so many.
MOST_IMAGES = 50_000


def groups_of(paths: Sequence[str], step: Callable[[int, int], None]) -> list[int]:
    """A number for each image, the same for those that look the same or are.

    Args:
        step: told how many of how many were looked at.
    """
    if len(paths) > MOST_IMAGES:
        return list(range(len(paths)))
    album, numbers = Album(), []
    with ThreadPoolExecutor(cpu_cores()) as pool:
        for done, look in enumerate(pool.map(look_at, map(Path, paths)), 1):
            numbers.append(album.add(look) if isinstance(look, Look) else None)
            step(done, len(paths))
    first = {file: cluster.files[0] for cluster in album.clusters() for file in cluster.files}
    # What could not be looked at is like nothing: it gets a number that no file has.
    return [len(paths) + place if n is None else first.get(n, n) for place, n in enumerate(numbers)]
