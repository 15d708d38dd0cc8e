"""From an image to the boxes of a detector, around any runner: canvas, decoding, suppression of doubles.

Needs numpy and Pillow, never torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rcl_cli.backends.base import Prepared, Runner
from rcl_cli.backends.boxes.planning import LEAST_MOST_BOXES, STRIDE
from rcl_cli.domain import Box, Detection, ModelCard
from rcl_cli.imaging.decode import decode
from rcl_cli.imaging.geometry import Letterbox, letterbox

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCORE_FLOOR = 0.001
# Ultralytics predicts with 0.7, which leaves a second box inside many long, thin things (bench/RESULTS.md).
NMS_IOU = 0.55
# Boxes that are looked at, for one that may come out.
CANDIDATES_A_BOX = 10
# Boxes that are held against each other at once: more would be held against boxes that go anyway.
_BLOCK = 64


class BoxPredictor:
    """Boxes of a detector of any family: all answer in the same shape."""

    def __init__(self, runner: Runner, card: ModelCard) -> None:
        self.forward, self.rest = runner.run, runner.rest
        self._labels = card.labels
        self._size_px = int(card.preprocessing["size_px"])
        self._most = int(card.preprocessing.get("most_boxes", LEAST_MOST_BOXES))

    def prepare(self, source: bytes | str | Path) -> Prepared:
        return Prepared(*letterbox(decode(source, longer_px=self._size_px), self._size_px, STRIDE))

    def read(self, output: NDArray[np.float32], prepared: Prepared, floor: float = 0.0) -> list[Detection]:
        """Boxes of one image.

        Args:
            output: (4 + classes, anchors): centre x, centre y, width, height in canvas pixels, then class scores.
        """
        assert prepared.frame is not None
        scores = output[4:].max(0)
        # One box that is no number would keep all from being held against each other.
        candidates = np.flatnonzero((scores >= max(floor, SCORE_FLOOR)) & np.isfinite(output[:4]).all(0))
        candidates = candidates[np.argsort(-scores[candidates], kind="stable")][: CANDIDATES_A_BOX * self._most]
        classes = output[4:, candidates].argmax(0)
        x, y, width, height = output[:4, candidates]
        corners = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], 1)
        kept = suppress(corners, classes, self._most)
        boxes = _to_boxes(corners[kept], prepared.frame)
        names, found = classes[kept].tolist(), scores[candidates[kept]].tolist()
        return [
            Detection(self._labels[name], score, Box(*box))
            for name, score, box in zip(names, found, boxes.tolist(), strict=True)
        ]


def _to_boxes(corners: NDArray[np.float32], frame: Letterbox) -> NDArray[np.float64]:
    """Canvas pixels to ratios of the image, clipped to it: (N, 4) left, top, width, height."""
    place = np.array([frame.left, frame.top] * 2, corners.dtype)
    size = np.array([frame.width, frame.height] * 2, corners.dtype)
    boxes = np.clip((corners - place) / size, 0, 1).astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    return boxes


def suppress(corners: NDArray[Any], classes: NDArray[np.int64], most: int = LEAST_MOST_BOXES) -> list[int]:
    """Greedy non-maximum suppression within each class.

    Args:
        corners: (N, 4) left, top, right, bottom, best score first.
        classes: (N,).
        most: boxes that are kept.

    Returns:
        Indices kept, best first: those that overlap no better one of their class by more than `NMS_IOU`.
    """
    if not len(corners):
        return []
    # Classes are laid side by side, so that boxes of different ones never overlap.
    span = float(corners.max() - corners.min()) + 1
    boxes = np.ascontiguousarray((corners + (classes * span)[:, None]).T)
    kept: list[int] = []
    left = np.arange(boxes.shape[1])
    while len(left) and len(kept) < most:
        block, left = left[:_BLOCK], left[_BLOCK:]
        alike, alive = _overlapping(boxes[:, block], boxes[:, block]), np.ones(len(block), dtype=bool)
        for index in range(len(block)):
            if alive[index]:
                alive[index + 1 :] &= ~alike[index, index + 1 :]
        kept += block[alive].tolist()
        if len(left):
            left = left[~_overlapping(boxes[:, block[alive]], boxes[:, left]).any(0)]
    return kept[:most]


def _overlapping(some: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(N, M) of the corners, (4, N) and (4, M), of boxes: which overlap by more than `NMS_IOU`."""
    a, b = some[:, :, None], others[:, None]
    width = np.minimum(a[2], b[2])
    width -= np.maximum(a[0], b[0])
    height = np.minimum(a[3], b[3])
    height -= np.maximum(a[1], b[1])
    np.maximum(width, 0, out=width)
    np.maximum(height, 0, out=height)
    shared = np.multiply(width, height, out=width)
    a_area, b_area = ((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    whole = np.add(a_area, b_area, out=height)
    whole -= shared
    whole *= NMS_IOU
    found: NDArray[np.bool_] = shared > whole
    return found
