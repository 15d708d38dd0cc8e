"""What 8-bit integers would be worth on this CPU: speed and accuracy of ONNX forms that ONNX Runtime quantised.

The model is the one that bench/accuracy.py trains on `bccd`; it is calibrated on training images and judged on the test
set. A trial: nothing in rcl serves these forms (bench/RESULTS.md says why).
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from inference import trained
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from ratios import DATA

CALIBRATION_IMAGES = 64
RUNS = 200


class Pixels(CalibrationDataReader):  # type: ignore[misc]
    """Prepared images, one by one."""

    def __init__(self, images: list[np.ndarray]) -> None:
        self._left = iter(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        pixels = next(self._left, None)
        return None if pixels is None else {"pixels": pixels[None]}


def nodes_of_head(path: Path) -> list[str]:
    """The operations behind the last convolutions, where boxes are computed in pixels: they need their digits."""
    import onnx

    nodes = onnx.load(str(path)).graph.node
    last = max(i for i, node in enumerate(nodes) if node.op_type == "Conv" and "dfl" not in node.name)
    return [node.name for i, node in enumerate(nodes) if i > last or "dfl" in node.name]


def first_convolutions(path: Path) -> list[str]:
    """The two layers that see pixels."""
    import onnx

    nodes = list(onnx.load(str(path)).graph.node)
    second = [i for i, node in enumerate(nodes) if node.op_type == "Conv"][1]
    return [node.name for node in nodes[: second + 3]]


def main() -> None:
    from accuracy import truth

    from rcl_cli.backends import registry
    from rcl_cli.backends.base import ONNX_FILE
    from rcl_cli.backends.boxes.predictor import BoxPredictor
    from rcl_cli.backends.predictors import predict
    from rcl_cli.backends.runtimes.onnx_runner import OnnxRunner
    from rcl_cli.domain import Box, Sample
    from rcl_cli.evaluation.metrics import evaluate, match_image

    model = trained("bccd") / "models" / "1"
    card, _ = registry.read_card(model)
    ours = registry.load_predictor(model)
    training = [DATA / "bccd" / image["key"] for image in truth(DATA / "bccd" / "train.manifest")]
    calibration = [ours.prepare(path).pixels for path in training[:CALIBRATION_IMAGES]]
    samples = []
    for image in truth(DATA / "bccd" / "test.manifest"):
        boxes = tuple((name, Box(b[0], b[1], b[2] - b[0], b[3] - b[1])) for name, b in image["boxes"])
        samples.append(Sample(str(DATA / "bccd" / image["key"]), (), boxes))

    def figures(predictor: Any) -> tuple[float, float]:
        found = predict(predictor, [sample.path for sample in samples])
        matched = [match_image(one, sample) for one, sample in zip(found, samples, strict=True)]
        result = evaluate(card.labels, samples, matched)
        return result.mean("average_precision"), result.f1

    reference = figures(ours)
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.onnx"
        quant_pre_process(str(model / ONNX_FILE), str(ready), skip_symbolic_shape=True)
        head, first = nodes_of_head(ready), first_convolutions(ready)
        for name, excluded, method in (
            ("all of it", [], CalibrationMethod.MinMax),
            ("but for the head's end", head, CalibrationMethod.MinMax),
            ("but for the head's end, ranges by entropy", head, CalibrationMethod.Entropy),
            ("but for the head's end, ranges by percentile", head, CalibrationMethod.Percentile),
            ("but for the head's end and the first two layers", head + first, CalibrationMethod.MinMax),
            ("the same, ranges by percentile", head + first, CalibrationMethod.Percentile),
        ):
            path = Path(folder) / "int8.onnx"
            quantize_static(
                str(ready), str(path), Pixels(calibration), per_channel=True, nodes_to_exclude=excluded,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                calibrate_method=method,
            )  # fmt: skip
            integers = BoxPredictor(OnnxRunner(path), card)
            found = [f"{what} {f:.4f}" for what, f in zip(("AP50", "F1"), figures(integers), strict=True)]
            ratio = speed(integers, ours, calibration[0][None])
            print(f"8-bit integers, {name}: {', '.join(found)}, a forward pass takes {ratio:.2f} of float32's time")
    print(f"float32: AP50 {reference[0]:.4f}, F1 {reference[1]:.4f}")


def speed(mine: Any, theirs: Any, batch: np.ndarray) -> float:
    """The ratio of median times, both sides in turns."""
    took: list[list[float]] = [[], []]
    for _ in range(RUNS):
        for side, predictor in enumerate((mine, theirs)):
            began = time.perf_counter()
            predictor.forward(batch)
            took[side].append(time.perf_counter() - began)
    return statistics.median(took[0]) / statistics.median(took[1])


if __name__ == "__main__":
    main()
