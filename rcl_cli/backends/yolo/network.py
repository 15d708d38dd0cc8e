"""Detectors as networks: built, filled with weights, loaded for serving."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rcl_cli.backends.boxes.planning import STRIDE
from rcl_cli.backends.weights.checkpoints import load_tensors
from rcl_cli.backends.weights.choice import Offer
from rcl_cli.backends.yolo.family import knows
from rcl_cli.backends.yolo.quiet import quieted
from rcl_cli.domain import ModelCard
from rcl_cli.errors import ConfigError

quieted()

from ultralytics.nn.tasks import DetectionModel  # noqa: E402 - must follow

_ASSETS = "https://github.com/ultralytics/assets/releases/download"
# As published with the release; of other files the hash of the first download is kept.
_SHA256 = {
    "yolo11n": "0ebbc80d4a7680d14987a577cd21342b65ecfd94632bd9a8da63ae6417644ee1",
    "yolo11s": "85a76fe86dd8afe384648546b56a7a78580c7cb7b404fc595f97969322d502d5",
}


class YoloNet(nn.Module):
    """The detector with its preprocessing inside: (N, H, W, 3) uint8 RGB in, (N, 4 + classes, anchors) out."""

    def __init__(self, model: DetectionModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        out = self.model(pixels.permute(0, 3, 1, 2).to(next(self.model.parameters()).dtype) / 255)
        return out[0] if isinstance(out, (list, tuple)) else out


def detector(model: str, classes: int, kind: type[DetectionModel] = DetectionModel) -> DetectionModel:
    """A detector with random weights.

    Args:
        kind: its class.

    Raises:
        ConfigError: Ultralytics ships no such architecture.
    """
    try:
        return kind(f"{model}.yaml", ch=3, nc=classes, verbose=False)
    except (FileNotFoundError, KeyError) as error:
        raise ConfigError(f"Ultralytics has no detection model {model!r}; try yolo11n, yolo11s or yolov8n.") from error


def offers(model: str, device: str, images: int) -> list[Offer]:
    """YOLO architectures in order of preference.

    | device | images | model |
    |---|---|---|
    | CPU | any | yolo11n |
    | GPU | under 1000 | yolo11n |
    | GPU | 1000 and more | yolo11s |

    bench/RESULTS.md has the measurements behind the first row; the last two are from published tables and unmeasured.

    Raises:
        ConfigError: no such model.
    """
    if model == "auto":
        model = "yolo11s" if device != "cpu" and images >= 1000 else "yolo11n"
    if not knows(model):
        raise ConfigError(f"There is no detection model {model!r}; try yolo11n, yolo11s or yolov8n.")
    release = "v8.4.0" if model.startswith("yolo26") else "v8.3.0"
    return [Offer(model, url=f"{_ASSETS}/{release}/{model}.pt", sha256=_SHA256.get(model))]


def load_network(card: ModelCard, weights_file: Path) -> YoloNet:
    """The trained detector, fused, on the CPU, in evaluation mode."""
    model = detector(card.model, len(card.labels))
    model.load_state_dict(load_tensors(weights_file))
    head = model.model[-1]
    if getattr(head, "end2end", False):
        # Two-headed models answer through the one-to-many head and our own suppression, as they were validated.
        head.end2end = False
    model = model.eval().fuse(verbose=False)
    head = model.model[-1]
    head.export, head.format, head.dynamic = True, "onnx", True
    _keep_anchors_on_device(head)
    return YoloNet(model)


def _keep_anchors_on_device(head: Any) -> None:
    """Let a detector's last part make its anchors on the GPU.

    Ultralytics counts them out on the CPU and reads strides back from the device. Both wait for it, which costs time at
    every pass, and work that waits can't be recorded as a CUDA graph.
    """
    elsewhere, strides = head._get_decode_boxes, [float(s) for s in head.stride]

    def decoded(raw: dict[str, Any]) -> Any:
        feats = raw["feats"]
        if feats[0].device.type != "cuda":
            return elsewhere(raw)
        points, steps = anchors(feats, strides)
        return head.decode_bboxes(head.dfl(raw["boxes"]), points.unsqueeze(0), raw.get("angle")) * steps

    head._get_decode_boxes = decoded


def anchors(feats: Sequence[torch.Tensor], strides: Sequence[float]) -> tuple[torch.Tensor, torch.Tensor]:
    """Centres of the cells of feature maps, and their strides.

    Args:
        feats: (N, C, H, W) each; only shape, type and device matter.
        strides: pixels a cell, one number a map.

    Returns:
        (2, A): x and y in cells; (1, A): pixels. A is the number of all cells.
    """
    points, steps = [], []
    for feat, stride in zip(feats, strides, strict=True):
        like: dict[str, Any] = {"dtype": feat.dtype, "device": feat.device}
        height, width = feat.shape[2:]
        y, x = torch.meshgrid(torch.arange(height, **like), torch.arange(width, **like), indexing="ij")
        points.append(torch.stack([x.flatten(), y.flatten()]) + 0.5)
        steps.append(torch.full((1, height * width), stride, **like))
    return torch.cat(points, 1), torch.cat(steps, 1)


def in_half(net: YoloNet) -> YoloNet:
    """A loaded network in half precision, but for its boxes: from 1024 pixels on, half has whole ones only."""
    net.half()
    head = net.model.model[-1]
    head.dfl.float()
    decode = head._inference

    def in_single(raw: dict[str, Any]) -> torch.Tensor:
        # Of the features only shape, type and device are looked at.
        features = [torch.empty(f.shape, device=f.device) for f in raw["feats"]]
        out: torch.Tensor = decode(
            {**raw, "boxes": raw["boxes"].float(), "scores": raw["scores"].float(), "feats": features}
        )
        return out

    head._inference = in_single
    return net


def example_input(card: ModelCard) -> torch.Tensor:
    """A uint8 batch of a size that is not square, so that a mixed-up side shows."""
    short = max(STRIDE, card.image_size // 2 // STRIDE * STRIDE)
    return torch.zeros(2, short, card.image_size // STRIDE * STRIDE, 3, dtype=torch.uint8)
