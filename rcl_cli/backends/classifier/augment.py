"""Augmentation of whole batches on the device: geometry in one resampling, colour in one affine step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far images are changed.

    Args:
        smallest_view: share of each side that a crop keeps at least; labels of cut-off things would be wrong, so images
            with several labels keep more.
        any_way_up: turn by quarters and mirror top to bottom too.
    """

    smallest_view: float = 0.77
    any_way_up: bool = False


def augmented(batch: torch.Tensor, size_px: int, generator: torch.Generator, how: Augmentation) -> torch.Tensor:
    """Random crops, shifts, rotations, mirror images and colour changes, different for every image.

    Args:
        batch: (N, 3, H, W) float in 0..1.
        size_px: side of the square result.

    Returns:
        (N, 3, size_px, size_px) float in 0..1.
    """
    return _colours(_geometry(batch, size_px, generator, how), generator)


def _uniform(count: int, low: float, high: float, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(count, generator=generator) * (high - low) + low


def _coin(count: int, generator: torch.Generator) -> torch.Tensor:
    """1 or -1, evenly."""
    return torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)


def _geometry(batch: torch.Tensor, size_px: int, generator: torch.Generator, how: Augmentation) -> torch.Tensor:
    count = batch.shape[0]
    # The view zooms in or slightly out, changes its aspect ratio by up to 4:3, and turns by up to 12 degrees.
    zoom = torch.exp(_uniform(count, math.log(how.smallest_view), math.log(1.08), generator))
    aspect = torch.exp(_uniform(count, -0.14, 0.14, generator))
    angle = _uniform(count, -math.pi / 15, math.pi / 15, generator)
    flip_x, flip_y = _coin(count, generator), torch.ones(count)
    if how.any_way_up:
        flip_y = _coin(count, generator)
        angle = angle + torch.randint(0, 4, (count,), generator=generator) * (math.pi / 2)
    room = (1 - zoom).clamp(min=0)
    shift_x = _uniform(count, -1, 1, generator) * room
    shift_y = _uniform(count, -1, 1, generator) * room
    cos, sin = torch.cos(angle), torch.sin(angle)
    scale_x, scale_y = zoom * aspect * flip_x, zoom / aspect * flip_y
    rows = [[scale_x * cos, -scale_y * sin, shift_x], [scale_x * sin, scale_y * cos, shift_y]]
    theta = torch.stack([torch.stack(row, 1) for row in rows], 1).to(batch.device)
    grid = F.affine_grid(theta, [count, 3, size_px, size_px], align_corners=False)
    return F.grid_sample(batch, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _colours(batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    count = batch.shape[0]

    def factor(spread: float) -> torch.Tensor:
        return (1 + _uniform(count, -spread, spread, generator)).view(-1, 1, 1, 1).to(batch.device)

    luma = torch.tensor(_LUMA, device=batch.device).view(1, 3, 1, 1)
    grey = (batch * luma).sum(1, keepdim=True)
    batch = grey + (batch - grey) * factor(0.4)
    mean = batch.mean((2, 3), keepdim=True)
    batch = mean + (batch - mean) * factor(0.3)
    return (batch * factor(0.3)).clamp_(0, 1)
