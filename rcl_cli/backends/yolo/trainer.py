"""Object localization with Ultralytics YOLO.

Ultralytics trains from lists in memory: no label files, no caches beside the user's images, no copies, and pixels come
from rcl's own decoder, so training sees exactly what serving will see.
"""

from __future__ import annotations

import math
import multiprocessing
import shutil
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from rcl_cli.backends.base import WEIGHTS_FILE, Cancelled, Report, TrainingCancelled, WeightsChoice
from rcl_cli.backends.boxes.planning import STRIDE
from rcl_cli.backends.choosing import Choice
from rcl_cli.backends.devices import has_matrix_bf16, has_native_bf16
from rcl_cli.backends.resuming import NO_CHECKPOINTS, Checkpoints, random_state, restore_random_state
from rcl_cli.backends.weights.checkpoints import load_matching, load_tensors
from rcl_cli.backends.yolo.images import ManifestDataset
from rcl_cli.backends.yolo.network import detector
from rcl_cli.backends.yolo.quiet import quieted
from rcl_cli.config import cpu_cores
from rcl_cli.domain import ModelCard, Progress, TrainingPlan
from rcl_cli.errors import ConfigError, TrainingFailed

quieted()

from ultralytics.engine import trainer as ultralytics_trainer  # noqa: E402 - must follow
from ultralytics.models.yolo.detect import DetectionTrainer  # noqa: E402
from ultralytics.nn.tasks import DetectionModel  # noqa: E402
from ultralytics.utils import torch_utils  # noqa: E402

_MIN_FILLED = 0.5
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the system's own
_BATCHES_UNDER_WAY = 5
_ALL_OOM_RETRIES = 3
# From so many steps on Ultralytics takes another optimizer too.
_MANY_STEPS, _ULTRALYTICS_STEP_IMAGES = 10_000, 64
# By which the length of the next ones is told, and the least part of an epoch that is begun.
_RECENT_EPOCHS, _LEAST_PART, _FEW_EPOCHS = 3, 0.1, 4


def _nothing_to_unset() -> None:
    """Nobody asks for deterministic algorithms here; to say so to torch loads its compiler."""


ultralytics_trainer.unset_deterministic = torch_utils.unset_deterministic = _nothing_to_unset


class InHalf(DetectionModel):
    """A detector whose training passes on a CPU are in bfloat16 up to its last part; what judges it is in single.

    Ultralytics does that on GPUs only. The last part tells distances by the ratios of large numbers, for which bfloat16
    is too coarse (bench/RESULTS.md).
    """

    def __init__(self, *words: Any, **named: Any) -> None:
        super().__init__(*words, **named)
        head = self.model[-1]
        # A class of its own for this one part: wrapping it would rename its weights.
        head.__class__ = type(f"Single{type(head).__name__}", (_Single, type(head)), {})

    def _predict_once(self, x: torch.Tensor, *words: Any, **named: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.training):
            return super()._predict_once(x, *words, **named)


class _Single:
    """Of a network's part: it computes in single precision, whatever is around it."""

    def forward(self, x: list[torch.Tensor]) -> Any:
        with torch.autocast("cpu", enabled=False):
            return super().forward([one.float() for one in x])  # type: ignore[misc]


# Ultralytics adds its online-platform callbacks to every class whose name contains "Trainer"; this one must not.
class ManifestDetection(DetectionTrainer):
    """Ultralytics' training loop over a plan."""

    def __init__(
        self,
        plan: TrainingPlan,
        overrides: dict[str, Any],
        model: DetectionModel,
        report: Report,
        folder: Path,
        resumed: dict[str, Any] | None = None,
    ) -> None:
        self.plan, self._report, self._folder = plan, report, folder
        self._prepared = model
        self._resumed = resumed
        self.choice = Choice()
        super().__init__(overrides=overrides)

    def get_dataset(self) -> dict[str, Any]:
        names = dict(enumerate(self.plan.labels))
        return {"train": "train", "val": "holdout", "names": names, "nc": len(names), "channels": 3}

    def setup_model(self) -> None:
        self.model = self._prepared

    def set_model_attributes(self) -> None:
        super().set_model_attributes()
        if self.device.type == "cpu":
            # Ultralytics does this on CUDA only; on CPUs it is the faster layout too (bench/RESULTS.md).
            self.model = self.model.to(memory_format=torch.channels_last)

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        batch = super().preprocess_batch(batch)
        if self.device.type == "cpu":
            batch["img"] = batch["img"].contiguous(memory_format=torch.channels_last)
        return batch

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> ManifestDataset:
        train = mode == "train"
        return ManifestDataset(
            self.plan.train if train else self.plan.holdout,
            self.plan.labels,
            step=lambda done, total: self._report(Progress("preparing", done, total, note="reading images")),
            folder=self._folder,
            imgsz=self.args.imgsz,
            batch_size=batch,
            augment=train,
            hyp=self.args,
            rect=not train,
            stride=STRIDE,
            pad=0.0 if train else 0.5,
        )

    def resume_training(self, _ckpt: Any) -> None:
        """Go on where a checkpoint was taken; the learning rate follows from the epoch."""
        state = self._resumed
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        self.ema.ema.load_state_dict(state["ema"])
        self.ema.updates = state["updates"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.best_fitness, self.choice = state["best_fitness"], Choice.of(state["choice"])
        self.stopper.best_fitness, self.stopper.best_epoch = state["stopper"]
        self.start_epoch = state["epoch"] + 1
        self.epochs = self.args.epochs = state["epochs"]
        self.args.close_mosaic = state["close_mosaic"]
        self._setup_scheduler()
        if getattr(self.model.model[-1], "one2one_cv2", None) is not None:
            # Two-headed models weigh their losses by the epoch.
            self.model.criterion = self.model.init_criterion()
            self.model.criterion.updates = self.start_epoch - 1
            self.model.criterion.update()
        restore_random_state(state["random"], self.device)

    def state(self) -> dict[str, Any]:
        """All that `resume_training` needs, after an epoch."""
        return {
            "epoch": self.epoch, "epochs": self.epochs, "close_mosaic": self.args.close_mosaic,
            "model": self.model.state_dict(), "ema": self.ema.ema.state_dict(), "updates": self.ema.updates,
            "optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict(),
            "choice": self.choice.as_state(), "best_fitness": float(self.best_fitness or 0.0),
            "stopper": [float(self.stopper.best_fitness), self.stopper.best_epoch],
            "random": random_state(self.device),
        }  # fmt: skip

    def save_model(self) -> bool:
        """Keep the averaged weights of what is best so far; nothing is pickled."""
        if self._has_diverged or not np.isfinite(self.fitness):
            return True
        self.choice.add(
            float(self.fitness), {k: v.detach().cpu().clone() for k, v in self.ema.ema.state_dict().items()}
        )
        return True

    def _handle_nan_recovery(self, epoch: int) -> bool:
        """Where the loss runs away, end with the best epoch so far; Ultralytics would look for its own last file."""
        if self._has_diverged:
            if not self.choice:
                raise TrainingFailed("The training diverged: the loss is not a number. Try another seed or batch.")
            self.stop = True
        return False

    @property
    def _has_diverged(self) -> bool:
        return self.loss is not None and not bool(self.loss.isfinite())

    def final_eval(self) -> None:
        return None


class _Watch:
    """Callbacks on Ultralytics' loop: progress, cancelling, the time budget, and how long it waits for images."""

    def __init__(
        self,
        plan: TrainingPlan,
        report: Report,
        cancelled: Cancelled,
        checkpoints: Checkpoints,
        resumed: dict[str, Any] | None,
    ) -> None:
        self.plan, self.report, self.cancelled, self.checkpoints = plan, report, cancelled, checkpoints
        self.history: list[dict[str, Any]] = list(resumed["history"]) if resumed else []
        # Reading images and building the network are paid from the budget too, and so is what an earlier start took.
        self.began = self.epoch_began = self.batch_ended = time.monotonic()
        self.began -= resumed["taken_s"] if resumed else 0.0
        # What an epoch takes after its last batch.
        self.waited_s = self.judging_s = 0.0

    def attach(self, loop: ManifestDetection) -> None:
        loop.add_callback("on_train_start", self.on_start)
        loop.add_callback("on_train_epoch_start", self.on_epoch_start)
        loop.add_callback("on_train_batch_start", self.on_batch_start)
        loop.add_callback("on_train_batch_end", self.on_batch)
        loop.add_callback("on_fit_epoch_end", self.on_epoch)

    def on_start(self, loop: ManifestDetection) -> None:
        self.epoch_began = time.monotonic()
        note = f"goes on after epoch {loop.start_epoch}" if loop.start_epoch else None
        self.report(Progress("training", loop.start_epoch, loop.epochs, note=note))

    def on_epoch_start(self, loop: ManifestDetection) -> None:
        self.batch_ended, self.waited_s = time.monotonic(), 0.0
        # Ultralytics would try smaller batches in the first epoch, and only there: whoever trains does it anywhere.
        loop._oom_retries = _ALL_OOM_RETRIES

    def on_batch_start(self, _loop: ManifestDetection) -> None:
        self.waited_s += time.monotonic() - self.batch_ended

    def on_batch(self, loop: ManifestDetection) -> None:
        self.batch_ended = time.monotonic()
        if self.cancelled():
            raise TrainingCancelled
        budget = self.plan.time_budget_s
        # Only what comes after the batches is still to be paid. Without one whole epoch there is no model.
        if budget is not None and self.batch_ended - self.began > budget - self.judging_s and loop.epoch > 0:
            loop.stop = True

    def on_epoch(self, loop: ManifestDetection) -> None:
        now = time.monotonic()
        took, self.epoch_began = now - self.epoch_began, now
        self.judging_s = now - self.batch_ended
        loss = sum(float(v) for v in loop.tloss.values())
        ap50 = float(loop.metrics.get("metrics/mAP50(B)", 0.0))
        figures = {k.replace("(B)", ""): float(v) for k, v in loop.metrics.items()}
        times = {"seconds": took, "waiting_s": self.waited_s}
        self.history.append({"epoch": loop.epoch + 1, "loss": loss, **figures, **times})
        if self.plan.time_budget_s is not None and not loop.stop:
            self._fill_budget(loop, self.plan.time_budget_s - (now - self.began))
        left = took * (loop.epochs - loop.epoch - 1)
        self.report(Progress("training", loop.epoch + 1, loop.epochs, loss, "AP50", ap50, left))
        # After the last one the training is done, and kept as such.
        if self.checkpoints.is_due and not loop.stop:
            taken_s = time.monotonic() - self.began
            self.checkpoints.save({"loop": loop.state(), "history": self.history, "taken_s": taken_s})
            self.epoch_began = time.monotonic()

    def _fill_budget(self, loop: ManifestDetection, left_s: float) -> None:
        """Plan the epochs that the budget has time for, and lay the learning rate schedule over them.

        Done after every epoch, as the first ones tell little. Of the last one a part will do: it ends with the budget.
        """
        # The first one also warms up: it tells only as long as there is no other.
        recent = self.history[max(1, len(self.history) - _RECENT_EPOCHS) :] or self.history
        more = math.ceil(left_s / median(one["seconds"] for one in recent) - _LEAST_PART)
        if more < 1:
            loop.stop = True
            return
        affordable = loop.epoch + 1 + more
        if self.plan.is_epochs_asked:
            affordable = min(affordable, self.plan.epochs)
        if affordable != loop.epochs:
            loop.epochs = loop.args.epochs = affordable
            # Mosaic ends once and for all, which one slow epoch must not bring about.
            loop.args.close_mosaic = _close_mosaic(loop.epochs) if loop.epoch or loop.epochs > _FEW_EPOCHS else 0
            loop._setup_scheduler()
            loop.scheduler.last_epoch = loop.epoch


def _close_mosaic(epochs: int) -> int:
    """How many last epochs see plain images. Ultralytics' fixed 10 would leave short trainings without any mosaic."""
    return min(10, max(1, epochs // 2))


def _step_images(plan: TrainingPlan) -> int:
    """Images a step. Ultralytics adds up the gradients of 64, which leaves small sets a few steps an epoch.

    Where there are many all the same, its own rates, which are for that, have been tried by others.
    """
    steps = plan.epochs * math.ceil(len(plan.train) / plan.batch)
    return plan.batch if steps < _MANY_STEPS else max(plan.batch, _ULTRALYTICS_STEP_IMAGES)


def _loader_workers(plan: TrainingPlan, report: Report) -> int:
    """Processes that augment images while a GPU trains. They share the images, which takes forking."""
    if sys.platform != "linux":
        return 0
    multiprocessing.set_start_method("fork", force=True)
    wanted = min(8, cpu_cores())
    # Batches come through shared memory, which containers have little of: several of each process are under way.
    batch_bytes = plan.batch * plan.image_size**2 * 3
    room = shutil.disk_usage(_SHARED_MEMORY).free // (_BATCHES_UNDER_WAY * batch_bytes)
    if room < wanted:
        note = f"{room} of {wanted} processes load images: {_SHARED_MEMORY} has no room for more"
        report(Progress("preparing", note=note))
    return int(min(wanted, room))


def _overrides(plan: TrainingPlan, run_dir: Path, report: Report) -> dict[str, Any]:
    on_gpu = plan.device != "cpu"
    return {
        "task": "detect", "mode": "train", "model": f"{plan.model}.yaml", "data": "none", "device": plan.device,
        "epochs": plan.epochs, "batch": plan.batch, "imgsz": plan.image_size, "patience": plan.patience,
        "seed": plan.seed, "close_mosaic": _close_mosaic(plan.epochs), "deterministic": False,
        # bf16 needs no check against a downloaded model, which plain AMP does.
        "amp": "bf16" if on_gpu and torch.cuda.is_available() and has_native_bf16() else False,
        "nbs": _step_images(plan), "max_det": plan.most_boxes,
        # A warm-up that outlasts a short training would be all of it.
        "warmup_epochs": 1.0 if plan.time_budget_s is not None else 3.0,
        "workers": _loader_workers(plan, report) if on_gpu else 0,
        "project": str(run_dir), "name": "run", "exist_ok": True, "plots": False, "save": True, "val": True,
        "verbose": False,
    }  # fmt: skip


class YoloTrainer:
    """Trains Ultralytics detectors; the checkpoint is the latest epoch with the best AP50:95 on the holdout."""

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
        is_half = plan.device == "cpu" and has_matrix_bf16() and plan.precision != "float32"
        model = detector(plan.model, len(plan.labels), InHalf if is_half else DetectionModel)
        if weights.path is not None:
            filled, wanted = load_matching(model, load_tensors(weights.path)), len(model.state_dict())
            if filled < _MIN_FILLED * wanted:
                raise ConfigError(
                    f"The weights file {weights.path} does not fit {plan.model}: {filled} of {wanted} tensors do. "
                    "Set `model` to the architecture that the file is for."
                )
        run_dir = out_dir / "ultralytics"
        resumed = checkpoints.load()
        watch = _Watch(plan, report, cancelled, checkpoints, resumed)
        try:
            state = resumed["loop"] if resumed else None
            loop = ManifestDetection(plan, _overrides(plan, run_dir, report), model, report, out_dir, state)
            watch.attach(loop)
            loop.train()
        finally:
            shutil.rmtree(run_dir, ignore_errors=True)
        kept = loop.choice.kept.state
        save_file({k: v.contiguous() for k, v in kept.items()}, out_dir / WEIGHTS_FILE)
        return self._card(plan, weights, loop, watch)

    @staticmethod
    def _card(plan: TrainingPlan, weights: WeightsChoice, loop: ManifestDetection, watch: _Watch) -> ModelCard:
        hyperparameters = {
            "epochs": len(watch.history), "batch": loop.batch_size, "patience": plan.patience, "seed": plan.seed,
            "optimizer": type(loop.optimizer).__name__, "time_budget_s": plan.time_budget_s, "device": plan.device,
            "close_mosaic": loop.args.close_mosaic,
        }  # fmt: skip
        preprocessing = {"resize": "letterbox", "size_px": plan.image_size, "stride": STRIDE, "colour": "RGB"}
        return ModelCard(
            family=plan.family,
            model=plan.model,
            labels=plan.labels,
            multi_label=False,
            image_size=plan.image_size,
            preprocessing=preprocessing,
            hyperparameters=hyperparameters,
            weights_source=weights.source,
            choice=f"epoch {loop.choice.kept.epoch} of {len(watch.history)}; "
            f"the latest with the best AP50:95 on {len(plan.holdout)} held-out images",
            history=tuple(watch.history),
        )
