"""A network in torch, for accelerators and as the reference that other runtimes must agree with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray


class TorchRunner:
    """Runs a module whose forward takes (N, H, W, 3) uint8.

    Args:
        module: in evaluation mode.
        device: `cpu`, `cuda`, `cuda:N` or `mps`.
    """

    def __init__(self, module: torch.nn.Module, device: str) -> None:
        self._device = torch.device(device)
        self._module = module.to(self._device).eval()

    @torch.inference_mode()
    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        batch = torch.from_numpy(np.ascontiguousarray(pixels)).to(self._device)
        return np.asarray(self._module(batch).float().cpu().numpy(), dtype=np.float32)
