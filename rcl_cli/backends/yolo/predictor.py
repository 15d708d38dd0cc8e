"""From an image to the boxes of a YOLO detector, around any runner: canvas, decoding, suppression of doubles.

Needs numpy and Pillow, never torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rcl_cli.backends.base import Prepared, Runner
from rcl_cli.backends.yolo.family import STRIDE
from rcl_cli.domain import Box, Detection, ModelCard
from rcl_cli.imaging.decode import decode
from rcl_cli.imaging.geometry import Letterbox, letterbox

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCORE_FLOOR = 0.001
# Ultralytics predicts with 0.7, which leaves a second box inside many long, thin things (bench/RESULTS.md).
NMS_IOU = 0.55
MAX_DETECTIONS = 300
_MAX_CANDIDATES = 3000


class YoloPredictor:
    """Boxes of a YOLO detector."""

    def __init__(self, runner: Runner, card: ModelCard) -> None:
        self.forward = runner.run
        self._labels = card.labels
        self._size_px = int(card.preprocessing["size_px"])

    def prepare(self, source: bytes | str | Path) -> Prepared:
        return Prepared(*letterbox(decode(source, longer_px=self._size_px), self._size_px, STRIDE))

    def read(self, output: NDArray[np.float32], prepared: Prepared, floor: float = 0.0) -> list[Detection]:
        """Boxes of one image.

        Args:
            output: (4 + classes, anchors): centre x, centre y, width, height in canvas pixels, then class scores.
        """
        assert prepared.frame is not None
        scores = output[4:].max(0)
        candidates = np.flatnonzero(scores >= max(floor, SCORE_FLOOR))
        candidates = candidates[np.argsort(-scores[candidates], kind="stable")][:_MAX_CANDIDATES]
        classes = output[4:, candidates].argmax(0)
        x, y, width, height = output[:4, candidates]
        corners = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], 1)
        kept = suppress(corners, classes)[:MAX_DETECTIONS]
        return [
            Detection(self._labels[classes[k]], float(scores[candidates[k]]), _to_box(corners[k], prepared.frame))
            for k in kept
        ]


def _to_box(corners: NDArray[np.float32], frame: Letterbox) -> Box:
    """Canvas pixels to ratios of the image, clipped to it."""
    left, right = np.clip((corners[[0, 2]] - frame.left) / frame.width, 0, 1)
    top, bottom = np.clip((corners[[1, 3]] - frame.top) / frame.height, 0, 1)
    return Box(float(left), float(top), float(right - left), float(bottom - top))


def suppress(corners: NDArray[np.float32], classes: NDArray[np.int64]) -> list[int]:
    """Greedy non-maximum suppression within each class.

    Args:
        corners: (N, 4) left, top, right, bottom, best score first.
        classes: (N,).

    Returns:
        Indices kept, best first: those that overlap no better one of their class by more than `NMS_IOU`.
    """
    if not len(corners):
        return []
    # Classes are laid side by side, so that boxes of different ones never overlap.
    span = float(corners.max() - corners.min()) + 1
    boxes = corners + (classes * span)[:, None]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    alive = np.ones(len(boxes), dtype=bool)
    kept: list[int] = []
    for index in range(len(boxes)):
        if not alive[index]:
            continue
        kept.append(index)
        if len(kept) == MAX_DETECTIONS:
            break
        rest = slice(index + 1, None)
        width = np.minimum(boxes[index, 2], boxes[rest, 2]) - np.maximum(boxes[index, 0], boxes[rest, 0])
        height = np.minimum(boxes[index, 3], boxes[rest, 3]) - np.maximum(boxes[index, 1], boxes[rest, 1])
        overlap = width.clip(min=0) * height.clip(min=0)
        alive[rest] &= overlap <= NMS_IOU * (areas[index] + areas[rest] - overlap)
    return kept
