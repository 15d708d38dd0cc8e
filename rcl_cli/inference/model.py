"""A trained model in this process: from an image's bytes to CustomLabels, from as many threads as there are."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcl_cli.backends.base import THRESHOLDS_FILE
from rcl_cli.backends.registry import load_predictor, read_card, read_thresholds, runs_side_by_side
from rcl_cli.config import cpu_cores
from rcl_cli.domain import Detection
from rcl_cli.inference.engines import Batches, Engine, SideBySide

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DEFAULT_THRESHOLD = 0.5
_ROUNDING = 1e-6


class LoadedModel:
    """Answers for one model; everything but the network on an accelerator runs on the callers' threads.

    Args:
        folder: what training wrote.
        threads: CPU threads for one forward pass.

    Raises:
        ConfigError: the folder holds no model that this rcl can load.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        card, extra = read_card(folder)
        device = _device(str(extra.get("device", "cpu")))
        self._folder = folder
        self._assumed: dict[str, float] = extra["thresholds"]
        if device != "cpu" or extra.get("runtime") == "openvino":
            self._assumed = extra.get("served_thresholds", self._assumed)
        self._own: tuple[int | None, dict[str, float]] = (None, {})
        self._predictor = load_predictor(folder, device, threads)
        self._engine: Engine
        if runs_side_by_side(extra, device):
            self._engine = SideBySide(
                self._predictor.forward, lambda: load_predictor(folder, device, 1, threads).forward, threads
            )
        else:
            self._engine = Batches(self._predictor.forward, cpu_cores())

        if device != "cpu":
            # The first pass on an accelerator takes a second; nobody's request should.
            self._predictor.forward(_blank(card.image_size))

    def detect(
        self, image: bytes, min_confidence: float | None, max_results: int | None, timeout_s: float
    ) -> list[dict[str, Any]]:
        """CustomLabels of one image.

        Args:
            min_confidence: 0..100 for all labels; None for each label's own threshold.

        Raises:
            ServiceError: the image can't be used, or there is too much to do.
        """
        thresholds = self._thresholds()
        floor = min(thresholds.values(), default=0.0) if min_confidence is None else min_confidence / 100
        prepared, output = self._engine.run(lambda: self._predictor.prepare(image), time.monotonic() + timeout_s)
        # Rounding must not lose what lies on the floor; `custom_labels` looks again.
        found = self._predictor.read(output, prepared, floor - _ROUNDING)
        return custom_labels(found, thresholds, min_confidence, max_results)

    def rest(self) -> None:
        """Give back what only many requests need; to be called when none is here."""
        self._engine.rest()
        self._predictor.rest()

    def _thresholds(self) -> dict[str, float]:
        """What counts now: the owner may set thresholds while the model runs."""
        try:
            changed = (self._folder / THRESHOLDS_FILE).stat().st_mtime_ns
        except OSError:
            return self._assumed
        if self._own[0] != changed:
            self._own = (changed, {**self._assumed, **read_thresholds(self._folder)})
        return self._own[1]


def _blank(size_px: int) -> NDArray[np.uint8]:
    import numpy as np

    return np.zeros((1, size_px, size_px, 3), np.uint8)


def custom_labels(
    found: list[Detection], thresholds: dict[str, float], min_confidence: float | None, max_results: int | None
) -> list[dict[str, Any]]:
    """CustomLabels of the API, best first.

    Args:
        min_confidence: 0..100 for all labels; None for each label's own threshold.
    """
    kept = [d for d in found if _is_shown(d, thresholds, min_confidence)]
    kept.sort(key=lambda d: -d.score)
    return [_as_label(d) for d in (kept if max_results is None else kept[:max_results])]


def _is_shown(detection: Detection, thresholds: dict[str, float], min_confidence: float | None) -> bool:
    if min_confidence is not None:
        return detection.score * 100 >= min_confidence
    return detection.score >= thresholds.get(detection.label, _DEFAULT_THRESHOLD)


def _as_label(detection: Detection) -> dict[str, Any]:
    label: dict[str, Any] = {"Name": detection.label, "Confidence": detection.score * 100}
    if detection.box is not None:
        box = detection.box
        label["Geometry"] = {
            "BoundingBox": {"Width": box.width, "Height": box.height, "Left": box.left, "Top": box.top}
        }
    return label


def _device(evaluated_on: str) -> str:
    """The device to serve on: the one that the model was evaluated on, or the CPU where that is gone."""
    if evaluated_on == "cpu":
        return "cpu"
    import torch

    there = torch.cuda.is_available() if evaluated_on == "cuda" else torch.backends.mps.is_available()
    return evaluated_on if there else "cpu"
