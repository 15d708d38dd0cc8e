"""The permissively licensed detector, as far as it can be told without loading it."""

from __future__ import annotations

from rcl_cli.backends.boxes import planning
from rcl_cli.backends.family import Data, Defaults
from rcl_cli.backends.planning import clip

STRIDES = (8, 16, planning.STRIDE)
# By their backbones, EfficientNet-Lite0 to 2.
MODELS = ("litedet0", "litedet1", "litedet2")
# Distances to a box's sides are told in up to 16 cells: what fills a larger image could not be told whole.
_MOST_PX = 2 * 15 * planning.STRIDE


def knows(model: str) -> bool:
    return model in MODELS


def epochs(images: int, *, pretrained: bool, on_gpu: bool) -> int:
    """Passes over the data, so that small sets get as many steps as they need and large ones end."""
    if on_gpu:
        return clip(30_000 / images, 30, 200)
    return clip((6_000 if pretrained else 12_000) / images, 15 if pretrained else 40, 100)


def _defaults(data: Data) -> Defaults:
    found = planning.defaults(data, epochs(data.images, pretrained=data.pretrained, on_gpu=data.on_gpu))
    return found._replace(image_size=min(_MOST_PX, found.image_size))


def _reasons(data: Data, found: Defaults) -> dict[str, str]:
    begins = "it begins with a backbone that knows ImageNet" if data.pretrained else "it begins with nothing"
    return {"model": f"Under a permissive licence, and {begins}.", **planning.reasons(data, found)}


FAMILY = planning.detectors(
    package="rcl_cli.backends.litedet",
    trainer="LiteDetTrainer",
    licence="Apache-2.0",
    knows=knows,
    rivals=("litedet0", "litedet2"),
    defaults=_defaults,
    reasons=_reasons,
)
