"""Image-level labels with torchvision networks, in two stages.

Stage one freezes the network, computes every image's features once and fits a linear head on them: a usable model in
seconds. Stage two fine-tunes all but the first stages with augmentation from the pretrained weights, with a fresh head
(one carried over did worse, see bench/RESULTS.md). Both answer together, unless one is much worse than the other.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from rcl_cli.backends.base import WEIGHTS_FILE, Cancelled, Report, WeightsChoice
from rcl_cli.backends.classifier.backbones import (
    LITE_PACKAGES,
    LITES,
    Backbone,
    build,
    is_known,
    load_pretrained,
    quicken_statistics,
    weights_url,
)
from rcl_cli.backends.classifier.blend import BlendNet, is_joined, parted
from rcl_cli.backends.classifier.features import extractor_for
from rcl_cli.backends.classifier.head import fit_head, way_up_matters
from rcl_cli.backends.classifier.run import Best, ClassifierNet, Run
from rcl_cli.backends.classifier.tune import EMA_DECAY, LEARNING_RATE, WEIGHT_DECAY, fine_tune
from rcl_cli.backends.resuming import NO_CHECKPOINTS, Checkpoints
from rcl_cli.backends.weights.checkpoints import load_tensors
from rcl_cli.backends.weights.choice import Offer
from rcl_cli.domain import ModelCard, Progress, TrainingPlan
from rcl_cli.errors import ConfigError


class ClassifierTrainer:
    """Trains torchvision classifiers; see the module's own text."""

    def train(
        self,
        plan: TrainingPlan,
        weights: WeightsChoice,
        out_dir: Path,
        report: Report,
        cancelled: Cancelled,
        checkpoints: Checkpoints = NO_CHECKPOINTS,
    ) -> ModelCard:
        torch.manual_seed(plan.seed)
        run = Run(plan, out_dir, report, cancelled)
        backbone = build(plan.model, len(plan.labels))
        pretrained = self._pretrain(backbone, plan, weights)
        if not pretrained:
            quicken_statistics(backbone.module)
        net = ClassifierNet(backbone, multi_label=plan.multi_label).to(run.device)
        if run.device.type != "mps":
            net.network.to(memory_format=torch.channels_last)
        fresh = copy.deepcopy(net.network.state_dict())
        best: Best | None = None
        first_usable_s = None
        resumed = checkpoints.load()
        if resumed is not None:
            best, first_usable_s = run.go_on(resumed), resumed["first_usable_s"]
        elif pretrained:
            extractor = extractor_for(run, net, out_dir)
            best = fit_head(run, net, backbone.head, extractor)
            self._save(best, out_dir)
            first_usable_s = time.monotonic() - run.started
            note = f"a first usable model is there after {first_usable_s:.0f} s"
            report(Progress("head", 1, 1, metric=run.metric_name, value=best.quality[0], note=note))
            run.history.append({"stage": "head", run.metric_name: best.quality[0], "holdout_loss": -best.quality[1]})
            if plan.epochs > 0 and not run.over_budget:
                any_way_up = not way_up_matters(run, net, extractor)
                run.augmentation = replace(run.augmentation, any_way_up=any_way_up)
            net.network.load_state_dict(fresh)
        if plan.epochs > 0 and not run.over_budget:
            keep = partial(_keep, checkpoints, run, best, first_usable_s)
            tuning = resumed["tuning"] if resumed else None
            best = fine_tune(run, net, best, keep, tuning, pretrained=pretrained)
            self._save(best, out_dir)
        assert best is not None
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
    def _save(best: Best, out_dir: Path) -> None:
        save_file({k: v.contiguous() for k, v in best.state.items()}, out_dir / WEIGHTS_FILE)

    @staticmethod
    def _card(
        run: Run, net: ClassifierNet, best: Best, weights: WeightsChoice, first_usable_s: float | None
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
            "epochs": sum("epoch" in one for one in run.history), "batch": plan.batch, "patience": plan.patience,
            "seed": plan.seed,
            "optimizer": "AdamW", "learning_rate": LEARNING_RATE, "weight_decay": WEIGHT_DECAY,
            "ema_decay": EMA_DECAY, "time_budget_s": plan.time_budget_s, "device": plan.device,
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
            choice=f"{best.choice}; {run.metric_name} {best.quality[0]:.3f} on {len(plan.holdout)} held-out images",
            history=tuple(run.history),
            first_usable_s=first_usable_s,
        )


def _keep(
    checkpoints: Checkpoints, run: Run, head: Best | None, first_usable_s: float | None, tuning: Callable[[], Any]
) -> None:
    """Keep a checkpoint after an epoch, where one is due."""
    if checkpoints.is_due:
        checkpoints.save({**run.state(head), "first_usable_s": first_usable_s, "tuning": tuning()})


def offers(model: str, device: str, images: int) -> list[Offer]:
    """Networks in order of preference.

    | device | images | model |
    |---|---|---|
    | CPU | any | mobilenet_v3_large, else efficientnet_lite0 |
    | GPU | under 1000 | efficientnet_b0, else efficientnet_lite0 |
    | GPU | 1000 and more | efficientnet_v2_s, else efficientnet_lite0 |

    Measured here: efficientnet_lite0 only (bench/RESULTS.md); the others go by torchvision's published tables.

    Raises:
        ConfigError: no such network.
    """
    lites = [Offer(name, package=package) for name, package in zip(LITES, LITE_PACKAGES, strict=True)]
    if model == "auto":
        on_gpu = "efficientnet_v2_s" if images >= 1000 else "efficientnet_b0"
        model = "mobilenet_v3_large" if device == "cpu" else on_gpu
        return [Offer(model, url=weights_url(model)), lites[0]]
    if model in LITES:
        return [lites[LITES.index(model)]]
    if not is_known(model):
        raise ConfigError(f"There is no classification network {model!r}; try mobilenet_v3_large or efficientnet_b0.")
    return [Offer(model, url=weights_url(model))]


def load_network(card: ModelCard, weights_file: Path) -> nn.Module:
    """The trained network, on the CPU, in evaluation mode."""
    tensors = load_tensors(weights_file)
    if is_joined(tensors):
        return BlendNet(*(_network(card, one) for one in parted(tensors))).eval()
    return _network(card, tensors).eval()


def _network(card: ModelCard, tensors: dict[str, torch.Tensor]) -> ClassifierNet:
    backbone = build(card.model, len(card.labels))
    pre = card.preprocessing
    backbone = replace(backbone, mean=tuple(pre["mean"]), std=tuple(pre["std"]))
    net = ClassifierNet(backbone, multi_label=card.multi_label)
    net.network.load_state_dict(tensors)
    return net


def in_half(net: nn.Module) -> nn.Module:
    """A loaded network in half precision."""
    return net.half()


def example_input(card: ModelCard) -> torch.Tensor:
    """A uint8 batch of two images of the size that the network takes."""
    return torch.zeros(2, card.image_size, card.image_size, 3, dtype=torch.uint8)


__all__ = ["ClassifierTrainer", "example_input", "in_half", "load_network"]
