"""Windows over an image that is too large to be looked at as a whole."""

from __future__ import annotations

import math
from typing import NamedTuple


class Window(NamedTuple):
    """A part of an upright image, in whole pixels; `right` and `bottom` are the first ones outside."""

    left: int
    top: int
    right: int
    bottom: int


class Tiling(NamedTuple):
    """How images are cut.

    Args:
        tile_px: side of the square tiles, in pixels of the images.
        overlap_px: that neighbours share at least.
        whole: images are looked at as a whole too.
    """

    tile_px: int
    overlap_px: int
    whole: bool

    def windows(self, width: int, height: int) -> list[Window]:
        """All parts of an image that are looked at."""
        found = windows(width, height, self.tile_px, self.overlap_px)
        return [*found, Window(0, 0, width, height)] if self.whole and len(found) > 1 else found


def windows(width: int, height: int, tile_px: int, overlap_px: int) -> list[Window]:
    """Square tiles, evenly spread, that cover an image; of sides that are shorter than a tile all of them.

    Args:
        overlap_px: that neighbours share at least, under `tile_px`.

    Returns:
        Row by row; the whole image where it is no larger than a tile.
    """
    across, down = _starts(width, tile_px, overlap_px), _starts(height, tile_px, overlap_px)
    return [
        Window(left, top, min(left + tile_px, width), min(top + tile_px, height)) for top in down for left in across
    ]


def _starts(side: int, tile_px: int, overlap_px: int) -> list[int]:
    if side <= tile_px:
        return [0]
    gaps = math.ceil((side - tile_px) / (tile_px - overlap_px))
    return [round(number * (side - tile_px) / gaps) for number in range(gaps + 1)]
