"""Stage two of a classifier's training: fine-tuning everything, with augmentation and early stopping."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from rcl_cli.backends.averaging import Average
from rcl_cli.backends.choosing import Choice
from rcl_cli.backends.classifier.augment import augmented
from rcl_cli.backends.classifier.backbones import Backbone, early_stages, stages
from rcl_cli.backends.classifier.blend import joined
from rcl_cli.backends.classifier.run import Best, ClassifierNet, Run, class_weights, loss_of, score_all
from rcl_cli.backends.devices import has_native_bf16
from rcl_cli.backends.pacing import Pace, warm_then_cosine
from rcl_cli.domain import Progress

# At a batch of 8; it grows with the square root of the batch.
LEARNING_RATE = 2e-3
_SCRATCH_LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.02
EMA_DECAY = 0.98
# In F1, or in mean average precision; and as a share of it.
_CLEARLY, _FAILED = 0.1, 0.5
# From so many on, what ImageNet taught the first stages is worth learning anew.
_MANY_IMAGES = 2_000


def _optimizer(network: nn.Module, rate: float) -> torch.optim.Optimizer:
    trained = [p for p in network.parameters() if p.requires_grad]
    decayed = [p for p in trained if p.ndim > 1]
    plain = [p for p in trained if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate)


def _epoch_order(count: int, batch: int, generator: torch.Generator) -> list[torch.Tensor]:
    """Shuffled index batches; a last batch of one image would break batch normalisation and is dropped."""
    chunks = list(torch.randperm(count, generator=generator).split(batch))
    return chunks[:-1] if len(chunks) > 1 and len(chunks[-1]) == 1 else chunks


class FineTune:
    """Fine-tuning with a one-cycle schedule, over the planned epochs or over the time that is left."""

    def __init__(self, run: Run, net: ClassifierNet, *, pretrained: bool) -> None:
        self.run, self.net = run, net
        plan = run.plan
        self.rate = LEARNING_RATE if pretrained else _SCRATCH_LEARNING_RATE
        self.rate *= float(np.sqrt(min(plan.batch, 64) / 8))
        is_small = pretrained and len(run.train) < _MANY_IMAGES
        self.frozen = stages(net.network)[: early_stages(net.network) if is_small else 0]
        self.frozen.requires_grad_(False)
        self.optimizer = _optimizer(net.network, self.rate)
        self.average = Average(net.network, EMA_DECAY)
        self.weights = class_weights(run.train.targets, multi_label=plan.multi_label).to(run.device)
        self.steps_per_epoch = len(_epoch_order(len(run.train), plan.batch, torch.Generator().manual_seed(0)))
        self.step = 0
        left_s = None if plan.time_budget_s is None else plan.time_budget_s - run.spent_s
        self.pace = Pace(plan.epochs * self.steps_per_epoch, left_s, is_bounded=plan.is_epochs_asked)
        # What an epoch takes after its last step.
        self.judging_s = 0.0
        self.autocast = torch.autocast(
            run.device.type, torch.bfloat16, enabled=run.device.type == "cuda" and has_native_bf16()
        )

    def _set_rate(self) -> None:
        factor = warm_then_cosine(self.pace.share(self.step))
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * factor

    def epochs(self, done: int) -> int:
        """How many there will be, as far as that can be told after so many."""
        share = self.pace.share(self.step)
        return max(done, round(done / share)) if share > 0 else self.run.plan.epochs

    @property
    def is_over(self) -> bool:
        return self.pace.is_over(self.step, self.judging_s)

    def run_epoch(self) -> float:
        run = self.run
        # Added up where it is: reading it would wait for the GPU at every step.
        total = torch.zeros((), device=run.device)
        self.net.network.train()
        self.frozen.eval()
        begun = self.step
        for rows in _epoch_order(len(run.train), run.plan.batch, run.generator):
            run.check_cancelled()
            # A first step there is always: what has none has no loss.
            if self.step > begun and self.is_over:
                break
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
        return float(total) / (self.step - begun)

    def state(self) -> dict[str, Any]:
        """What `go_on` needs, after an epoch."""
        return {
            "network": self.net.network.state_dict(), "average": self.average.network.state_dict(),
            "averaged_steps": self.average.steps, "optimizer": self.optimizer.state_dict(), "step": self.step,
            "pace": self.pace.state(),
        }  # fmt: skip

    def go_on(self, state: dict[str, Any]) -> None:
        """Go on where a state was taken."""
        self.net.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self.average.steps, self.step = state["averaged_steps"], state["step"]
        self.pace.go_on(state["pace"], self.run.begun_again_s)
        self.optimizer.load_state_dict(state["optimizer"])


def fine_tune(
    run: Run,
    net: ClassifierNet,
    best: Best | None,
    keep: Callable[[Callable[[], dict[str, Any]]], None],
    resumed: dict[str, Any] | None,
    *,
    pretrained: bool,
) -> Best:
    """Fine-tune everything, and return what came of it, what was there before, or both together.

    Args:
        best: what the first stage found.
        keep: called after each epoch with what gives its state.
        resumed: such a state, to go on from.
    """
    tuning = FineTune(run, net, pretrained=pretrained)
    averaged = ClassifierNet(replace_module(net, tuning.average.network), multi_label=run.plan.multi_label).to(
        run.device
    )
    choice, top = Choice(), (-1.0, 0.0)
    stale, epoch = 0, 0
    if resumed is not None:
        choice, top = Choice.of(resumed["choice"]), tuple(resumed["top"])
        stale, epoch = resumed["stale"], resumed["epoch"]
        tuning.go_on(resumed)
        run.report(Progress("training", epoch, tuning.epochs(epoch), note=f"goes on after epoch {epoch}"))
    while epoch == 0 or not tuning.is_over:
        began = time.monotonic()
        loss = tuning.run_epoch()
        trained = time.monotonic()
        scores = score_all(run, averaged, run.holdout)
        quality = run.quality(scores)
        epoch += 1
        tuning.judging_s = time.monotonic() - trained
        took = time.monotonic() - began
        epochs = tuning.epochs(epoch)
        figures = {"loss": loss, run.metric_name: quality[0], "holdout_loss": -quality[1]}
        run.history.append({"epoch": epoch, **figures, "seconds": took})
        left = took * (epochs - epoch)
        run.report(Progress("training", epoch, epochs, loss, run.metric_name, quality[0], left))
        state = {k: v.detach().cpu().clone() for k, v in averaged.network.state_dict().items()}
        choice.add(quality[0], state, quality=list(quality), scores=scores)
        top, stale = (quality, 0) if quality >= top else (top, stale + 1)
        if stale >= run.plan.patience:
            break
        keep(partial(_state, tuning, choice, top, stale, epoch))
    kept = choice.kept
    about = f"fine-tuned, epoch {kept.epoch} of {epoch}"
    found = Best(kept.state, tuple(kept.about["quality"]), about, kept.about["scores"])
    return found if best is None else best_of(run, best, found)


def best_of(run: Run, probe: Best, tuned: Best) -> Best:
    """Both together, unless the held-out images say that the head is clearly worse, or that tuning failed.

    Where they resemble what was trained on, the head on frozen features looks better there than it is, by a tenth and
    more (bench/RESULTS.md).
    """
    if tuned.quality[0] > probe.quality[0] + _CLEARLY:
        return tuned
    if tuned.quality[0] < _FAILED * probe.quality[0]:
        return probe
    scores = (probe.scores + tuned.scores) / 2
    state, about = joined(tuned.state, probe.state), f"{tuned.choice}, and {probe.choice}, in the mean"
    return Best(state, run.quality(scores), about, scores)


def _state(tuning: FineTune, choice: Choice, top: tuple[float, float], stale: int, epoch: int) -> dict[str, Any]:
    return {**tuning.state(), "choice": choice.as_state(), "top": list(top), "stale": stale, "epoch": epoch}


def replace_module(net: ClassifierNet, module: nn.Module) -> Backbone:
    """The same preprocessing around another module."""
    mean = tuple(float(v) for v in net.mean.flatten())
    std = tuple(float(v) for v in net.std.flatten())
    head = next(m for m in reversed(list(module.modules())) if isinstance(m, nn.Linear))
    return Backbone(module, head, mean, std)  # type: ignore[arg-type]
