"""Stage two of a classifier's training: fine-tuning everything, with augmentation and early stopping."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from rcl_cli.backends.classifier.augment import augmented
from rcl_cli.backends.classifier.backbones import Backbone
from rcl_cli.backends.classifier.run import Best, ClassifierNet, Run, class_weights, loss_of, score_all
from rcl_cli.backends.yolo.quiet import has_native_bf16
from rcl_cli.domain import Progress

# At a batch of 8; it grows with the square root of the batch.
LEARNING_RATE = 1e-3
_SCRATCH_LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.02
EMA_DECAY = 0.98


class _Average:
    """Exponential moving average of a network's weights, warmed up so that early steps do not linger."""

    def __init__(self, network: nn.Module) -> None:
        self.network = copy.deepcopy(network).eval()
        self.steps = 0

    @torch.no_grad()
    def update(self, source: nn.Module) -> None:
        self.steps += 1
        decay = min(EMA_DECAY, (1 + self.steps) / (10 + self.steps))
        pairs = list(zip(self.network.state_dict().values(), source.state_dict().values(), strict=True))
        averaged = [(mine, theirs) for mine, theirs in pairs if mine.dtype.is_floating_point]
        # All at once: on a GPU starting hundreds of small steps takes longer than they do.
        torch._foreach_lerp_([mine for mine, _ in averaged], [theirs for _, theirs in averaged], 1 - decay)
        for mine, theirs in pairs:
            if not mine.dtype.is_floating_point:
                mine.copy_(theirs)


def _optimizer(network: nn.Module, rate: float) -> torch.optim.Optimizer:
    decayed = [p for p in network.parameters() if p.ndim > 1]
    plain = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate)


def _epoch_order(count: int, batch: int, generator: torch.Generator) -> list[torch.Tensor]:
    """Shuffled index batches; a last batch of one image would break batch normalisation and is dropped."""
    chunks = list(torch.randperm(count, generator=generator).split(batch))
    return chunks[:-1] if len(chunks) > 1 and len(chunks[-1]) == 1 else chunks


class FineTune:
    """Fine-tuning with a one-cycle schedule that a time budget may shorten after the first epoch."""

    def __init__(self, run: Run, net: ClassifierNet, *, pretrained: bool) -> None:
        self.run, self.net = run, net
        plan = run.plan
        self.epochs = plan.epochs
        self.rate = LEARNING_RATE if pretrained else _SCRATCH_LEARNING_RATE
        self.rate *= float(np.sqrt(min(plan.batch, 64) / 8))
        self.optimizer = _optimizer(net.network, self.rate)
        self.average = _Average(net.network)
        self.weights = class_weights(run.train.targets, multi_label=plan.multi_label).to(run.device)
        self.steps_per_epoch = len(_epoch_order(len(run.train), plan.batch, torch.Generator().manual_seed(0)))
        self.step = 0
        self.autocast = torch.autocast(
            run.device.type, torch.bfloat16, enabled=run.device.type == "cuda" and has_native_bf16()
        )

    def _set_rate(self) -> None:
        """Linear warm-up over a tenth of the steps, then half a cosine down to 1 %."""
        total = max(1, self.epochs * self.steps_per_epoch)
        warm = max(1, total // 10)
        done = min(1.0, (self.step - warm) / max(1, total - warm))
        factor = (self.step + 1) / warm if self.step < warm else 0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * done))
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * float(factor)

    def run_epoch(self) -> float:
        run = self.run
        # Added up where it is: reading it would wait for the GPU at every step.
        total = torch.zeros((), device=run.device)
        self.net.network.train()
        order = _epoch_order(len(run.train), run.plan.batch, run.generator)
        for rows in order:
            run.check_cancelled()
            self._set_rate()
            images = run.train.images[rows.to(run.train.images.device)].to(run.device).float() / 255
            images = augmented(images, run.plan.image_size, run.generator, run.augmentation)
            with self.autocast:
                logits = self.net.network(self.net.normalised(images))
                targets = run.train.targets[rows].to(run.device)
                loss = loss_of(logits, targets, self.weights, multi_label=run.plan.multi_label, smooth=0.05)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.net.network.parameters(), 5.0)
            self.optimizer.step()
            self.average.update(self.net.network)
            self.step += 1
            total += loss.detach()
        return float(total) / len(order)

    def state(self) -> dict[str, Any]:
        """What `go_on` needs, after an epoch."""
        return {
            "network": self.net.network.state_dict(), "average": self.average.network.state_dict(),
            "averaged_steps": self.average.steps, "optimizer": self.optimizer.state_dict(), "step": self.step,
            "epochs": self.epochs,
        }  # fmt: skip

    def go_on(self, state: dict[str, Any]) -> None:
        """Go on where a state was taken."""
        self.net.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self.average.steps, self.step, self.epochs = state["averaged_steps"], state["step"], state["epochs"]
        self.optimizer.load_state_dict(state["optimizer"])

    def shorten(self, epoch_s: float, left_s: float) -> None:
        """Plan as many epochs as the time left allows, at least one more."""
        self.epochs = min(self.epochs, 1 + max(1, int(left_s / epoch_s)))


def fine_tune(
    run: Run,
    net: ClassifierNet,
    best: Best | None,
    keep: Callable[[Callable[[], dict[str, Any]]], None],
    resumed: dict[str, Any] | None,
    *,
    pretrained: bool,
) -> Best:
    """Fine-tune everything, and return the better of the best epoch and what was there before.

    Args:
        best: what the first stage found.
        keep: called after each epoch with what gives its state.
        resumed: such a state, to go on from.
    """
    tuning = FineTune(run, net, pretrained=pretrained)
    averaged = ClassifierNet(replace_module(net, tuning.average.network), multi_label=run.plan.multi_label).to(
        run.device
    )
    found: Best | None = None
    stale, epoch = 0, 0
    if resumed is not None:
        found, stale, epoch = Best.of(resumed["found"]), resumed["stale"], resumed["epoch"]
        tuning.go_on(resumed)
        run.report(Progress("training", epoch, tuning.epochs, note=f"goes on after epoch {epoch}"))
    while epoch < tuning.epochs:
        began = time.monotonic()
        loss = tuning.run_epoch()
        quality = run.quality(score_all(run, averaged, run.holdout))
        epoch += 1
        took = time.monotonic() - began
        if epoch == 1 and run.plan.time_budget_s is not None:
            tuning.shorten(took, run.plan.time_budget_s - (time.monotonic() - run.started))
        figures = {"loss": loss, run.metric_name: quality[0], "holdout_loss": -quality[1]}
        run.history.append({"epoch": epoch, **figures, "seconds": took})
        left = took * (tuning.epochs - epoch)
        run.report(Progress("training", epoch, tuning.epochs, loss, run.metric_name, quality[0], left))
        if found is None or quality >= found.quality:
            state = {k: v.detach().cpu().clone() for k, v in averaged.network.state_dict().items()}
            found, stale = Best(state, quality, f"fine-tuned, epoch {epoch} of {tuning.epochs}"), 0
        else:
            stale += 1
        if stale >= run.plan.patience or run.over_budget:
            break
        keep(partial(_state, tuning, found, stale, epoch))
    assert found is not None
    return found if best is None or found.quality >= best.quality else best


def _state(tuning: FineTune, found: Best, stale: int, epoch: int) -> dict[str, Any]:
    return {**tuning.state(), "found": found.as_state(), "stale": stale, "epoch": epoch}


def replace_module(net: ClassifierNet, module: nn.Module) -> Backbone:
    """The same preprocessing around another module."""
    mean = tuple(float(v) for v in net.mean.flatten())
    std = tuple(float(v) for v in net.std.flatten())
    head = next(m for m in reversed(list(module.modules())) if isinstance(m, nn.Linear))
    return Backbone(module, head, mean, std)  # type: ignore[arg-type]
