"""From data and options to a training plan: sizes, epochs and batches.

The numbers are for small sets on small machines first, as most people have; bench/RESULTS.md says what was measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from rcl_cli.domain import Sample

HOLDOUT_SHARE = 0.1
_STRIDE = 32


def _clip(value: float, low: float, high: float) -> int:
    return round(min(max(value, low), high))


def detection_image_size(samples: Sequence[Sample], *, on_gpu: bool) -> int:
    """Large enough that small boxes keep about 20 pixels, no larger than the images.

    Small is the 10th percentile of box sizes (square root of the area, as a share of the longer side).
    """
    longer = median(max(s.width, s.height) for s in samples)
    sizes = sorted(
        math.sqrt(box.width * s.width * box.height * s.height) / max(s.width, s.height)
        for s in samples
        for _, box in s.boxes
    )
    smallest = max(sizes[len(sizes) // 10], 0.005) if sizes else 0.1
    wanted = min(20 / smallest, longer)
    return math.ceil(_clip(wanted, 256, 1280 if on_gpu else 640) / _STRIDE) * _STRIDE


def whole_strides(size_px: int) -> int:
    """A detector's image size: a multiple of 32, at least two strides."""
    return max(2 * _STRIDE, math.ceil(size_px / _STRIDE) * _STRIDE)


def detection_epochs(images: int, *, pretrained: bool, on_gpu: bool) -> int:
    """Passes over the data, so that small sets get as many steps as they need and large ones end."""
    if on_gpu:
        return _clip(30_000 / images, 30, 200)
    return _clip((6_000 if pretrained else 9_000) / images, 15 if pretrained else 30, 100)


def detection_batch(images: int, *, on_gpu: bool, memory_gib: float = 0.0) -> int:
    """Small sets train in small batches: they need the steps more than the speed."""
    if on_gpu:
        return 32 if memory_gib >= 16 and images >= 1000 else 16
    return 16 if images >= 256 else 8


def classifier_image_size(samples: Sequence[Sample], *, multi_label: bool) -> int:
    """128 for thumbnails; several labels in one image need more detail than one."""
    longer = median(max(s.width, s.height) for s in samples)
    if longer <= 160:
        return 128
    return 256 if multi_label else 224


def classifier_epochs(images: int, *, pretrained: bool, on_gpu: bool) -> int:
    if on_gpu:
        return _clip(20_000 / images, 10, 60)
    return _clip((8_000 if pretrained else 30_000) / images, 4, 30 if pretrained else 100)


def classifier_batch(images: int, *, on_gpu: bool) -> int:
    if on_gpu:
        return 64 if images >= 2000 else 16
    return 8 if images < 600 else 32


def default_patience(epochs: int) -> int:
    """Epochs without improvement before stopping; schedules that decay do best near their end."""
    return max(10, epochs // 2)
