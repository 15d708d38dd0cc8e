"""From images to detections around any runner: preprocessing, decoding of outputs, suppression of doubles.

The same code runs in evaluation and in serving. Needs numpy and OpenCV, never torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rcl_cli.backends.base import Runner
from rcl_cli.domain import Box, Detection, ModelCard
from rcl_cli.imaging.geometry import Letterbox, letterbox, stretch

if TYPE_CHECKING:
    from numpy.typing import NDArray

YOLO_STRIDE = 32
SCORE_FLOOR = 0.001
# Ultralytics predicts with 0.7, which leaves a second box inside many long, thin things (bench/RESULTS.md).
NMS_IOU = 0.55
MAX_DETECTIONS = 300
_MAX_CANDIDATES = 3000
_MAX_BATCH = 16


class ClassifierPredictor:
    """Scores of every label for the whole image."""

    def __init__(self, runner: Runner, card: ModelCard) -> None:
        self._runner = runner
        self._labels = card.labels
        self._size_px = int(card.preprocessing["size_px"])

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[list[Detection]]:
        results: list[list[Detection]] = []
        for start in range(0, len(images), _MAX_BATCH):
            batch = np.stack([stretch(image, self._size_px) for image in images[start : start + _MAX_BATCH]])
            results += [self._ranked(scores) for scores in self._runner.run(batch)]
        return results

    def _ranked(self, scores: NDArray[np.float32]) -> list[Detection]:
        order = np.argsort(-scores, kind="stable")
        return [Detection(self._labels[i], float(scores[i])) for i in order]


class YoloPredictor:
    """Boxes of a YOLO detector."""

    def __init__(self, runner: Runner, card: ModelCard) -> None:
        self._runner = runner
        self._labels = card.labels
        self._size_px = int(card.preprocessing["size_px"])

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[list[Detection]]:
        prepared = [letterbox(image, self._size_px, YOLO_STRIDE) for image in images]
        results: list[list[Detection]] = [[] for _ in images]
        for group in _same_shape([canvas.shape for canvas, _ in prepared]):
            for start in range(0, len(group), _MAX_BATCH):
                indices = group[start : start + _MAX_BATCH]
                outputs = self._runner.run(np.stack([prepared[i][0] for i in indices]))
                for index, output in zip(indices, outputs, strict=True):
                    results[index] = self._decode(output, prepared[index][1])
        return results

    def _decode(self, output: NDArray[np.float32], frame: Letterbox) -> list[Detection]:
        """Boxes of one image.

        Args:
            output: (4 + classes, anchors): centre x, centre y, width, height in canvas pixels, then class scores.
        """
        classes = output[4:].argmax(0)
        scores = output[4:].max(0)
        candidates = np.flatnonzero(scores >= SCORE_FLOOR)
        candidates = candidates[np.argsort(-scores[candidates], kind="stable")][:_MAX_CANDIDATES]
        x, y, width, height = output[:4, candidates]
        corners = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], 1)
        kept = suppress(corners, classes[candidates])[:MAX_DETECTIONS]
        return [
            Detection(self._labels[classes[candidates[k]]], float(scores[candidates[k]]), _to_box(corners[k], frame))
            for k in kept
        ]


def _to_box(corners: NDArray[np.float32], frame: Letterbox) -> Box:
    """Canvas pixels to ratios of the image, clipped to it."""
    left, right = np.clip((corners[[0, 2]] - frame.left) / frame.width, 0, 1)
    top, bottom = np.clip((corners[[1, 3]] - frame.top) / frame.height, 0, 1)
    return Box(float(left), float(top), float(right - left), float(bottom - top))


def _same_shape(shapes: Sequence[tuple[int, ...]]) -> list[list[int]]:
    """Indices grouped by shape, in order of first appearance."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, shape in enumerate(shapes):
        groups.setdefault(shape, []).append(index)
    return list(groups.values())


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
