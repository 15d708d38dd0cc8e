"""The ONNX form of a trained model, and the check that it says what the torch form says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rcl_cli.backends.base import ONNX_FILE
from rcl_cli.backends.onnx_form import write_onnx
from rcl_cli.backends.registry import example_input, load_network
from rcl_cli.domain import Detection, ModelCard

if TYPE_CHECKING:
    pass

# Scores may differ by this much between the runtimes before the ONNX form is turned down.
SCORE_TOLERANCE = 2e-3
_COMPARED_SCORE = 0.05


def export_onnx(card: ModelCard, folder: Path) -> Path:
    """Write the ONNX form beside the weights: uint8 (N, H, W, 3) in, batch and sides free where the family allows."""
    dynamic = {0: "batch", 1: "height", 2: "width"} if card.family == "yolo" else {0: "batch"}
    path = folder / ONNX_FILE
    write_onnx(load_network(card, folder), example_input(card), path, "pixels", "scores", dynamic)
    return path


def disagreement(ours: Sequence[list[Detection]], reference: Sequence[list[Detection]]) -> float:
    """The largest difference in score between two models' answers; a label found by one only counts in full."""
    return max((_difference(a, b) for a, b in zip(ours, reference, strict=True)), default=0.0)


def _difference(ours: list[Detection], reference: list[Detection]) -> float:
    def ranked(found: list[Detection]) -> dict[str, list[float]]:
        by_label: dict[str, list[float]] = {}
        for detection in found:
            by_label.setdefault(detection.label, []).append(detection.score)
        return by_label

    mine, theirs = ranked(ours), ranked(reference)
    worst = 0.0
    for label in mine.keys() | theirs.keys():
        a, b = mine.get(label, []), theirs.get(label, [])
        for i in range(max(len(a), len(b))):
            left, right = (a[i] if i < len(a) else 0.0), (b[i] if i < len(b) else 0.0)
            # Near the floor, a rounding decides which of many faint boxes survive; nobody acts on those.
            if not math.isfinite(left + right):
                return math.inf
            if max(left, right) >= _COMPARED_SCORE:
                worst = max(worst, abs(left - right))
    return worst
