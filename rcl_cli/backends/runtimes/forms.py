"""The forms in which a trained model can run, and which of them serves: the fastest that says what torch says.

| device | form | agreement asked for |
|---|---|---|
| CPU | ONNX Runtime | scores within 0.002 |
| CPU that computes in bfloat16 | OpenVINO, where it is installed and faster | scores within 0.02 |
| CUDA, Apple | torch in half precision | scores within 0.02 |
| any | torch in single precision | it is the reference |
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rcl_cli.backends import registry
from rcl_cli.backends.base import ONNX_FILE, Predictor, Report
from rcl_cli.backends.predictors import predict
from rcl_cli.backends.runtimes.onnx_form import write_onnx
from rcl_cli.backends.runtimes.openvino_runner import computes_in_bf16, version
from rcl_cli.domain import Detection, ModelCard, Progress

ONNX_TOLERANCE = 2e-3
# Thresholds and figures are those of the form that serves, so this only guards against what went wrong.
HALF_TOLERANCE = 2e-2
_COMPARED_SCORE = 0.05
# It takes a second longer to load, and more memory: for less it is not worth that.
_FASTER = 0.85
_TIMED_IMAGES, _TIMED_ROUNDS = 4, 4


def choose_forms(
    card: ModelCard, folder: Path, device: str, probes: Sequence[str], report: Report, *, is_exact: bool = False
) -> dict[str, Any]:
    """Write the forms that a model has, and find out which ones serve.

    Args:
        folder: holds the weights.
        device: that the model was trained on.
        probes: images on which the forms must agree.
        is_exact: only in single precision.

    Returns:
        Of the model's card: `runtime` (`onnx`, `openvino` or `torch`, on the CPU), `precision` (`float16`, on
        accelerators, `bfloat16`, in OpenVINO, or `float32`), how far each form that was tried lies from torch in single
        precision, `bf16_time`, the time that OpenVINO takes for one that ONNX Runtime takes; `openvino`, its version.
    """
    reference = predict(registry.on_torch(card, folder, "cpu"), probes)
    found: dict[str, Any] = {"runtime": "torch", "precision": "float32", "onnx_disagreement": None}
    try:
        export_onnx(card, folder)
        found["onnx_disagreement"] = disagreement(predict(registry.on_onnx(card, folder), probes), reference)
        if found["onnx_disagreement"] <= ONNX_TOLERANCE:
            found["runtime"] = "onnx"
    except Exception as error:  # noqa: BLE001 - the torch form serves as well, only slower
        report(Progress("exporting", note=f"no ONNX form ({type(error).__name__}: {error}), torch will serve"))
    if device == "cpu" and found["runtime"] == "onnx" and not is_exact:
        found |= _in_bf16(card, folder, probes, reference, report)
    if device != "cpu" and not is_exact:
        try:
            half = registry.on_torch(card, folder, device, half=True)
            found["half_disagreement"] = disagreement(predict(half, probes), reference)
            if found["half_disagreement"] <= HALF_TOLERANCE:
                found["precision"] = "float16"
        except Exception as error:  # noqa: BLE001 - single precision serves as well, only slower
            report(Progress("exporting", note=f"no half precision ({type(error).__name__}: {error})"))
    return found


def _in_bf16(
    card: ModelCard, folder: Path, probes: Sequence[str], reference: Sequence[list[Detection]], report: Report
) -> dict[str, Any]:
    """What speaks for bfloat16 on this CPU, and whether it serves."""
    if not probes or not computes_in_bf16():
        return {}
    try:
        candidate = registry.on_openvino(card, folder)
        apart = disagreement(predict(candidate, probes), reference)
        share = _time_share(candidate, registry.on_onnx(card, folder), probes)
    except Exception as error:  # noqa: BLE001 - single precision serves as well, only slower
        report(Progress("exporting", note=f"no bfloat16 ({type(error).__name__}: {error})"))
        return {}
    found = {"bf16_disagreement": apart, "bf16_time": round(share, 3)}
    if apart > HALF_TOLERANCE or share > _FASTER:
        return found
    return found | {"runtime": "openvino", "precision": "bfloat16", "openvino": version()}


def _time_share(one: Predictor, other: Predictor, probes: Sequence[str]) -> float:
    """The time of a forward pass, for one second of the other's; they take turns, for others may be at work."""
    pixels = [one.prepare(probe).pixels[None] for probe in probes[:_TIMED_IMAGES]]
    took: tuple[list[float], list[float]] = ([], [])
    for image in pixels:
        # The first pass of a shape makes ready for it.
        one.forward(image)
        other.forward(image)
    for image in pixels * _TIMED_ROUNDS:
        for predictor, seconds in zip((one, other), took, strict=True):
            began = time.perf_counter()
            predictor.forward(image)
            seconds.append(time.perf_counter() - began)
    return statistics.median(took[0]) / statistics.median(took[1])


def export_onnx(card: ModelCard, folder: Path) -> Path:
    """Write the ONNX form beside the weights: uint8 (N, H, W, 3) in, batch and sides free where the family allows."""
    free, path = registry.family(card.family).free, folder / ONNX_FILE
    write_onnx(registry.load_network(card, folder), registry.example_input(card), path, "pixels", "scores", free)
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
