"""ONNX Runtime on the CPU: starts fast and needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

if TYPE_CHECKING:
    from numpy.typing import NDArray

onnxruntime.set_default_logger_severity(3)


class OnnxRunner:
    """A network in ONNX form.

    Args:
        path: the `.onnx` file.
        threads: CPU threads for one forward pass; 0 takes the runtime's default.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Threads that sleep between layers cost a quarter of the speed; those that wait for long take the processor
        # from decoding, and from other models (bench/RESULTS.md).
        options.add_session_config_entry("session.intra_op.spin_duration_us", "200")
        # Work in pieces, so that a thread that comes late finds less left to do.
        options.add_session_config_entry("session.dynamic_block_base", "4")
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._ran: tuple[int, ...] | None = None

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        found = np.asarray(self._session.run(None, {self._input: np.ascontiguousarray(pixels)})[0], dtype=np.float32)
        # Only now: a rest meanwhile gave back nothing of this.
        self._ran = pixels.shape
        return found

    def rest(self) -> None:
        shape, self._ran = self._ran, None
        if shape is None:
            return
        # The session keeps what passes needed until one asks it not to.
        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._session.run(None, {self._input: np.zeros((1, *shape[1:]), np.uint8)}, options)
