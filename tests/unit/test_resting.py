"""Memory that forward passes need is given back while a model rests."""

from __future__ import annotations

import importlib.util
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper

from rcl_cli import heap
from rcl_cli.backends.base import Runner
from rcl_cli.backends.runtimes.onnx_runner import OnnxRunner
from rcl_cli.inference import worker
from tests.conftest import in_threads, wait_until

SIDE_PX, CHANNELS = 1024, 16


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """Little weight, much memory: (1, 1024, 1024, 3) uint8 in, means of 16 channels out."""
    rng = np.random.default_rng(0)
    weights = helper.make_tensor(
        "w", TensorProto.FLOAT, (CHANNELS, 3, 3, 3), rng.random(CHANNELS * 27).astype(np.float32).tobytes(), raw=True
    )
    nodes = [
        helper.make_node("Cast", ["pixels"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["numbers"], ["channels"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["channels", "w"], ["wide"], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["wide"], ["means"]),
        helper.make_node("Flatten", ["means"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes, "wide",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, (None, None, None, 3))],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, (None, CHANNELS))], [weights],
    )  # fmt: skip
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def resident_mb() -> float:
    heap.trim()
    return float(psutil.Process().memory_info().rss / 2**20)


def runner(kind: str, path: Path) -> Runner:
    if kind == "onnx":
        return OnnxRunner(path, 2)
    if not importlib.util.find_spec("openvino"):
        pytest.skip("needs openvino")
    from rcl_cli.backends.runtimes.openvino_runner import OpenVinoRunner

    return OpenVinoRunner(path, 2)


@pytest.mark.parametrize("kind", ["onnx", "openvino"])
def test_what_passes_needed_goes_and_answers_stay(network: Path, kind: str) -> None:
    tested = runner(kind, network)
    tested.rest()
    pixels = np.random.default_rng(1).integers(0, 255, (1, SIDE_PX, SIDE_PX, 3), np.uint8)
    first = tested.run(pixels)
    busy_mb = resident_mb()
    tested.rest()
    # The wide layer alone is 64 MiB.
    assert busy_mb - resident_mb() > 50
    assert np.array_equal(tested.run(pixels), first)


@pytest.mark.parametrize("kind", ["onnx", "openvino"])
def test_passes_go_on_meanwhile(network: Path, kind: str) -> None:
    tested = runner(kind, network)
    pixels = np.random.default_rng(1).integers(0, 255, (1, 256, 256, 3), np.uint8)
    first, done = tested.run(pixels), threading.Event()

    def go(_: int) -> None:
        while not done.is_set():
            assert np.array_equal(tested.run(pixels), first)

    with in_threads(2, go) as failures:
        for _ in range(100):
            tested.rest()
        done.set()
    assert failures == []


class Over(Exception):
    """Ends the thread that reports, which goes on for ever."""


class Asked:
    """A worker that gets one short request between two looks, and can't rest."""

    requests, oldest_s = 0, 0.0

    def __init__(self) -> None:
        self.taken, self.rested, self.is_over = 0, 0, False

    def rest(self) -> None:
        self.rested += 1
        raise MemoryError("there is none")

    def __getattribute__(self, name: str) -> Any:
        if name == "requests" and self.is_over:
            raise Over
        return object.__getattribute__(self, name)


def test_short_requests_are_noticed_and_reports_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[bytes] = []
    monkeypatch.setattr(worker, "_REPORT_S", 0.005)
    monkeypatch.setattr(worker, "_QUIET_S", 0.02)
    monkeypatch.setattr(worker, "_ALIVE_S", 0.01)
    monkeypatch.setattr(worker.os, "write", lambda _, text: said.append(text))
    asked = Asked()

    def report() -> None:
        with pytest.raises(Over):
            worker._report_load(asked)  # type: ignore[arg-type]

    reporting = threading.Thread(target=report)
    reporting.start()
    try:
        time.sleep(0.05)
        assert asked.rested == 0
        asked.taken = 1
        wait_until(lambda: asked.rested == 1)
        before = len(said)
        wait_until(lambda: len(said) > before + 3)
        assert asked.rested == 1
        asked.taken = 2
        wait_until(lambda: asked.rested == 2)
    finally:
        asked.is_over = True
        reporting.join()
