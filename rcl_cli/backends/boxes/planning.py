"""What plans of detectors share, whatever the family."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import median

from rcl_cli.backends.family import Data, Defaults, Family
from rcl_cli.backends.planning import clip, steps_of, why_batch
from rcl_cli.domain import Sample

STRIDE = 32
LEAST_MOST_BOXES = 300


def image_size(samples: Sequence[Sample], *, on_gpu: bool) -> int:
    """Large enough that small boxes keep about 20 pixels, no larger than the images.

    Small is the 10th percentile of box sizes.
    """
    longer = median(max(s.width, s.height) for s in samples)
    wanted = min(20 / small_share(samples), longer)
    return math.ceil(clip(wanted, 256, largest_px(on_gpu=on_gpu)) / STRIDE) * STRIDE


def largest_px(*, on_gpu: bool) -> int:
    """What no plan goes beyond by itself: the longer side of an image, in pixels."""
    return 1280 if on_gpu else 640


def small_share(samples: Sequence[Sample]) -> float:
    """Size of a small box: square root of its area, as a share of the image's longer side."""
    sizes = sorted(
        math.sqrt(box.width * s.width * box.height * s.height) / max(s.width, s.height)
        for s in samples
        for _, box in s.boxes
    )
    return max(sizes[len(sizes) // 10], 0.005) if sizes else 0.1


def most_boxes(samples: Sequence[Sample]) -> int:
    """How many may come out of an image: twice what the fullest one has, and as many as elsewhere at least."""
    return max(LEAST_MOST_BOXES, 2 * max((len(s.boxes) for s in samples), default=0))


def whole_strides(size_px: int) -> int:
    """A detector's image size: a multiple of 32, at least two strides."""
    return max(2 * STRIDE, math.ceil(size_px / STRIDE) * STRIDE)


def batch_size(images: int, *, on_gpu: bool, memory_gib: float = 0.0) -> int:
    """Small sets train in small batches: they need the steps, and on a CPU an image takes as long in any."""
    if on_gpu:
        return 32 if memory_gib >= 16 and images >= 1000 else 16
    return 16 if images >= 1000 else 8


def canvas_px(size_px: int) -> int:
    """With half a stride of margin, as detection canvases have it."""
    return math.ceil(size_px / STRIDE + 0.5) * STRIDE


def defaults(data: Data, epochs: int) -> Defaults:
    """A detector's plan but for its epochs, which are each family's own."""
    return Defaults(
        image_size(data.samples, on_gpu=data.on_gpu),
        epochs,
        batch_size(data.images, on_gpu=data.on_gpu, memory_gib=data.memory_gib),
    )


def reasons(data: Data, found: Defaults) -> dict[str, str]:
    """Why a detector's plan is as it is, by option."""
    longer = round(median(max(s.width, s.height) for s in data.samples))
    share = small_share(data.samples)
    kept = round(share * found.image_size)
    size = (
        f"A small box is {share:.1%} of an image's longer side (a tenth are smaller), {kept} pixels at this size; "
        f"the images have {longer:,}."
    )
    return {
        "image_size": size,
        "epochs": steps_of(data.images, found.epochs, found.batch),
        "batch": why_batch(data.images, on_gpu=data.on_gpu),
    }


def detectors(
    *,
    package: str,
    trainer: str,
    licence: str,
    knows: Callable[[str], bool],
    rivals: tuple[str, ...],
    defaults: Callable[[Data], Defaults],
    reasons: Callable[[Data, Defaults], Mapping[str, str]],
) -> Family:
    """A family of detectors: all take images of any size in whole strides and answer alike.

    Args:
        package: with the modules `network` and `trainer`.
        trainer: its class.
    """
    return Family(
        task="detection",
        licence=licence,
        network=f"{package}.network",
        trainer=f"{package}.trainer:{trainer}",
        predictor="rcl_cli.backends.boxes.predictor:BoxPredictor",
        free={0: "batch", 1: "height", 2: "width"},
        whole_size=whole_strides,
        canvas_px=canvas_px,
        script="detector.txt",
        knows=knows,
        rivals=rivals,
        defaults=defaults,
        reasons=reasons,
    )
