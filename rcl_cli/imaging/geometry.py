"""Resizing and its inverse for boxes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

PADDING_GREY = 114


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where the resized image lies on its canvas, in pixels."""

    left: int
    top: int
    width: int
    height: int


def fitted_size(height: int, width: int, size_px: int) -> tuple[int, int]:
    """(height, width) in pixels of what `fit_longer_side` gives."""
    ratio = size_px / max(height, width)
    return min(math.ceil(height * ratio), size_px), min(math.ceil(width * ratio), size_px)


def fit_longer_side(image: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Resize so that the longer side is `size_px`, keeping the aspect ratio."""
    height, width = image.shape[:2]
    return resize(image, *fitted_size(height, width, size_px))


def resize(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Bilinear, averaging over all pixels that fall into one where the image becomes smaller."""
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR), dtype=np.uint8)


def framed(height: int, width: int, size_px: int, stride: int) -> tuple[tuple[int, int], Letterbox]:
    """(height, width) of the canvas that `letterbox` gives an image of a size, and where the image lies on it."""
    fitted_h, fitted_w = fitted_size(height, width, size_px)
    canvas_h, canvas_w = (math.ceil(side / stride + 0.5) * stride for side in (fitted_h, fitted_w))
    return (canvas_h, canvas_w), Letterbox((canvas_w - fitted_w) // 2, (canvas_h - fitted_h) // 2, fitted_w, fitted_h)


def letterbox(image: NDArray[np.uint8], size_px: int, stride: int) -> tuple[NDArray[np.uint8], Letterbox]:
    """Fit an image to `size_px` and centre it on a grey canvas with sides that are multiples of `stride`.

    The canvas is at least half a stride larger than the image each way, as in Ultralytics' validation: objects at the
    edge are found much better with some margin around them (bench/RESULTS.md).
    """
    height, width = image.shape[:2]
    shape, frame = framed(height, width, size_px, stride)
    canvas = np.full((*shape, 3), PADDING_GREY, dtype=np.uint8)
    rows, columns = slice(frame.top, frame.top + frame.height), slice(frame.left, frame.left + frame.width)
    canvas[rows, columns] = fit_longer_side(image, size_px)
    return canvas, frame


def stretch(image: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Resize to a square of `size_px`, ignoring the aspect ratio."""
    return resize(image, size_px, size_px)
