"""The values that travel between layers; they need the standard library only."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from rcl_cli.tiles import Tiling, Window

UseCase = Literal["IMAGE_LEVEL_LABELS", "OBJECT_LOCALIZATION", "NOT_DETERMINED"]


class Box(NamedTuple):
    """A rectangle as ratios of the upright image: 0 is the left or top edge, 1 the right or bottom one."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height

    @property
    def area(self) -> float:
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class Detection:
    """One label found in an image: score in 0..1, and a box for localization models."""

    label: str
    score: float
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One image and its truth.

    Args:
        path: a local file holding the image.
        labels: image-level labels; empty for localization.
        boxes: (label, box) pairs; empty for image-level data.
        source_ref: where the manifest says the image is.
        width, height: size in pixels of the upright image, or of its part; 0 where nobody looked yet.
        part: what of the image this is; None for all of it.
    """

    path: str
    labels: tuple[str, ...] = ()
    boxes: tuple[tuple[str, Box], ...] = ()
    source_ref: str = ""
    width: int = 0
    height: int = 0
    part: Window | None = None


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Everything that a backend needs to train one model.

    Args:
        family: a key of `backends.registry`.
        model: the architecture's name within the family.
        labels: label names in the order of the model's outputs.
        train, holdout: disjoint samples; checkpoints are chosen on `holdout`, never on the test set.
        multi_label: several labels may hold for one image (sigmoid instead of softmax).
        device: `cpu`, `cuda`, `cuda:N` or `mps`.
        image_size: longer side in pixels that images are resized to.
        weights: `auto`, `none`, or a local file with pretrained weights.
        precision: of training and of the model that serves: `auto`, or `float32` for single precision only.
        time_budget_s: how long the training stage takes; `epochs` are then a first guess, unless they were asked for.
        is_epochs_asked: somebody wants so many epochs, and no more where there is time for them.
        most_boxes: that may come out of an image.
        tiling: how images are cut into tiles, where they are; `train` and `holdout` are then such parts.
        offline: never open a network connection.
    """

    family: str
    model: str
    labels: tuple[str, ...]
    train: tuple[Sample, ...]
    holdout: tuple[Sample, ...]
    multi_label: bool
    device: str
    image_size: int
    batch: int
    epochs: int
    patience: int
    seed: int
    weights: str
    time_budget_s: float | None
    offline: bool
    precision: str = "auto"
    is_epochs_asked: bool = False
    most_boxes: int = 300
    tiling: Tiling | None = None


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a saved model says about itself; the JSON beside the weights.

    Args:
        preprocessing: the backend's own settings, enough to repeat its preprocessing exactly.
        history: one dict per epoch: losses and figures, `seconds`, of them `waiting_s` for images.
        choice: how the checkpoint was chosen, in the backend's words.
    """

    family: str
    model: str
    labels: tuple[str, ...]
    multi_label: bool
    image_size: int
    preprocessing: dict[str, Any]
    hyperparameters: dict[str, Any]
    weights_source: str
    choice: str
    history: tuple[dict[str, Any], ...] = ()
    first_usable_s: float | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training stands.

    Args:
        stage: `contest`, `preparing`, `features`, `head`, `training`, `exporting`, `evaluating`, `saving`.
        step, steps: finished and planned units of the stage (epochs while training, images elsewhere).
        eta_s: estimated seconds to the end of the stage.
    """

    stage: str
    step: int = 0
    steps: int = 0
    loss: float | None = None
    metric: str | None = None
    value: float | None = None
    eta_s: float | None = None
    note: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value is not None}

    def sentence(self) -> str:
        """One line for StatusMessage."""
        parts = [f"The model is being trained: {self.stage}"]
        if self.steps:
            unit = "epoch" if self.stage == "training" else "step"
            parts.append(f"{unit} {self.step} of {self.steps}")
        if self.loss is not None:
            parts.append(f"loss {self.loss:.4g}")
        if self.metric and self.value is not None:
            parts.append(f"{self.metric} {self.value:.3f}")
        if self.eta_s is not None:
            parts.append(f"about {max(1, round(self.eta_s))} s left")
        if self.note:
            parts.append(self.note)
        return ", ".join(parts) + "."
