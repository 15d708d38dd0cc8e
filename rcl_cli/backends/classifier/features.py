"""Features of images: what enters a frozen network's last layer, computed by the fastest runtime there is."""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import nn

from rcl_cli.backends.classifier.run import EVAL_BATCH, ClassifierNet, Data, Run, eval_images
from rcl_cli.backends.runtimes.onnx_form import write_onnx
from rcl_cli.backends.runtimes.onnx_runner import OnnxRunner
from rcl_cli.config import cpu_cores
from rcl_cli.domain import Progress

# Features of an image, and how far those of two runtimes may lie apart, relative to their size.
Extractor = Callable[[Data], torch.Tensor]
_TOLERANCE = 1e-3
_PIECE = 8


class _Body(nn.Module):
    """A classifier without its last layer: (N, 3, H, W) float in 0..1 to (N, F)."""

    def __init__(self, net: ClassifierNet) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).to("cpu")
        name = next(n for n, m in reversed(list(self.net.network.named_modules())) if isinstance(m, nn.Linear))
        parent, _, attribute = name.rpartition(".")
        setattr(self.net.network.get_submodule(parent), attribute, nn.Identity())
        # All of it: exporting puts every part back into the mode of the whole.
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.flatten(self.net.network((images - self.net.mean) / self.net.std), 1)


def extractor_for(run: Run, net: ClassifierNet, folder: Path) -> Extractor:
    """What computes features of a network with the weights that it has now.

    On the CPU that is ONNX Runtime, images side by side on the cores, if it agrees with torch.

    Args:
        folder: for the ONNX form.
    """
    body = _Body(net)

    @torch.inference_mode()
    def by_torch(images: torch.Tensor) -> torch.Tensor:
        return body(images.contiguous(memory_format=torch.channels_last)).float().cpu()

    if run.device.type != "cpu":
        body.to(run.device)
        return lambda data: _features(run, data, by_torch)
    try:
        by_onnx = _onnx_form(body, run.plan.image_size, folder)
        probe = eval_images(run.holdout, slice(0, 2), run.plan.image_size, run.device)
        expected, found = by_torch(probe), by_onnx(probe)
        if float((expected - found).abs().max()) > _TOLERANCE * max(1.0, float(expected.abs().max())):
            raise ValueError("the runtimes disagree")
    except Exception as error:  # noqa: BLE001 - torch does it as well, only slower
        run.report(Progress("features", note=f"by torch, as the ONNX form failed ({type(error).__name__}: {error})"))
        return lambda data: _features(run, data, by_torch)
    return lambda data: _features_side_by_side(run, data, by_onnx)


def _onnx_form(body: _Body, size_px: int, folder: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    path = folder / "body.onnx"
    try:
        write_onnx(body, torch.zeros(2, 3, size_px, size_px), path, "images", "features", {0: "batch"})
        runner = OnnxRunner(path, threads=1)
    finally:
        path.unlink(missing_ok=True)
    return lambda images: torch.from_numpy(runner.run(images.numpy()))


def _features(run: Run, data: Data, forward: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    found = []
    for start in range(0, len(data), EVAL_BATCH):
        run.check_cancelled()
        batch = eval_images(data, slice(start, start + EVAL_BATCH), run.plan.image_size, run.device)
        found.append(forward(batch))
        run.report(Progress("features", min(start + EVAL_BATCH, len(data)), len(data)))
    return torch.cat(found)


def _features_side_by_side(run: Run, data: Data, forward: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Pieces of the data on all cores at once."""

    def piece(start: int) -> np.ndarray:
        run.check_cancelled()
        batch = eval_images(data, slice(start, start + _PIECE), run.plan.image_size, run.device)
        return forward(batch).numpy()

    found = []
    with ThreadPoolExecutor(cpu_cores()) as pool:
        for number, part in enumerate(pool.map(piece, range(0, len(data), _PIECE)), 1):
            found.append(part)
            if number % 8 == 0:
                run.report(Progress("features", min(number * _PIECE, len(data)), len(data)))
    return torch.from_numpy(np.concatenate(found))
