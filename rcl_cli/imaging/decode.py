"""From bytes to upright RGB pixels: the one decoder that training, evaluation and serving share.

Headers are read and judged before any pixel is decoded, so a file that claims 100 000 × 100 000 pixels costs nothing.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image

from rcl_cli.errors import ImageTooLarge, InvalidImageFormat, InvalidParameter
from rcl_cli.limits import MAX_ASPECT_RATIO, MIN_SIDE_PX, limits
from rcl_cli.regular import open_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Pillow opens MPO, a JPEG with more pictures behind the first as many phones write it, as JPEG.
_FORMATS = ("JPEG", "PNG")
_TOO_MANY_PIXELS = "The image has more than {} million pixels."
_SWAPS_SIDES = frozenset({5, 6, 7, 8})
_EXIF_ORIENTATION = 0x0112
# What Pillow raises at files that are not what they should be.
_ODD = (
    OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, ArithmeticError, AttributeError, AssertionError,
    struct.error, zlib.error,
)  # fmt: skip
# Pillow warns of broken tags and of sizes. The ones don't matter here, and `check_header` judges the others. For the
# whole process: Python's way of saying it for a few lines is not safe among threads.
for _kind in (UserWarning, Image.DecompressionBombWarning):
    warnings.filterwarnings("ignore", category=_kind, module="PIL")


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """Size in pixels of the upright image, and its format (`JPEG` or `PNG`)."""

    format: str
    width: int
    height: int


@contextmanager
def _open(source: bytes | str | Path) -> Iterator[Image.Image]:
    """Read the header only.

    Raises:
        InvalidImageFormat: not a PNG or JPEG, or no regular file.
    """
    try:
        handle = io.BytesIO(source) if isinstance(source, bytes) else open_bytes(source)
    except (OSError, ValueError) as error:
        raise InvalidImageFormat("Request has invalid image format") from error
    with handle, _header_read(handle) as image:
        yield image


def _header_read(handle: BinaryIO) -> Image.Image:
    """
    Raises:
        InvalidImageFormat: not a PNG or JPEG.
    """
    try:
        return Image.open(handle, formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise ImageTooLarge(_TOO_MANY_PIXELS.format(limits().megapixels)) from error
    except _ODD as error:
        raise InvalidImageFormat("Request has invalid image format") from error


def _header(image: Image.Image) -> ImageHeader:
    width, height = image.size
    if _orientation(image) in _SWAPS_SIDES:
        width, height = height, width
    return ImageHeader("PNG" if image.format == "PNG" else "JPEG", width, height)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation of a JPEG, 1 where it has none or a broken one.

    Pillow's own would also take it from XMP, where no browser and no camera's screen looks for it.
    """
    if image.format == "PNG":
        return 1
    try:
        exif = Image.Exif()
        exif.load(image.info.get("exif", b""))
        return int(exif.get(_EXIF_ORIENTATION, 1))
    except _ODD:
        return 1


def check_header(header: ImageHeader) -> None:
    """Hold an image against the service's limits.

    Raises:
        ImageTooLarge: a side over 4096 pixels, where the service's limits hold.
        InvalidParameter: a side under 64 pixels, or longer than 20 times the other.
    """
    width, height = header.width, header.height
    if max(width, height) > limits().side_px:
        raise ImageTooLarge(f"The image is {width}x{height} pixels; the maximum is {limits().side_px} on each side.")
    if width * height > limits().megapixels * 1_000_000:
        raise ImageTooLarge(_TOO_MANY_PIXELS.format(limits().megapixels))
    if min(width, height) < MIN_SIDE_PX:
        raise InvalidParameter(f"The image is {width}x{height} pixels; the minimum is {MIN_SIDE_PX} on each side.")
    if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        raise InvalidParameter(f"The image is {width}x{height} pixels; the maximum aspect ratio is 20:1.")


def read_header(source: bytes | str | Path) -> ImageHeader:
    """Format and upright size of an image, checked against the limits, without decoding it.

    Raises:
        InvalidImageFormat: not a PNG or JPEG.
        ImageTooLarge, InvalidParameter: see `check_header`.
    """
    with _open(source) as image:
        header = _header(image)
    check_header(header)
    return header


def orientation_of(source: bytes | str | Path) -> int:
    """EXIF orientation, 1..8; 1 is upright.

    Raises:
        InvalidImageFormat: not a PNG or JPEG.
    """
    with _open(source) as image:
        return _orientation(image)


def verify(source: bytes | str | Path) -> tuple[int, int]:
    """Whether all of an image is there and sound, for as little work as can tell.

    Returns:
        (height, width) in pixels of the upright image.

    Raises:
        what `decode` raises.
    """
    with _open(source) as image:
        header = _header(image)
        check_header(header)
        # Every byte of a JPEG is read at an eighth of its size too, but few pixels are computed.
        _loaded(image, longer_px=1)
    return header.height, header.width


def decode(source: bytes | str | Path, longer_px: int = 0, shorter_px: int = 0) -> NDArray[np.uint8]:
    """Decode a JPEG or PNG into upright RGB.

    Args:
        source: the file's bytes, or its path.
        longer_px, shorter_px: all that the caller needs of the longer or the shorter side: a JPEG that is at least
            twice as large is decoded at a half, a quarter or an eighth of its size, which takes a fraction of the time.

    Returns:
        Array of shape (height, width, 3), uint8, RGB, EXIF orientation applied. Of an animation the first frame;
        alpha is dropped; 16-bit samples are scaled to 8 bits; CMYK is converted.

    Raises:
        InvalidImageFormat: not a PNG or JPEG, or truncated, or damaged.
        ImageTooLarge, InvalidParameter: see `check_header`.
    """
    return np.asarray(decode_picture(source, longer_px, shorter_px), dtype=np.uint8)


def decode_picture(source: bytes | str | Path, longer_px: int = 0, shorter_px: int = 0) -> Image.Image:
    """What `decode` decodes, for Pillow to go on with: RGB, upright, and nothing of the file's but the pixels.

    Raises:
        what `decode` raises.
    """
    with _open(source) as image:
        check_header(_header(image))
        return _loaded(image, longer_px, shorter_px)


def _loaded(image: Image.Image, longer_px: int = 0, shorter_px: int = 0) -> Image.Image:
    try:
        _shrink(image, longer_px, shorter_px)
        image.load()
        found = _to_rgb(_upright(image))
    except _ODD as error:
        raise InvalidImageFormat("Request has invalid image format") from error
    # Pillow would write comments, profiles and transparent colours into whatever is made of it.
    found.info = {}
    return found


def _shrink(image: Image.Image, longer_px: int, shorter_px: int) -> None:
    """Let a JPEG's decoder leave out what is not needed; other formats can't."""
    width, height = image.size
    share = max(longer_px / max(width, height), shorter_px / min(width, height))
    if 0 < share <= 0.5:
        image.draft(None, (max(1, int(width * share)), max(1, int(height * share))))


# The seven ways of EXIF that are not upright. Pillow's own function rewrites all tags, and trips over broken ones.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _upright(image: Image.Image) -> Image.Image:
    turn = _TURNS.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I") or image.mode == "F":
        # Pillow's own conversion clips 16-bit greys at 255 instead of scaling them.
        samples = np.asarray(image, dtype=np.float32) / 257.0
        return Image.fromarray(np.clip(samples.round(), 0, 255).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")
