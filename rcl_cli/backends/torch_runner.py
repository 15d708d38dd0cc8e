"""A network in torch, for accelerators and as the reference that other forms must agree with."""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_GRAPHS = 32
_WARM_UPS = 3


class TorchRunner:
    """Runs a module whose forward takes (N, H, W, 3) uint8; from one thread at a time on accelerators.

    On CUDA the layout is channels_last, and the work of each shape is recorded once and replayed: launching the many
    small kernels of these networks one by one takes longer than they do.

    Args:
        module: in evaluation mode, of any precision.
        device: `cpu`, `cuda`, `cuda:N` or `mps`.
    """

    def __init__(self, module: torch.nn.Module, device: str) -> None:
        self._device = torch.device(device)
        self._module = module.to(self._device).eval()
        self._graphs: _Graphs | None = None
        if self._device.type == "cuda":
            self._module.to(memory_format=torch.channels_last)
            self._graphs = _Graphs(self._module)

    @torch.inference_mode()
    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        batch = torch.from_numpy(np.ascontiguousarray(pixels)).to(self._device)
        output = self._module(batch) if self._graphs is None else self._graphs(batch)
        return np.asarray(output.float().cpu().numpy(), dtype=np.float32)


class _Graphs:
    """CUDA graphs of a module, one for each shape of its input, the latest used ones.

    A graph must give what the module itself gives for the input it was recorded with; where it does not, or recording
    fails, the module runs as it is.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module
        self._recorded: OrderedDict[torch.Size, _Graph] = OrderedDict()
        # One for all: no two graphs run at once, and each one's output is copied away before the next runs.
        self._pool: Any = None
        self._fails = False

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        if self._fails:
            return self._eager(batch)
        graph = self._recorded.pop(batch.shape, None)
        if graph is None:
            return self._record(batch)
        self._recorded[batch.shape] = graph
        return graph.replay(batch)

    def _eager(self, batch: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self._module(batch)
        return out

    def _record(self, batch: torch.Tensor) -> torch.Tensor:
        expected = self._eager(batch)
        try:
            self._pool = self._pool or torch.cuda.graph_pool_handle()
            graph = _Graph(self._module, batch, self._pool)
            # Recorded and plain kernels may be chosen differently, so that last bits differ.
            torch.testing.assert_close(graph.replay(batch), expected, rtol=1e-2, atol=1e-2)
        except (RuntimeError, AssertionError) as error:
            self._fails = True
            self._recorded.clear()
            print(f"no CUDA graphs: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            return expected
        self._recorded[batch.shape] = graph
        if len(self._recorded) > _MOST_GRAPHS:
            self._recorded.popitem(last=False)
        return expected


class _Graph:
    """The work of a module on one shape, recorded."""

    def __init__(self, module: torch.nn.Module, example: torch.Tensor, pool: Any) -> None:
        self._input = example.clone()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UPS):
                module(self._input)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, pool=pool):
            self._output: torch.Tensor = module(self._input)

    def replay(self, batch: torch.Tensor) -> torch.Tensor:
        """The output; the next replay overwrites it."""
        self._input.copy_(batch)
        self._graph.replay()
        return self._output
