"""What a model family must offer, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rcl_cli.backends.weights import WeightsChoice
    from rcl_cli.domain import Detection, ModelCard, Progress, TrainingPlan

Report = Callable[["Progress"], None]
Cancelled = Callable[[], bool]

WEIGHTS_FILE = "weights.safetensors"
ONNX_FILE = "model.onnx"
CARD_FILE = "model.json"


class TrainingCancelled(Exception):
    """The trainer was asked to stop."""


class Runner(Protocol):
    """A network on a device: pixels in, raw outputs out."""

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Forward a batch of shape (N, H, W, 3), uint8 RGB; the shape of the result is the family's own."""
        ...


class Predictor(Protocol):
    """A loaded model."""

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[list[Detection]]:
        """Find labels.

        Args:
            images: upright RGB arrays of shape (height, width, 3), of any sizes.

        Returns:
            One list per image, best first, `len(out) == len(images)`. Classifiers list every label; detectors every
            box that scores at least their floor.
        """
        ...


class Trainer(Protocol):
    """Trains one model from a plan."""

    def train(
        self, plan: TrainingPlan, weights: WeightsChoice, out_dir: Path, report: Report, cancelled: Cancelled
    ) -> ModelCard:
        """Train, and write the weights into `out_dir`.

        Raises:
            TrainingFailed: the data or the plan can't be trained on.
            ConfigError: the weights can't be used.
            TrainingCancelled: `cancelled()` turned true.
        """
        ...
