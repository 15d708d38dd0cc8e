"""torchvision's classifiers, as far as they can be told without loading them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from rcl_cli.backends.family import Data, Defaults, Family
from rcl_cli.backends.planning import clip, steps_of, why_batch
from rcl_cli.domain import Sample


def knows(model: str) -> bool:
    from rcl_cli.backends.classifier.backbones import is_known

    return is_known(model)


def image_size(samples: Sequence[Sample], *, multi_label: bool) -> int:
    """128 for thumbnails; several labels in one image need more detail than one."""
    longer = median(max(s.width, s.height) for s in samples)
    if longer <= 160:
        return 128
    return 256 if multi_label else 224


def epochs(images: int, *, pretrained: bool, on_gpu: bool) -> int:
    if on_gpu:
        return clip(20_000 / images, 10, 60)
    return clip((8_000 if pretrained else 30_000) / images, 4, 30 if pretrained else 100)


def batch_size(images: int, *, on_gpu: bool) -> int:
    if on_gpu:
        return 64 if images >= 2000 else 16
    return 8 if images < 600 else 32


def _defaults(data: Data) -> Defaults:
    return Defaults(
        image_size(data.samples, multi_label=data.multi_label),
        epochs(data.images, pretrained=data.pretrained, on_gpu=data.on_gpu),
        batch_size(data.images, on_gpu=data.on_gpu),
    )


def _as_asked(size_px: int) -> int:
    return size_px


def _reasons(data: Data, found: Defaults) -> dict[str, str]:
    longer = round(median(max(s.width, s.height) for s in data.samples))
    size = f"The images have {longer:,} pixels"
    if found.image_size > 128:
        size += (
            "; several labels in one image need more detail" if data.multi_label else "; networks are trained at this"
        )
    return {
        "model": "Small and fast, for this CPU." if not data.on_gpu else f"{data.images:,} images, on a GPU.",
        "image_size": f"{size}.",
        "epochs": f"After the last layer is fitted. {steps_of(data.images, found.epochs, found.batch)}",
        "batch": why_batch(data.images, on_gpu=data.on_gpu),
    }  # fmt: skip


FAMILY = Family(
    task="classification",
    licence="BSD-3-Clause",
    network="rcl_cli.backends.classifier.trainer",
    trainer="rcl_cli.backends.classifier.trainer:ClassifierTrainer",
    predictor="rcl_cli.backends.classifier.predictor:ClassifierPredictor",
    free={0: "batch"},
    whole_size=_as_asked,
    canvas_px=_as_asked,
    script="classifier.txt",
    knows=knows,
    rivals=("efficientnet_lite0", "efficientnet_lite2", "mobilenet_v3_large"),
    defaults=_defaults,
    reasons=_reasons,
)
