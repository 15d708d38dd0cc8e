"""A network in torch, for accelerators and as the reference that other forms must agree with."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rcl_cli.backends.base import DeviceLost, is_memory_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Batches of other sizes go through the next larger one's graph: the device hardly notices, and few graphs do for all.
_RECORDED_SIZES = (1, 2, 4, 8, 16)
_MOST_GRAPHS = 128
# Recording takes about as long as ten passes: not for shapes that come once.
_RECORDED_AT_CALL = 3
_WARM_UPS = 3
# A network that can't be recorded at a few sizes can't be at others.
_MOST_FAILURES = 3
# Of torch before 2.8 there was none; there a lost device stays an error of each request.
_LOST: tuple[type[BaseException], ...] = (torch.AcceleratorError,) if hasattr(torch, "AcceleratorError") else ()


class TorchRunner:
    """Runs a module whose forward takes (N, H, W, 3) uint8; from one thread at a time on accelerators.

    On CUDA the layout is channels_last, and the work of shapes that come again is recorded once and replayed: launching
    the many small kernels of these networks one by one takes longer than they do. A batch that the device's memory does
    not hold goes through in halves.

    Args:
        module: in evaluation mode, of any precision.
        device: `cpu`, `cuda`, `cuda:N` or `mps`.
    """

    def __init__(self, module: torch.nn.Module, device: str) -> None:
        self._device = torch.device(device)
        self._module = module.to(self._device).eval()
        self._graphs: _Graphs | None = None
        self._staged = torch.empty(0, dtype=torch.uint8)
        if self._device.type == "cuda":
            self._module.to(memory_format=torch.channels_last)
            self._graphs = _Graphs(self._module)

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Runner`.

        Raises:
            DeviceLost: the GPU failed; nothing more can be done with it in this process.
        """
        try:
            return self._run(pixels)
        except RuntimeError as error:
            if not is_memory_error(error):
                if isinstance(error, _LOST):
                    raise DeviceLost(str(error)) from error
                raise
            if len(pixels) == 1:
                raise
        # Only now: what was in the way is freed with the error.
        torch.cuda.empty_cache()
        half = len(pixels) // 2
        return np.concatenate([self.run(pixels[:half]), self.run(pixels[half:])])

    def rest(self) -> None:
        """See `Runner`: what torch keeps is the device's, where recorded graphs lie in it."""

    @torch.inference_mode()
    def _run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        # Streams and graphs belong to the current device, which is the first one unless somebody says so.
        current = torch.cuda.device(self._device) if self._graphs is not None else contextlib.nullcontext()
        with current:
            batch = self._on_device(pixels)
            output = self._module(batch) if self._graphs is None else self._graphs(batch)
            return np.asarray(output.float().cpu().numpy(), dtype=np.float32)

    def _on_device(self, pixels: NDArray[np.uint8]) -> torch.Tensor:
        if self._device.type != "cuda":
            return torch.from_numpy(np.ascontiguousarray(pixels)).to(self._device)
        # From pinned memory, which the device reads by itself. The last batch has left it: its output is there.
        if self._staged.numel() < pixels.size:
            self._staged = torch.empty(pixels.size, dtype=torch.uint8, pin_memory=True)
        staged = self._staged[: pixels.size].view(pixels.shape)
        staged.numpy()[:] = pixels
        return staged.to(self._device, non_blocking=True)


class _Graphs:
    """CUDA graphs of a module, one for each size of batch and image, the latest used ones.

    A graph must give what the module itself gives for the input it was recorded with; where it does not, or recording
    fails, the module runs as it is at that size, and at all sizes after a few failures.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module
        self._recorded: OrderedDict[tuple[int, ...], _Graph] = OrderedDict()
        self._seen: Counter[tuple[int, ...]] = Counter()
        # One for all: no two graphs run at once, and each one's output is copied away before the next runs.
        self._pool: Any = None
        self._failures = 0

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        size = next((size for size in _RECORDED_SIZES if size >= len(batch)), None)
        if self._failures >= _MOST_FAILURES or size is None:
            return self._eager(batch)
        shape = (size, *batch.shape[1:])
        graph = self._recorded.get(shape)
        if graph is not None:
            self._recorded.move_to_end(shape)
            return graph.replay(batch)
        self._seen[shape] += 1
        return self._record(batch, shape) if self._seen[shape] == _RECORDED_AT_CALL else self._eager(batch)

    def _eager(self, batch: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self._module(batch)
        return out

    def _record(self, batch: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        example = torch.zeros(shape, dtype=batch.dtype, device=batch.device)
        example[: len(batch)] = batch
        expected = self._eager(example)
        try:
            self._pool = self._pool or torch.cuda.graph_pool_handle()
            graph = _Graph(self._module, example, self._pool)
            # Recorded and plain kernels may be chosen differently, so that last bits differ.
            torch.testing.assert_close(graph.replay(example), expected, rtol=1e-2, atol=1e-2)
        except (RuntimeError, AssertionError) as error:
            # Where the device itself is lost, the next pass says so.
            self._failures += 1
            print(f"no CUDA graph of {shape}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            return expected[: len(batch)]
        self._recorded[shape] = graph
        if len(self._recorded) > _MOST_GRAPHS:
            dropped, _ = self._recorded.popitem(last=False)
            self._seen[dropped] = 0
        return expected[: len(batch)]


class _Graph:
    """The work of a module on one shape, recorded."""

    def __init__(self, module: torch.nn.Module, example: torch.Tensor, pool: Any) -> None:
        self._input = example
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UPS):
                module(self._input)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        # Memory that is given back while it records would end it.
        gc.collect()
        with torch.cuda.graph(self._graph, pool=pool, capture_error_mode="thread_local"):
            self._output: torch.Tensor = module(self._input)

    def replay(self, batch: torch.Tensor) -> torch.Tensor:
        """The output for as many images as are in `batch`; the next replay overwrites it."""
        self._input[: len(batch)].copy_(batch)
        self._graph.replay()
        return self._output[: len(batch)]
