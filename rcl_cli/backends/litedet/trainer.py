"""Training of the permissively licensed detector: warm from ImageNet, a few epochs, on small machines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from rcl_cli.backends.averaging import Average
from rcl_cli.backends.base import WEIGHTS_FILE, Cancelled, Prepared, Report, TrainingCancelled, WeightsChoice
from rcl_cli.backends.boxes.precision import average_precisions
from rcl_cli.backends.boxes.predictor import BoxPredictor
from rcl_cli.backends.choosing import Choice
from rcl_cli.backends.devices import has_native_bf16
from rcl_cli.backends.litedet.data import Batch, Images, ahead
from rcl_cli.backends.litedet.family import STRIDES
from rcl_cli.backends.litedet.losses import Truth, loss_of
from rcl_cli.backends.litedet.network import Detector, LiteDetNet, cells, load_pretrained
from rcl_cli.backends.litedet.scenes import recoloured
from rcl_cli.backends.pacing import Pace, warm_then_cosine
from rcl_cli.backends.pixels import ResizedImages, size_of
from rcl_cli.backends.predictors import same_shape
from rcl_cli.backends.resuming import NO_CHECKPOINTS, Checkpoints
from rcl_cli.backends.weights.checkpoints import load_tensors
from rcl_cli.domain import Detection, ModelCard, Progress, TrainingPlan
from rcl_cli.errors import ConfigError, TrainingFailed
from rcl_cli.imaging.geometry import framed

# Of what is new, at a batch of 16; what comes pretrained learns slower.
LEARNING_RATE, BODY_SHARE = 3e-3, 0.25
WEIGHT_DECAY, EMA_DECAY, MOST_GRADIENT = 0.05, 0.998, 10.0
# The first stages, whose large maps cost most, know what they need from ImageNet.
_FROZEN_STAGES = 3
_HOLDOUT_BATCH = 16
_CPU_LOADERS, _GPU_LOADERS = 2, 8


class LiteDetTrainer:
    """Trains detectors of this family; the checkpoint is the latest epoch with the best AP50:95 on the holdout."""

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
        detector = Detector(plan.model, len(plan.labels))
        if weights.path is not None:
            try:
                load_pretrained(detector, load_tensors(weights.path), plan.model)
            except ValueError as error:
                raise ConfigError(f"The weights file {weights.path} can't be used: {error}.") from error
        loop = _Loop(plan, detector, out_dir, report, cancelled, pretrained=weights.path is not None)
        resumed = checkpoints.load()
        if resumed is not None and loop.can_go_on(resumed):
            loop.go_on(resumed)
            note = f"goes on after epoch {loop.epoch}"
            report(Progress("training", loop.epoch, loop.epochs, note=note))
        while not loop.is_done:
            loop.run_epoch()
            if checkpoints.is_due and not loop.is_done:
                checkpoints.save(loop.state())
        kept = loop.choice.kept
        save_file({k: v.contiguous() for k, v in kept.state.items()}, out_dir / WEIGHTS_FILE)
        hyperparameters = {
            "epochs": loop.epoch, "batch": plan.batch, "patience": plan.patience, "seed": plan.seed,
            "optimizer": "AdamW", "learning_rate": LEARNING_RATE, "weight_decay": WEIGHT_DECAY,
            "ema_decay": EMA_DECAY, "time_budget_s": plan.time_budget_s, "device": plan.device,
        }  # fmt: skip
        return ModelCard(
            family=plan.family,
            model=plan.model,
            labels=plan.labels,
            multi_label=False,
            image_size=plan.image_size,
            preprocessing=_preprocessing(plan),
            hyperparameters=hyperparameters,
            weights_source=weights.source,
            choice=f"epoch {kept.epoch} of {loop.epoch}; "
            f"the latest with the best AP50:95 on {len(plan.holdout)} held-out images",
            history=tuple(loop.history),
        )


def _preprocessing(plan: TrainingPlan) -> dict[str, Any]:
    return {"resize": "letterbox", "size_px": plan.image_size, "stride": max(STRIDES), "colour": "RGB"}


class _Loop:
    """One training, epoch by epoch."""

    def __init__(
        self,
        plan: TrainingPlan,
        detector: Detector,
        folder: Path,
        report: Report,
        cancelled: Cancelled,
        *,
        pretrained: bool,
    ) -> None:
        began = time.monotonic()
        self.plan, self._report, self._cancelled = plan, report, cancelled
        self._device = torch.device(plan.device)
        self._net = LiteDetNet(detector).to(self._device)
        if self._device.type != "mps":
            self._net.to(memory_format=torch.channels_last)
        self._frozen = _FROZEN_STAGES if pretrained else 0
        self._keeps_statistics = pretrained
        for stage in detector.body[: self._frozen]:
            stage.requires_grad_(False)
        self._average = Average(detector, EMA_DECAY)
        self._optimizer = _optimizer(detector, plan.batch, BODY_SHARE if pretrained else 1.0)
        self._images = Images(
            plan.train, plan.labels, plan.image_size, folder,
            lambda done, total: report(Progress("preparing", done, total, note="reading images")),
        )  # fmt: skip
        self._holdout = _Holdout(plan, self._average.network, folder, report)
        self._centres, self._strides = cells(plan.image_size, plan.image_size, self._device)
        self._steps_per_epoch = max(1, len(_rows(len(self._images), plan.batch, (0,))))
        # Reading images is paid from the budget too.
        self._began_s = time.monotonic() - began
        left_s = None if plan.time_budget_s is None else plan.time_budget_s - self._began_s
        self._pace = Pace(plan.epochs * self._steps_per_epoch, left_s, is_bounded=plan.is_epochs_asked)
        self._autocast = torch.autocast(
            self._device.type, torch.bfloat16, enabled=self._device.type == "cuda" and has_native_bf16()
        )
        self._step = self._stale = self.epoch = 0
        self._judging_s = 0.0
        self._best = -1.0
        self.choice = Choice()
        self.history: list[dict[str, Any]] = []

    @property
    def epochs(self) -> int:
        """How many there will be, as far as that can be told."""
        share = self._pace.share(self._step)
        return max(self.epoch, round(self.epoch / share)) if share > 0 else self.plan.epochs

    @property
    def is_done(self) -> bool:
        if not self.epoch:
            return False
        return self._stale >= self.plan.patience or self._pace.is_over(self._step, self._judging_s)

    def run_epoch(self) -> None:
        """Train on all images once, and judge what came of it.

        Raises:
            TrainingCancelled: asked for.
            TrainingFailed: the loss is no number, and there is no model yet.
        """
        began = time.monotonic()
        loss = self._train()
        trained = time.monotonic()
        self.epoch += 1
        if np.isfinite(loss):
            ap, ap50 = self._holdout.figures(self._cancelled)
            self._keep(ap)
        elif not self.choice:
            raise TrainingFailed("The training diverged: the loss is not a number. Try another seed or batch.")
        else:
            ap, ap50, self._stale = 0.0, 0.0, self.plan.patience
        self._judging_s, took = time.monotonic() - trained, time.monotonic() - began
        figures = {"metrics/mAP50": ap50, "metrics/mAP50-95": ap}
        self.history.append({"epoch": self.epoch, "loss": loss, **figures, "seconds": took})
        left = took * (self.epochs - self.epoch)
        self._report(Progress("training", self.epoch, self.epochs, loss, "AP50", ap50, left))

    def _keep(self, ap: float) -> None:
        # Before anything is found nothing can become better.
        self._stale = 0 if ap > self._best or self._best <= 0 else self._stale + 1
        self._best = max(ap, self._best)
        self.choice.add(ap, {k: v.detach().cpu().clone() for k, v in self._average.network.state_dict().items()})

    def _train(self) -> float:
        """The mean loss of an epoch, or of the part for which there is time."""
        self._to_training()
        total, begun = torch.zeros((), device=self._device), self._step
        threads = _CPU_LOADERS if self._device.type == "cpu" else _GPU_LOADERS
        for batch in ahead(self._makers(), threads):
            if self._cancelled():
                raise TrainingCancelled
            if self._step > begun and self._pace.is_over(self._step, self._judging_s):
                break
            total += self._step_on(batch)
        return float(total) / (self._step - begun)

    def _to_training(self) -> None:
        detector = self._net.detector.train()
        for stage in detector.body[: self._frozen]:
            stage.eval()
        if self._keeps_statistics:
            # Those of ImageNet do better than those of a few small batches.
            for layer in detector.body.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    layer.eval()

    def _makers(self) -> Iterator[Callable[[], Batch]]:
        for number, rows in enumerate(_rows(len(self._images), self.plan.batch, (self.plan.seed, self.epoch))):
            share = self._pace.share(self._step)
            yield partial(self._images.batch, rows, share, (self.plan.seed, self.epoch, number))

    def _step_on(self, batch: Batch) -> torch.Tensor:
        factor = warm_then_cosine(self._pace.share(self._step))
        for group in self._optimizer.param_groups:
            group["lr"] = group["rate"] * factor
        random = np.random.default_rng((self.plan.seed, self._step))
        images = recoloured(batch.images.to(self._device).float() / 255, random)
        truths = [Truth(one.labels.to(self._device), one.boxes.to(self._device)) for one in batch.truths]
        with self._autocast:
            logits, places = self._net.detector(self._net.normalised(images))
        loss = loss_of(logits.float(), places.float(), self._centres, self._strides, truths)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._net.detector.parameters(), MOST_GRADIENT)
        self._optimizer.step()
        self._average.update(self._net.detector)
        self._step += 1
        return loss.detach()

    def state(self) -> dict[str, Any]:
        """What `go_on` needs, after an epoch. Chance follows from seeds and steps."""
        return {
            "detector": self._net.detector.state_dict(), "average": self._average.network.state_dict(),
            "averaged_steps": self._average.steps, "optimizer": self._optimizer.state_dict(), "step": self._step,
            "epoch": self.epoch, "stale": self._stale, "best": self._best,
            "choice": self.choice.as_state(), "history": list(self.history), "pace": self._pace.state(),
            "frozen": self._frozen,
        }  # fmt: skip

    def can_go_on(self, state: dict[str, Any]) -> bool:
        """Whether it began with weights, or without, as this one does; they may have come or gone meanwhile."""
        return bool(state["frozen"] == self._frozen)

    def go_on(self, state: dict[str, Any]) -> None:
        """Go on where a state was taken."""
        self._net.detector.load_state_dict(state["detector"])
        self._average.network.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._average.steps, self._step, self.epoch = state["averaged_steps"], state["step"], state["epoch"]
        self._stale, self._best = state["stale"], state["best"]
        self.choice, self.history = Choice.of(state["choice"]), list(state["history"])
        self._pace.go_on(state["pace"], self._began_s)


class _Holdout:
    """The held-out images, and what the averaged network says of them."""

    def __init__(self, plan: TrainingPlan, detector: Detector, folder: Path, report: Report) -> None:
        self._plan, self._device = plan, torch.device(plan.device)
        self._net = LiteDetNet(detector).to(self._device).eval()
        card = ModelCard(
            plan.family, plan.model, plan.labels, False, plan.image_size, _preprocessing(plan), {}, "", ""
        )  # fmt: skip
        self._predictor = BoxPredictor(self, card)
        placed = [framed(*size_of(sample), plan.image_size, max(STRIDES)) for sample in plan.holdout]
        self._shapes, self._frames = [shape for shape, _ in placed], [frame for _, frame in placed]

        def read(index: int) -> np.ndarray:
            return self._predictor.prepare(plan.holdout[index].path).pixels

        def step(done: int, total: int) -> None:
            report(Progress("preparing", done, total, note="reading held-out images"))

        self._canvases = ResizedImages(self._shapes, read, folder, step)

    @torch.inference_mode()
    def run(self, pixels: np.ndarray) -> np.ndarray:
        """See `Runner`."""
        found: np.ndarray = self._net(torch.from_numpy(pixels).to(self._device)).cpu().numpy()
        return found

    def rest(self) -> None:
        """See `Runner`."""

    def figures(self, cancelled: Cancelled) -> tuple[float, float]:
        """AP50:95 and AP50.

        Raises:
            TrainingCancelled: asked for.
        """
        found: list[list[Detection]] = [[] for _ in self._shapes]
        for group in same_shape(self._shapes):
            for start in range(0, len(group), _HOLDOUT_BATCH):
                if cancelled():
                    raise TrainingCancelled
                rows = group[start : start + _HOLDOUT_BATCH]
                canvases = [self._canvases[row] for row in rows]
                outputs = self.run(np.stack(canvases))
                for row, canvas, output in zip(rows, canvases, outputs, strict=True):
                    found[row] = self._predictor.read(output, Prepared(canvas, self._frames[row]))
        precisions = average_precisions(self._plan.labels, self._plan.holdout, found)
        return float(precisions.mean()), float(precisions[0])


def _rows(count: int, batch: int, seed: tuple[int, ...]) -> list[np.ndarray]:
    """Shuffled indices in batches."""
    order = np.random.default_rng(seed).permutation(count)
    return [order[start : start + batch] for start in range(0, count, batch)]


def _optimizer(detector: Detector, batch: int, body_share: float) -> torch.optim.Optimizer:
    rate = LEARNING_RATE * float(np.sqrt(min(batch, 64) / 16))
    groups = []
    for share, layers in (
        (body_share, [detector.body]),
        (1.0, [m for n, m in detector.named_children() if n != "body"]),
    ):
        parameters = [p for layer in layers for p in layer.parameters() if p.requires_grad]
        for decay, chosen in (
            (WEIGHT_DECAY, [p for p in parameters if p.ndim > 1]),
            (0.0, [p for p in parameters if p.ndim < 2]),
        ):
            groups.append({"params": chosen, "weight_decay": decay, "rate": rate * share})
    return torch.optim.AdamW(groups, lr=rate)
