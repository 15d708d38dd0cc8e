"""OpenVINO in bfloat16, on CPUs that compute in it: half as much to move, and twice as many products at a time."""

from __future__ import annotations

import importlib
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from queue import Empty, LifoQueue
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def quiet_openvino() -> ModuleType:
    """OpenVINO without the package by which every import of it would ask for Google Analytics.

    Raises:
        ImportError: it is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return importlib.import_module("openvino")


@cache
def _core() -> Any:
    """What finds the devices, which takes a while."""
    return quiet_openvino().Core()


def version() -> str:
    return str(quiet_openvino().__version__)


@cache
def computes_in_bf16() -> bool:
    """Whether OpenVINO is there and this CPU has instructions for bfloat16: without them it would only be emulated."""
    try:
        return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    except Exception:  # noqa: BLE001 - of another version, or broken: there are other forms
        return False


class OpenVinoRunner:
    """A network in ONNX form, run in bfloat16; from as many threads as there are.

    Args:
        path: the `.onnx` file.
        threads: CPU threads for one forward pass; 0 takes all.
        at_once: forward passes side by side.
    """

    def __init__(self, path: Path, threads: int = 0, at_once: int = 1) -> None:
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16",
            "INFERENCE_NUM_THREADS": threads * at_once,
            "NUM_STREAMS": at_once,
            # Several models share the cores, and each would be bound to the same ones.
            "ENABLE_CPU_PINNING": False,
        }
        self._model = _core().compile_model(_core().read_model(str(path)), "CPU", settings)
        self._idle: LifoQueue[Any] = LifoQueue()

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        try:
            request = self._idle.get_nowait()
        except Empty:
            request = self._model.create_infer_request()
        request.infer({0: np.ascontiguousarray(pixels)}, share_inputs=True)
        # A copy: the request's own memory is used again.
        found = np.array(request.get_output_tensor(0).data, dtype=np.float32)
        self._idle.put(request)
        return found

    def rest(self) -> None:
        with suppress(Empty):
            while True:
                self._idle.get_nowait()
        # The first versions have no such thing, and later ones refuse while a pass goes on.
        with suppress(AttributeError, RuntimeError):
            self._model.release_memory()
