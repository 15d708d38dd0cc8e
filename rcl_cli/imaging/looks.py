"""Looking at one image: whether it can be used, and what it looks like, in few bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from rcl_cli.errors import ImageTooLarge, InvalidImageFormat, InvalidParameter
from rcl_cli.imaging.decode import decode, orientation_of, read_header
from rcl_cli.regular import read_bytes

if TYPE_CHECKING:
    pass

# (rows, columns) of the brightness differences that make a hash of 64 bits.
_HASH = (8, 8)
HASH_BYTES = 8
THUMBNAIL_PX = 32
_DECODED_PX = 128
_SWAPS_SIDES = frozenset({5, 6, 7, 8})


class Look(NamedTuple):
    """What an image looks like.

    Args:
        size: (width, height) in pixels, upright.
        orientation: of EXIF, 1 for upright.
        digest: SHA-256 of the file.
        bits: difference hash, after Krawetz: 64 bits, nearly the same for images that look the same.
        thumbnail: 32 rows of 32 grey pixels, a byte each.
    """

    size: tuple[int, int]
    orientation: int
    digest: bytes
    bits: bytes
    thumbnail: bytes

    @property
    def raw_size(self) -> tuple[int, int]:
        """(width, height) as a program sees it that ignores EXIF."""
        return (self.size[1], self.size[0]) if self.orientation in _SWAPS_SIDES else self.size


class Unusable(NamedTuple):
    """Why an image can't be used: a kind of finding, and the words."""

    kind: str
    detail: str


def look_at(path: Path) -> Look | Unusable:
    """Read an image once."""
    try:
        data = read_bytes(path)
        header = read_header(data)
        pixels = decode(data, shorter_px=_DECODED_PX)
    except (ImageTooLarge, InvalidParameter) as error:
        return Unusable("unusable-size", error.message)
    except InvalidImageFormat:
        return Unusable("unreadable-image", "it is no JPEG or PNG, or is damaged")
    except OSError as error:
        return Unusable("missing-image", error.strerror or str(error))
    grey = Image.fromarray(pixels).convert("L")
    thumbnail = grey.resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX).tobytes()
    size = (header.width, header.height)
    return Look(size, orientation_of(data), hashlib.sha256(data).digest(), _difference_hash(grey), thumbnail)


def _difference_hash(grey: Image.Image) -> bytes:
    """Whether each of 8 by 8 pieces is brighter than its right neighbour."""
    rows, columns = _HASH
    small = np.asarray(grey.resize((columns + 1, rows), Image.Resampling.BOX), dtype=np.int16)
    return np.packbits(small[:, :-1] > small[:, 1:]).tobytes()
