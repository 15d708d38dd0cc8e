"""What a model family must offer, and what it gives back."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rcl_cli.backends.resuming import Checkpoints
    from rcl_cli.domain import Detection, ModelCard, Progress, TrainingPlan
    from rcl_cli.imaging.geometry import Letterbox
    from rcl_cli.tiles import Window

Report = Callable[["Progress"], None]
Cancelled = Callable[[], bool]

WEIGHTS_FILE = "weights.safetensors"
ONNX_FILE = "model.onnx"
CARD_FILE = "model.json"
THRESHOLDS_FILE = "thresholds.json"


class TrainingCancelled(Exception):
    """The trainer was asked to stop."""


class DeviceLost(Exception):
    """The accelerator failed in a way that this process can't recover from."""


# "CUDA out of memory", and what cuBLAS and cuDNN say when they get none.
_MEMORY_ERRORS = ("out of memory", "cublas_status_alloc_failed", "unable to find an engine")

# What the C++ library, the loader of shared objects and the system say.
_HOST_MEMORY_ERRORS = ("bad_alloc", "failed to map segment", "cannot allocate memory", "can't allocate memory")
OUT_OF_MEMORY = "there is not enough memory"


def is_memory_error(error: BaseException) -> bool:
    """Whether a device's memory was too small."""
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in _MEMORY_ERRORS)


def lacks_memory(error: BaseException) -> bool:
    """Whether there was too little memory, be it the device's or the machine's (or what `ulimit -v` leaves of it)."""
    if isinstance(error, MemoryError) or is_memory_error(error):
        return True
    text = str(error).lower()
    return getattr(error, "errno", None) == errno.ENOMEM or any(words in text for words in _HOST_MEMORY_ERRORS)


def smaller_batch(asked: int, used: int) -> str:
    """What people are told where a device's memory is too small."""
    return f"the device's memory does not hold {asked} images at once: batches of {used}"


class Runner(Protocol):
    """A network on a device: pixels in, raw outputs out."""

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Forward a batch of shape (N, H, W, 3), uint8 RGB; the shape of the result is the family's own."""
        ...

    def rest(self) -> None:
        """Give back memory that only forward passes need; they may go on meanwhile."""
        ...


class Seams(NamedTuple):
    """Which parts of an image, `width` by `height` pixels, lie where on the canvases that the network sees."""

    width: int
    height: int
    parts: list[Window]
    frames: list[Letterbox]


class Prepared(NamedTuple):
    """An image ready for the network.

    Args:
        pixels: (height, width, 3), uint8, RGB, or several of them; images of the same shape can share a batch.
        frame: where the image lies in it, None where it fills it.
        seams: where its parts lie in the image, where there are several.
    """

    pixels: NDArray[np.uint8]
    frame: Letterbox | None = None
    seams: Seams | None = None


class Predictor(Protocol):
    """A loaded model, in three steps: only the middle one needs the device."""

    def prepare(self, source: bytes | str | Path) -> Prepared:
        """Decode and resize; may run on any thread.

        Args:
            source: an image's bytes, or its path.

        Raises:
            InvalidImageFormat, ImageTooLarge, InvalidParameter: as `imaging.decode.decode`.
        """
        ...

    def forward(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run the network on what was prepared for N images, stacked; `len(out) == N`."""
        ...

    def rest(self) -> None:
        """See `Runner`."""
        ...

    def read(self, output: NDArray[np.float32], prepared: Prepared, floor: float = 0.0) -> list[Detection]:
        """What the network's output for one image says, best first; may run on any thread.

        Args:
            floor: what scores less is left out. Classifiers list every label that is left; detectors every box.
        """
        ...


@dataclass(frozen=True, slots=True)
class WeightsChoice:
    """Pretrained weights for one architecture.

    Args:
        model: the architecture that the weights fit.
        path: a local file; None to train from scratch.
        source: for people: where the weights are from.
    """

    model: str
    path: Path | None
    source: str


class Trainer(Protocol):
    """Trains one model from a plan."""

    def train(
        self,
        plan: TrainingPlan,
        weights: WeightsChoice,
        out_dir: Path,
        report: Report,
        cancelled: Cancelled,
        checkpoints: Checkpoints = ...,
    ) -> ModelCard:
        """Train, from the last checkpoint where there is one, and write the weights into `out_dir`.

        Raises:
            TrainingFailed: the data or the plan can't be trained on.
            ConfigError: the weights can't be used.
            TrainingCancelled: `cancelled()` turned true.
        """
        ...
