"""Training images of detectors: zoomed, shifted, mirrored, four in one, in other colours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from rcl_cli.imaging.geometry import PADDING_GREY

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A box counts while so much of it is in the picture, and while it has so many pixels a side.
_LEAST_VISIBLE, _LEAST_SIDE_PX = 0.2, 2.0
_HUE, _SATURATION, _VALUE = 0.015, 0.7, 0.4
_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, slots=True)
class Labelled:
    """An image and what is in it.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        labels: (G,) numbers.
        boxes: (G, 4) left, top, right, bottom, in pixels of it.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    boxes: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Change:
    """How far images are changed.

    Args:
        least_zoom, most_zoom: of the training size.
        shift: of the picture's side, at most.
    """

    least_zoom: float = 0.5
    most_zoom: float = 1.5
    shift: float = 0.1


class Canvas:
    """A square picture that parts of images are laid on.

    Args:
        size_px: its side.
    """

    def __init__(self, size_px: int) -> None:
        self._size = size_px
        self._pixels = np.full((size_px, size_px, 3), PADDING_GREY, dtype=np.uint8)
        self._labels: list[NDArray[np.int64]] = []
        self._boxes: list[NDArray[np.float32]] = []

    def lay(self, image: Labelled, left: float, top: float, zoom: float) -> None:
        """Lay an image with its left top corner there, as far as it is seen."""
        height, width = image.pixels.shape[:2]
        x0, y0 = max(0, math.floor(left)), max(0, math.floor(top))
        x1, y1 = (min(self._size, math.ceil(at + side * zoom)) for at, side in ((left, width), (top, height)))
        if x1 <= x0 or y1 <= y0:
            return
        frame = (
            max(0.0, (x0 - left) / zoom), max(0.0, (y0 - top) / zoom),
            min(float(width), (x1 - left) / zoom), min(float(height), (y1 - top) / zoom),
        )  # fmt: skip
        if frame[2] - frame[0] < 1 or frame[3] - frame[1] < 1:
            return
        shown = Image.fromarray(image.pixels).resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR, box=frame)
        self._pixels[y0:y1, x0:x1] = np.asarray(shown)
        boxes = image.boxes * zoom + np.array([left, top] * 2, np.float32)
        clipped = np.stack([
            boxes[:, 0].clip(x0, x1), boxes[:, 1].clip(y0, y1), boxes[:, 2].clip(x0, x1), boxes[:, 3].clip(y0, y1),
        ], 1)  # fmt: skip
        before, after = boxes[:, 2:] - boxes[:, :2], clipped[:, 2:] - clipped[:, :2]
        kept = (after.prod(1) > _LEAST_VISIBLE * before.prod(1)) & (after.min(1) >= _LEAST_SIDE_PX)
        self._labels.append(image.labels[kept])
        self._boxes.append(clipped[kept].astype(np.float32))

    def done(self, *, mirrored: bool) -> Labelled:
        """All that was laid on it."""
        labels = np.concatenate(self._labels) if self._labels else np.zeros(0, np.int64)
        boxes = np.concatenate(self._boxes) if self._boxes else np.zeros((0, 4), np.float32)
        if not mirrored:
            return Labelled(self._pixels, labels, boxes)
        turned = np.stack([self._size - boxes[:, 2], boxes[:, 1], self._size - boxes[:, 0], boxes[:, 3]], 1)
        return Labelled(np.ascontiguousarray(self._pixels[:, ::-1]), labels, turned)


def alone(image: Labelled, size_px: int, random: np.random.Generator, how: Change) -> Labelled:
    """One image, zoomed and shifted."""
    zoom = _zoom(random, how)
    canvas = Canvas(size_px)
    height, width = image.pixels.shape[:2]
    x, y = ((size_px - side * zoom) / 2 + random.uniform(-how.shift, how.shift) * size_px for side in (width, height))
    canvas.lay(image, x, y, zoom)
    return canvas.done(mirrored=random.random() < 0.5)


def four(images: list[Labelled], size_px: int, random: np.random.Generator, how: Change) -> Labelled:
    """Four images that meet in a point (the mosaic of Bochkovskiy et al., "YOLOv4", 2020), zoomed together."""
    zoom = _zoom(random, how)
    x, y = size_px * (0.5 + random.uniform(-0.5, 0.5, 2) * zoom + random.uniform(-how.shift, how.shift, 2))
    canvas = Canvas(size_px)
    for place, image in enumerate(images):
        height, width = image.pixels.shape[:2]
        canvas.lay(image, x - (width * zoom if place % 2 == 0 else 0), y - (height * zoom if place < 2 else 0), zoom)
    return canvas.done(mirrored=random.random() < 0.5)


def _zoom(random: np.random.Generator, how: Change) -> float:
    return float(np.exp(random.uniform(math.log(how.least_zoom), math.log(how.most_zoom))))


def recoloured(batch: torch.Tensor, random: np.random.Generator) -> torch.Tensor:
    """Other hues, saturations and brightnesses, different for every image.

    Args:
        batch: (N, 3, H, W) float in 0..1.
    """
    count = len(batch)

    def drawn(low: float, high: float) -> torch.Tensor:
        return torch.from_numpy(random.uniform(low, high, count).astype(np.float32)).view(-1, 1, 1, 1).to(batch.device)

    luma = torch.tensor(_LUMA, device=batch.device).view(1, 3, 1, 1)
    grey = (batch * luma).sum(1, keepdim=True)
    colour = batch - grey
    # A turn about the grey axis (Rodrigues), of colours that have no grey left.
    angle = drawn(-_HUE, _HUE) * 2 * math.pi
    across = torch.stack([colour[:, 2] - colour[:, 1], colour[:, 0] - colour[:, 2], colour[:, 1] - colour[:, 0]], 1)
    colour = colour * torch.cos(angle) + across / math.sqrt(3) * torch.sin(angle)
    colour = colour * drawn(1 - _SATURATION, 1 + _SATURATION)
    return ((grey + colour) * drawn(1 - _VALUE, 1 + _VALUE)).clamp_(0, 1)
