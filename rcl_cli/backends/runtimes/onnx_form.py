"""Writing a torch module in ONNX form."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch

_OPSET = 17


def write_onnx(
    module: torch.nn.Module, example: torch.Tensor, path: Path, input_name: str, output_name: str,
    free: Mapping[int, str],
) -> None:  # fmt: skip
    """Trace a module in evaluation mode.

    Args:
        example: an input with at least two images, so that the batch is no constant.
        free: the input's dimensions that may change, by name; the output's first one is the batch.
    """
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            module, (example,), str(path), input_names=[input_name], output_names=[output_name],
            dynamic_axes={input_name: dict(free), output_name: {0: "batch"}}, opset_version=_OPSET, dynamo=False,
        )  # fmt: skip
