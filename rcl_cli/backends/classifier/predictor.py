"""From an image to the scores of a classifier's labels, around any runner. Needs numpy and Pillow, never torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rcl_cli.backends.base import Prepared, Runner
from rcl_cli.domain import Detection, ModelCard
from rcl_cli.imaging.decode import decode
from rcl_cli.imaging.geometry import stretch

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ClassifierPredictor:
    """Scores of every label for the whole image."""

    def __init__(self, runner: Runner, card: ModelCard) -> None:
        self.forward, self.rest = runner.run, runner.rest
        self._labels = card.labels
        self._size_px = int(card.preprocessing["size_px"])

    def prepare(self, source: bytes | str | Path) -> Prepared:
        return Prepared(stretch(decode(source, shorter_px=self._size_px), self._size_px))

    def read(self, output: NDArray[np.float32], _prepared: Prepared, floor: float = 0.0) -> list[Detection]:
        order = np.argsort(-output, kind="stable")
        return [Detection(self._labels[i], float(output[i])) for i in order if output[i] >= floor]
