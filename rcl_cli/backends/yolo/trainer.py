"""Object localization with Ultralytics YOLO.

Ultralytics trains from lists in memory: no label files, no caches beside the user's images, no copies, and pixels come
from rcl's own decoder, so training sees exactly what serving will see.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from rcl_cli.backends.base import WEIGHTS_FILE, Cancelled, Report, TrainingCancelled, WeightsChoice
from rcl_cli.backends.pixels import ResizedImages
from rcl_cli.backends.resuming import NO_CHECKPOINTS, Checkpoints, random_state, restore_random_state
from rcl_cli.backends.weights.checkpoints import load_matching, load_tensors
from rcl_cli.backends.weights.choice import Offer
from rcl_cli.backends.yolo.family import STRIDE, knows
from rcl_cli.backends.yolo.quiet import has_native_bf16, quiet_ultralytics
from rcl_cli.config import cpu_cores
from rcl_cli.domain import ModelCard, Progress, Sample, TrainingPlan
from rcl_cli.errors import ConfigError, TrainingFailed
from rcl_cli.imaging.decode import decode, read_header
from rcl_cli.imaging.geometry import fitted_size, resize

quiet_ultralytics(Path(os.environ.get("RCL_WORK_DIR") or tempfile.mkdtemp(prefix="rcl-")), cpu_cores())

from ultralytics.data.dataset import YOLODataset  # noqa: E402 - must follow quiet_ultralytics
from ultralytics.models.yolo.detect import DetectionTrainer  # noqa: E402
from ultralytics.nn.tasks import DetectionModel  # noqa: E402

_ASSETS = "https://github.com/ultralytics/assets/releases/download"
# As published with the release; of other files the hash of the first download is kept.
_SHA256 = {
    "yolo11n": "0ebbc80d4a7680d14987a577cd21342b65ecfd94632bd9a8da63ae6417644ee1",
    "yolo11s": "85a76fe86dd8afe384648546b56a7a78580c7cb7b404fc595f97969322d502d5",
}
_MIN_FILLED = 0.5
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the system's own
_BATCHES_UNDER_WAY = 5
_ALL_OOM_RETRIES = 3


class ManifestDataset(YOLODataset):
    """A YOLO dataset over samples in memory.

    Args:
        step: told how many of how many images have been read.
        folder: for images that memory does not hold.
    """

    def __init__(
        self,
        samples: tuple[Sample, ...],
        labels: tuple[str, ...],
        *,
        step: Callable[[int, int], None],
        folder: Path,
        **kwargs: Any,
    ) -> None:
        self._samples = {s.path: s for s in samples}
        self._class_ids = {name: i for i, name in enumerate(labels)}
        super().__init__(img_path=[s.path for s in samples], data={"names": dict(enumerate(labels))}, **kwargs)
        # Only now: rectangular batches bring the files into an order of their own.
        self._originals = [_size_of(self._samples[path]) for path in self.im_files]
        self._fitted = [fitted_size(height, width, self.imgsz) for height, width in self._originals]
        self._images = ResizedImages(self._fitted, self._read, folder, step)

    def get_img_files(self, img_path: list[str]) -> list[str]:
        return list(img_path)

    def get_labels(self) -> list[dict[str, Any]]:
        return [self._label(self._samples[path]) for path in self.im_files]

    def _label(self, sample: Sample) -> dict[str, Any]:
        boxes = [(self._class_ids[name], box) for name, box in sample.boxes]
        xywh = [(b.left + b.width / 2, b.top + b.height / 2, b.width, b.height) for _, b in boxes]
        return {
            "im_file": sample.path,
            "shape": _size_of(sample),
            "cls": np.array([[c] for c, _ in boxes], dtype=np.float32).reshape(-1, 1),
            "bboxes": np.array(xywh, dtype=np.float32).reshape(-1, 4),
            "segments": [],
            "keypoints": None,
            "normalized": True,
            "bbox_format": "xywh",
        }

    def build_transforms(self, hyp: Any) -> Any:
        # Mosaic draws from a sliding buffer of recent images unless all images are at hand, which they are here.
        self.cache = "ram"
        return super().build_transforms(hyp)

    def _read(self, i: int) -> np.ndarray:
        """An image at the training size in BGR, Ultralytics' order."""
        rgb = decode(self.im_files[i], longer_px=self.imgsz)
        return np.ascontiguousarray(resize(rgb, *self._fitted[i])[..., ::-1])

    def load_image(self, i: int, **_modes: Any) -> tuple[np.ndarray, tuple[int, int], tuple[int, int]]:
        """The image resized to the training size in BGR, its original and its resized (h, w)."""
        image = self._images[i]
        return image, self._originals[i], image.shape[:2]


def _size_of(sample: Sample) -> tuple[int, int]:
    """(height, width) of a sample's upright image."""
    if sample.height:
        return sample.height, sample.width
    header = read_header(sample.path)
    return header.height, header.width


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
        self.best_state: dict[str, torch.Tensor] = {}
        self.best_epoch = 0
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
        self.best_fitness, self.best_epoch, self.best_state = state["best_fitness"], state["best_epoch"], state["best"]
        self.stopper.best_fitness, self.stopper.best_epoch = state["stopper"]
        self.start_epoch = state["epoch"] + 1
        self.epochs = self.args.epochs = state["epochs"]
        self.args.close_mosaic = state["close_mosaic"]
        self._setup_scheduler()
        restore_random_state(state["random"], self.device)

    def state(self) -> dict[str, Any]:
        """All that `resume_training` needs, after an epoch."""
        return {
            "epoch": self.epoch, "epochs": self.epochs, "close_mosaic": self.args.close_mosaic,
            "model": self.model.state_dict(), "ema": self.ema.ema.state_dict(), "updates": self.ema.updates,
            "optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict(),
            "best": self.best_state, "best_epoch": self.best_epoch, "best_fitness": float(self.best_fitness or 0.0),
            "stopper": [float(self.stopper.best_fitness), self.stopper.best_epoch],
            "random": random_state(self.device),
        }  # fmt: skip

    def save_model(self) -> bool:
        """Keep the averaged weights of the best epoch so far; nothing is pickled."""
        if self.best_fitness == self.fitness and np.isfinite(self.fitness):
            self.best_state = {k: v.detach().cpu().clone() for k, v in self.ema.ema.state_dict().items()}
            self.best_epoch = self.epoch + 1
        return True

    def _handle_nan_recovery(self, epoch: int) -> bool:
        """Where the loss runs away, end with the best epoch so far; Ultralytics would look for its own last file."""
        if self.loss is not None and not bool(self.loss.isfinite()):
            if not self.best_state:
                raise TrainingFailed("The training diverged: the loss is not a number. Try another seed or batch.")
            self.stop = True
        return False

    def final_eval(self) -> None:
        return None


class YoloNet(nn.Module):
    """The detector with its preprocessing inside: (N, H, W, 3) uint8 RGB in, (N, 4 + classes, anchors) out."""

    def __init__(self, model: DetectionModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        out = self.model(pixels.permute(0, 3, 1, 2).to(next(self.model.parameters()).dtype) / 255)
        return out[0] if isinstance(out, (list, tuple)) else out


def _detector(model: str, classes: int) -> DetectionModel:
    """A detector with random weights.

    Raises:
        ConfigError: Ultralytics ships no such architecture.
    """
    try:
        return DetectionModel(f"{model}.yaml", ch=3, nc=classes, verbose=False)
    except (FileNotFoundError, KeyError) as error:
        raise ConfigError(f"Ultralytics has no detection model {model!r}; try yolo11n, yolo11s or yolov8n.") from error


def offers(model: str, device: str, images: int) -> list[Offer]:
    """YOLO architectures in order of preference.

    | device | images | model |
    |---|---|---|
    | CPU | any | yolo11n |
    | GPU | under 1000 | yolo11n |
    | GPU | 1000 and more | yolo11s |

    bench/RESULTS.md has the measurements behind the first row; the last two are from published tables and unmeasured.

    Raises:
        ConfigError: no such model.
    """
    if model == "auto":
        model = "yolo11s" if device != "cpu" and images >= 1000 else "yolo11n"
    if not knows(model):
        raise ConfigError(f"There is no detection model {model!r}; try yolo11n, yolo11s or yolov8n.")
    release = "v8.4.0" if model.startswith("yolo26") else "v8.3.0"
    return [Offer(model, url=f"{_ASSETS}/{release}/{model}.pt", sha256=_SHA256.get(model))]


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
        self.waited_s = 0.0

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
        if budget is not None and time.monotonic() - self.began > budget and loop.epoch > 0:
            loop.stop = True

    def on_epoch(self, loop: ManifestDetection) -> None:
        now = time.monotonic()
        took, self.epoch_began = now - self.epoch_began, now
        if loop.epoch == 0 and self.plan.time_budget_s is not None:
            self._shorten(loop, took)
        loss = sum(float(v) for v in loop.tloss.values())
        ap50 = float(loop.metrics.get("metrics/mAP50(B)", 0.0))
        figures = {k.replace("(B)", ""): float(v) for k, v in loop.metrics.items()}
        times = {"seconds": took, "waiting_s": self.waited_s}
        self.history.append({"epoch": loop.epoch + 1, "loss": loss, **figures, **times})
        left = took * (loop.epochs - loop.epoch - 1)
        self.report(Progress("training", loop.epoch + 1, loop.epochs, loss, "AP50", ap50, left))
        # After the last one the training is done, and kept as such.
        if self.checkpoints.is_due and not loop.stop:
            taken_s = time.monotonic() - self.began
            self.checkpoints.save({"loop": loop.state(), "history": self.history, "taken_s": taken_s})
            self.epoch_began = time.monotonic()

    def _shorten(self, loop: ManifestDetection, epoch_s: float) -> None:
        """Plan the epochs that the budget has time for, and lay the learning rate schedule over them."""
        left_s = (self.plan.time_budget_s or 0) - (time.monotonic() - self.began)
        affordable = loop.epoch + 1 + max(0, int(left_s / epoch_s))
        if affordable < loop.epochs:
            loop.epochs = loop.args.epochs = affordable
            loop.args.close_mosaic = _close_mosaic(loop.epochs)
            loop._setup_scheduler()
            loop.scheduler.last_epoch = loop.epoch


def _close_mosaic(epochs: int) -> int:
    """How many last epochs see plain images. Ultralytics' fixed 10 would leave short trainings without any mosaic."""
    return min(10, max(1, epochs // 2))


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
        # A warm-up that outlasts a short training would be all of it.
        "warmup_epochs": 1.0 if plan.time_budget_s is not None else 3.0,
        "workers": _loader_workers(plan, report) if on_gpu else 0,
        "project": str(run_dir), "name": "run", "exist_ok": True, "plots": False, "save": True, "val": True,
        "verbose": False,
    }  # fmt: skip


class YoloTrainer:
    """Trains Ultralytics detectors; the checkpoint is the epoch with the best AP50:95 on the holdout."""

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
        model = _detector(plan.model, len(plan.labels))
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
        save_file({k: v.contiguous() for k, v in loop.best_state.items()}, out_dir / WEIGHTS_FILE)
        return self._card(plan, weights, loop, watch)

    @staticmethod
    def _card(plan: TrainingPlan, weights: WeightsChoice, loop: ManifestDetection, watch: _Watch) -> ModelCard:
        hyperparameters = {
            "epochs": loop.epochs, "batch": loop.batch_size, "patience": plan.patience, "seed": plan.seed,
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
            choice=f"epoch {loop.best_epoch} of {loop.epochs}; best AP50:95 on {len(plan.holdout)} held-out images",
            history=tuple(watch.history),
        )


def load_network(card: ModelCard, weights_file: Path) -> YoloNet:
    """The trained detector, fused, on the CPU, in evaluation mode."""
    model = _detector(card.model, len(card.labels))
    model.load_state_dict(load_tensors(weights_file))
    head = model.model[-1]
    if getattr(head, "end2end", False):
        # Two-headed models answer through the one-to-many head and our own suppression, as they were validated.
        head.end2end = False
    model = model.eval().fuse(verbose=False)
    head = model.model[-1]
    head.export, head.format, head.dynamic = True, "onnx", True
    _keep_anchors_on_device(head)
    return YoloNet(model)


def _keep_anchors_on_device(head: Any) -> None:
    """Let a detector's last part make its anchors on the GPU.

    Ultralytics counts them out on the CPU and reads strides back from the device. Both wait for it, which costs time at
    every pass, and work that waits can't be recorded as a CUDA graph.
    """
    elsewhere, strides = head._get_decode_boxes, [float(s) for s in head.stride]

    def decoded(raw: dict[str, Any]) -> Any:
        feats = raw["feats"]
        if feats[0].device.type != "cuda":
            return elsewhere(raw)
        points, steps = _anchors(feats, strides)
        return head.decode_bboxes(head.dfl(raw["boxes"]), points.unsqueeze(0), raw.get("angle")) * steps

    head._get_decode_boxes = decoded


def _anchors(feats: Sequence[torch.Tensor], strides: Sequence[float]) -> tuple[torch.Tensor, torch.Tensor]:
    """Centres of the cells of feature maps, and their strides.

    Args:
        feats: (N, C, H, W) each; only shape, type and device matter.
        strides: pixels a cell, one number a map.

    Returns:
        (2, A): x and y in cells; (1, A): pixels. A is the number of all cells.
    """
    points, steps = [], []
    for feat, stride in zip(feats, strides, strict=True):
        like: dict[str, Any] = {"dtype": feat.dtype, "device": feat.device}
        height, width = feat.shape[2:]
        y, x = torch.meshgrid(torch.arange(height, **like), torch.arange(width, **like), indexing="ij")
        points.append(torch.stack([x.flatten(), y.flatten()]) + 0.5)
        steps.append(torch.full((1, height * width), stride, **like))
    return torch.cat(points, 1), torch.cat(steps, 1)


def in_half(net: YoloNet) -> YoloNet:
    """A loaded network in half precision, but for its boxes: from 1024 pixels on, half has whole ones only."""
    net.half()
    head = net.model.model[-1]
    head.dfl.float()
    decode = head._inference

    def in_single(raw: dict[str, Any]) -> torch.Tensor:
        # Of the features only shape, type and device are looked at.
        features = [torch.empty(f.shape, device=f.device) for f in raw["feats"]]
        out: torch.Tensor = decode(
            {**raw, "boxes": raw["boxes"].float(), "scores": raw["scores"].float(), "feats": features}
        )
        return out

    head._inference = in_single
    return net


def example_input(card: ModelCard) -> torch.Tensor:
    """A uint8 batch of a size that is not square, so that a mixed-up side shows."""
    short = max(STRIDE, card.image_size // 2 // STRIDE * STRIDE)
    return torch.zeros(2, short, card.image_size // STRIDE * STRIDE, 3, dtype=torch.uint8)
