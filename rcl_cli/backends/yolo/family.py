"""Ultralytics YOLO, as far as it can be told without loading it: what it finds, what its plans have, its licence."""

from __future__ import annotations

import re

from rcl_cli.backends.boxes import planning
from rcl_cli.backends.family import Data, Defaults
from rcl_cli.backends.planning import clip

_MODELS = re.compile(r"yolo(v8|v9|v10|11|12|26)[a-z]")


def knows(model: str) -> bool:
    return _MODELS.fullmatch(model) is not None


def epochs(images: int, *, pretrained: bool, on_gpu: bool) -> int:
    """Passes over the data, so that small sets get as many steps as they need and large ones end."""
    if on_gpu:
        return clip(30_000 / images, 30, 200)
    return clip((6_000 if pretrained else 9_000) / images, 15 if pretrained else 30, 100)


def _defaults(data: Data) -> Defaults:
    return planning.defaults(data, epochs(data.images, pretrained=data.pretrained, on_gpu=data.on_gpu))


def _reasons(data: Data, found: Defaults) -> dict[str, str]:
    few = f"{data.images:,} images to train on: from 1,000 on the next larger one pays."
    return {"model": few if data.on_gpu else "The smallest, for this CPU.", **planning.reasons(data, found)}


FAMILY = planning.detectors(
    package="rcl_cli.backends.yolo",
    trainer="YoloTrainer",
    licence="AGPL-3.0-only",
    knows=knows,
    rivals=("yolo11n", "yolo11s"),
    defaults=_defaults,
    reasons=_reasons,
)
