"""A third model family, as small as one can be: the mean colour of an image against that of each label.

A folder of `backends` looks like this, and `backends/registry.py` has a line for it; here both are in the tests.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from rcl_cli.backends.base import WEIGHTS_FILE, Cancelled, Prepared, Report, Runner, WeightsChoice
from rcl_cli.backends.family import Defaults, Family
from rcl_cli.backends.resuming import NO_CHECKPOINTS, Checkpoints
from rcl_cli.backends.weights.choice import Offer
from rcl_cli.domain import Detection, ModelCard, Progress, TrainingPlan
from rcl_cli.imaging.decode import decode
from rcl_cli.imaging.geometry import stretch


class Colours(torch.nn.Module):
    """(N, H, W, 3) uint8 in, (N, labels) scores out."""

    def __init__(self, means: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("means", means)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        here = pixels.to(self.means.dtype).mean((1, 2)) / 255
        return torch.softmax(-20 * (here[:, None] - self.means).abs().sum(2), 1)


class Trainer:
    def train(
        self,
        plan: TrainingPlan,
        weights: WeightsChoice,
        out_dir: Path,
        report: Report,
        cancelled: Cancelled,
        checkpoints: Checkpoints = NO_CHECKPOINTS,
    ) -> ModelCard:
        means = []
        for label in plan.labels:
            images = [decode(sample.path) for sample in plan.train if label in sample.labels]
            means.append(torch.tensor(np.mean([image.mean((0, 1)) for image in images], 0) / 255))
        save_file({"means": torch.stack(means).float()}, out_dir / WEIGHTS_FILE)
        report(Progress("training", 1, 1))
        return ModelCard(
            plan.family, plan.model, plan.labels, False, plan.image_size, {"size_px": plan.image_size}, {},
            weights.source, "the means", ({"epoch": 1, "loss": 0.0},),
        )  # fmt: skip


class Predictor:
    def __init__(self, runner: Runner, card: ModelCard) -> None:
        self.forward, self.rest, self._card = runner.run, runner.rest, card

    def prepare(self, source: bytes | str | Path) -> Prepared:
        return Prepared(stretch(decode(source), self._card.image_size))

    def read(self, output: NDArray[np.float32], _prepared: Prepared, floor: float = 0.0) -> list[Detection]:
        found = [Detection(label, float(s)) for label, s in zip(self._card.labels, output, strict=True) if s >= floor]
        return sorted(found, key=lambda one: -one.score)


def offers(model: str, _device: str, _images: int) -> list[Offer]:
    return [Offer(model)]


def load_network(_card: ModelCard, weights_file: Path) -> Colours:
    return Colours(load_file(weights_file)["means"]).eval()


def in_half(net: Colours) -> Colours:
    return net.half()


def example_input(card: ModelCard) -> torch.Tensor:
    return torch.zeros(2, card.image_size, card.image_size, 3, dtype=torch.uint8)


def _same(size_px: int) -> Any:
    return size_px


FAMILY = Family(
    task="classification",
    licence="CC0-1.0",
    network="tests.tiny_family",
    trainer="tests.tiny_family:Trainer",
    predictor="tests.tiny_family:Predictor",
    free={0: "batch"},
    whole_size=_same,
    canvas_px=_same,
    script="classifier.txt",
    knows=lambda model: model == "mean-colour",
    defaults=lambda data: Defaults(32, 1, max(1, data.images)),
)
