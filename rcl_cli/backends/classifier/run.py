"""What both stages of a classifier's training share: the network, its data, its losses, and how good it is."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from rcl_cli.backends.base import Cancelled, Report, TrainingCancelled
from rcl_cli.backends.classifier.augment import Augmentation
from rcl_cli.backends.classifier.backbones import Backbone
from rcl_cli.backends.classifier.selection import argmax_f1, mean_average_precision
from rcl_cli.backends.pixels import fill, shared_bytes
from rcl_cli.backends.resuming import random_state, restore_random_state
from rcl_cli.domain import Progress, Sample, TrainingPlan
from rcl_cli.errors import TrainingFailed
from rcl_cli.imaging.decode import decode
from rcl_cli.imaging.geometry import stretch

_SHARE_OF_GPU_MEMORY = 0.25
# Images are cached a little larger than the network's input, so that crops stay sharp.
_CACHE_SCALE = 1.15
EVAL_BATCH = 64


class ClassifierNet(nn.Module):
    """The network with its preprocessing and activation inside: uint8 pixels in, scores out.

    Input (N, H, W, 3) uint8 RGB; output (N, classes) float in 0..1, softmax or sigmoid.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, backbone: Backbone, *, multi_label: bool) -> None:
        super().__init__()
        self.network = backbone.module
        self.multi_label = multi_label
        self.register_buffer("mean", torch.tensor(backbone.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(backbone.std).view(1, 3, 1, 1))

    def normalised(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) float in 0..1 to the network's own range."""
        out = (images - self.mean) / self.std
        return out if out.device.type == "mps" else out.contiguous(memory_format=torch.channels_last)

    def scores(self, logits: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(logits) if self.multi_label else torch.softmax(logits, 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        images = pixels.permute(0, 3, 1, 2).to(self.mean.dtype) / 255
        return self.scores(self.network((images - self.mean) / self.std))


@dataclass(slots=True)
class Data:
    """Images (N, 3, S, S) uint8, on the CPU or on the GPU, and targets (N, classes) float 0/1, on the CPU."""

    images: torch.Tensor
    targets: torch.Tensor

    def __len__(self) -> int:
        return len(self.images)


@dataclass(slots=True)
class Best:
    """The best state so far, its quality on the holdout, (metric, -loss), and its scores there, (N, classes)."""

    state: dict[str, torch.Tensor]
    quality: tuple[float, float]
    choice: str
    scores: torch.Tensor

    def as_state(self) -> dict[str, Any]:
        quality = [float(q) for q in self.quality]
        return {"state": self.state, "quality": quality, "choice": self.choice, "scores": self.scores}

    @classmethod
    def of(cls, state: dict[str, Any] | None) -> Best | None:
        if state is None:
            return None
        return cls(state["state"], tuple(state["quality"]), state["choice"], state["scores"])


def load_samples(plan: TrainingPlan, part: str, size_px: int, folder: Path, report: Report) -> Data:
    """Read the images of a part of the plan, `train` or `holdout`.

    Raises:
        TrainingFailed: neither memory nor disk has room for them.
    """
    samples: tuple[Sample, ...] = getattr(plan, part)
    index = {name: i for i, name in enumerate(plan.labels)}
    targets = torch.zeros(len(samples), len(plan.labels))
    for number, sample in enumerate(samples):
        targets[number, [index[label] for label in sample.labels]] = 1
    shape = (len(samples), 3, size_px, size_px)
    block = shared_bytes(math.prod(shape), folder)
    if block is None:
        raise TrainingFailed(
            f"{len(samples)} images of {size_px} pixels take {math.prod(shape) / 2**30:.0f} GiB, and the disk of "
            f"{folder} has no room for them: make some, or train with a smaller image_size."
        )
    images = block.reshape(shape)

    def load(number: int) -> None:
        images[number] = stretch(decode(samples[number].path, shorter_px=size_px), size_px).transpose(2, 0, 1)

    note = f"reading {'training' if part == 'train' else part} images"
    fill(len(samples), load, lambda done, total: report(Progress("preparing", done, total, note=note)))
    return Data(torch.from_numpy(images), targets)


def resident(data: Data, device: torch.device) -> Data:
    """The same images on the GPU for good, where a quarter of its free memory holds them: no batch is copied there."""
    if device.type != "cuda":
        return data
    free, _ = torch.cuda.mem_get_info(device)
    if data.images.nbytes > _SHARE_OF_GPU_MEMORY * free:
        return data
    return Data(data.images.to(device), data.targets)


class Run:
    """One training: what both stages share."""

    def __init__(self, plan: TrainingPlan, out_dir: Path, report: Report, cancelled: Cancelled) -> None:
        self.plan, self.out_dir, self.report, self.cancelled = plan, out_dir, report, cancelled
        self.device = torch.device(plan.device)
        self.generator = torch.Generator().manual_seed(plan.seed)
        self.started = time.monotonic()
        # What it took to get back to where a checkpoint was taken.
        self.begun_again_s = 0.0
        self.history: list[dict[str, Any]] = []
        cache_px = round(plan.image_size * _CACHE_SCALE)
        self.train = resident(load_samples(plan, "train", cache_px, out_dir, report), self.device)
        self.holdout = load_samples(plan, "holdout", plan.image_size, out_dir, report)
        self.metric_name = "mAP" if plan.multi_label else "F1"
        self.augmentation = Augmentation(smallest_view=0.87 if plan.multi_label else 0.77)

    def state(self, head: Best | None) -> dict[str, Any]:
        """What `go_on` needs; `head` is what the first stage found."""
        return {
            "history": list(self.history), "taken_s": time.monotonic() - self.started,
            "generator": self.generator.get_state(), "random": random_state(self.device),
            "any_way_up": self.augmentation.any_way_up, "head": head.as_state() if head else None,
        }  # fmt: skip

    def go_on(self, state: dict[str, Any]) -> Best | None:
        """Go on where a state was taken; what the first stage had found."""
        self.history = list(state["history"])
        self.begun_again_s = self.spent_s
        self.started -= state["taken_s"]
        self.generator.set_state(state["generator"])
        restore_random_state(state["random"], self.device)
        self.augmentation = replace(self.augmentation, any_way_up=state["any_way_up"])
        return Best.of(state["head"])

    def check_cancelled(self) -> None:
        if self.cancelled():
            raise TrainingCancelled

    @property
    def spent_s(self) -> float:
        return time.monotonic() - self.started

    @property
    def over_budget(self) -> bool:
        budget = self.plan.time_budget_s
        return budget is not None and self.spent_s > budget

    def quality(self, scores: torch.Tensor) -> tuple[float, float]:
        """(metric, -loss) of holdout scores; the loss settles ties of a saturated metric."""
        targets = self.holdout.targets
        clamped = scores.clamp(1e-6, 1 - 1e-6)
        if self.plan.multi_label:
            loss = F.binary_cross_entropy(clamped, targets)
            return mean_average_precision(scores.numpy(), targets.numpy()), -float(loss)
        loss = -(clamped.log() * targets).sum(1).mean()
        return argmax_f1(scores.numpy(), targets.numpy()), -float(loss)


def eval_images(data: Data, rows: slice, size_px: int, device: torch.device) -> torch.Tensor:
    batch = data.images[rows].to(device).float() / 255
    if batch.shape[-1] != size_px:
        batch = F.interpolate(batch, size=(size_px, size_px), mode="bilinear", antialias=True, align_corners=False)
    return batch


@torch.inference_mode()
def score_all(run: Run, net: ClassifierNet, data: Data) -> torch.Tensor:
    net.eval()
    out = []
    for start in range(0, len(data), EVAL_BATCH):
        run.check_cancelled()
        batch = eval_images(data, slice(start, start + EVAL_BATCH), run.plan.image_size, run.device)
        out.append(net.scores(net.network(net.normalised(batch))).float().cpu())
    return torch.cat(out)


def loss_of(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, *, multi_label: bool, smooth: float = 0.0
) -> torch.Tensor:
    if multi_label:
        soft = targets * (1 - smooth) + 0.5 * smooth
        return F.binary_cross_entropy_with_logits(logits, soft, pos_weight=weights)
    return F.cross_entropy(logits, targets, weight=weights, label_smoothing=smooth)


def class_weights(targets: torch.Tensor, *, multi_label: bool) -> torch.Tensor:
    """Square roots of inverse frequencies: rare labels count more, without drowning the common ones."""
    counts = targets.sum(0).clamp(min=1)
    if multi_label:
        return ((len(targets) - counts).clamp(min=1) / counts).sqrt().clamp(1, 5)
    weights = (counts.mean() / counts).sqrt().clamp(0.2, 5)
    return weights / weights.mean()
