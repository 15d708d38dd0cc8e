"""Ultralytics YOLO, as far as it can be told without loading it: what it finds, what its plans have, its licence."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from statistics import median

from rcl_cli.backends.family import Data, Defaults, Family
from rcl_cli.backends.planning import clip, steps_of, why_batch
from rcl_cli.domain import Sample

STRIDE = 32
_MODELS = re.compile(r"yolo(v8|v9|v10|11|12|26)[a-z]")


def knows(model: str) -> bool:
    return _MODELS.fullmatch(model) is not None


def image_size(samples: Sequence[Sample], *, on_gpu: bool) -> int:
    """Large enough that small boxes keep about 20 pixels, no larger than the images.

    Small is the 10th percentile of box sizes.
    """
    longer = median(max(s.width, s.height) for s in samples)
    wanted = min(20 / small_share(samples), longer)
    return math.ceil(clip(wanted, 256, 1280 if on_gpu else 640) / STRIDE) * STRIDE


def small_share(samples: Sequence[Sample]) -> float:
    """Size of a small box: square root of its area, as a share of the image's longer side."""
    sizes = sorted(
        math.sqrt(box.width * s.width * box.height * s.height) / max(s.width, s.height)
        for s in samples
        for _, box in s.boxes
    )
    return max(sizes[len(sizes) // 10], 0.005) if sizes else 0.1


def whole_strides(size_px: int) -> int:
    """A detector's image size: a multiple of 32, at least two strides."""
    return max(2 * STRIDE, math.ceil(size_px / STRIDE) * STRIDE)


def epochs(images: int, *, pretrained: bool, on_gpu: bool) -> int:
    """Passes over the data, so that small sets get as many steps as they need and large ones end."""
    if on_gpu:
        return clip(30_000 / images, 30, 200)
    return clip((6_000 if pretrained else 9_000) / images, 15 if pretrained else 30, 100)


def batch_size(images: int, *, on_gpu: bool, memory_gib: float = 0.0) -> int:
    """Small sets train in small batches: they need the steps more than the speed."""
    if on_gpu:
        return 32 if memory_gib >= 16 and images >= 1000 else 16
    return 16 if images >= 256 else 8


def canvas_px(size_px: int) -> int:
    """With half a stride of margin, as detection canvases have it."""
    return math.ceil(size_px / STRIDE + 0.5) * STRIDE


def _defaults(data: Data) -> Defaults:
    return Defaults(
        image_size(data.samples, on_gpu=data.on_gpu),
        epochs(data.images, pretrained=data.pretrained, on_gpu=data.on_gpu),
        batch_size(data.images, on_gpu=data.on_gpu, memory_gib=data.memory_gib),
    )


def _reasons(data: Data, found: Defaults) -> dict[str, str]:
    longer = round(median(max(s.width, s.height) for s in data.samples))
    share = small_share(data.samples)
    kept = round(share * found.image_size)
    size = (
        f"A small box is {share:.1%} of an image's longer side (a tenth are smaller), {kept} pixels at this size; "
        f"the images have {longer:,}."
    )
    few = f"{data.images:,} images to train on: from 1,000 on the next larger one pays."
    return {
        "model": few if data.on_gpu else "The smallest, for this CPU.",
        "image_size": size,
        "epochs": steps_of(data.images, found.epochs, found.batch),
        "batch": why_batch(data.images, on_gpu=data.on_gpu),
    }


FAMILY = Family(
    task="detection",
    licence="AGPL-3.0-only",
    network="rcl_cli.backends.yolo.network",
    trainer="rcl_cli.backends.yolo.trainer:YoloTrainer",
    predictor="rcl_cli.backends.yolo.predictor:YoloPredictor",
    free={0: "batch", 1: "height", 2: "width"},
    whole_size=whole_strides,
    canvas_px=canvas_px,
    script="detector.txt",
    knows=knows,
    defaults=_defaults,
    reasons=_reasons,
)
