"""Augmentation of whole batches on the device: geometry in one resampling, colour in one affine step."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

_LUMA = (0.299, 0.587, 0.114)


def augmented(batch: torch.Tensor, size_px: int, generator: torch.Generator, *, strength: float = 1.0) -> torch.Tensor:
    """Random crops, shifts, small rotations, mirror images and colour changes, different for every image.

    Args:
        batch: (N, 3, H, W) float in 0..1.
        size_px: side of the square result.
        strength: 0 leaves images as they are but for the resize.

    Returns:
        (N, 3, size_px, size_px) float in 0..1.
    """
    return _colours(_geometry(batch, size_px, generator, strength), generator, strength)


def _uniform(count: int, low: float, high: float, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(count, generator=generator) * (high - low) + low


def _geometry(batch: torch.Tensor, size_px: int, generator: torch.Generator, strength: float) -> torch.Tensor:
    count = batch.shape[0]
    # Zoom in to 60 % of the image's area or out to 110 %, aspect ratio by up to 4:3, 12 degrees either way.
    zoom = torch.exp(_uniform(count, math.log(0.77), math.log(1.05), generator) * strength)
    aspect = torch.exp(_uniform(count, -0.14, 0.14, generator) * strength)
    angle = _uniform(count, -math.pi / 15, math.pi / 15, generator) * strength
    flip = torch.where(torch.rand(count, generator=generator) < 0.5 * bool(strength), -1.0, 1.0)
    room = (1 - zoom).clamp(min=0)
    shift_x = _uniform(count, -1, 1, generator) * room
    shift_y = _uniform(count, -1, 1, generator) * room
    cos, sin = torch.cos(angle), torch.sin(angle)
    scale_x, scale_y = zoom * aspect * flip, zoom / aspect
    theta = torch.stack(
        [torch.stack([scale_x * cos, -scale_y * sin, shift_x], 1), torch.stack([scale_x * sin, scale_y * cos, shift_y], 1)],
        1,
    ).to(batch.device)
    grid = F.affine_grid(theta, [count, 3, size_px, size_px], align_corners=False)
    return F.grid_sample(batch, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _colours(batch: torch.Tensor, generator: torch.Generator, strength: float) -> torch.Tensor:
    count = batch.shape[0]

    def factor(spread: float) -> torch.Tensor:
        return (1 + _uniform(count, -spread, spread, generator) * strength).view(-1, 1, 1, 1).to(batch.device)

    luma = torch.tensor(_LUMA, device=batch.device).view(1, 3, 1, 1)
    grey = (batch * luma).sum(1, keepdim=True)
    batch = grey + (batch - grey) * factor(0.4)
    mean = batch.mean((2, 3), keepdim=True)
    batch = mean + (batch - mean) * factor(0.3)
    return (batch * factor(0.3)).clamp_(0, 1)
