"""What accelerators can do."""

from __future__ import annotations

import torch


def has_native_bf16() -> bool:
    """Whether the GPU computes in bfloat16 itself; older ones only emulate it, slowly, and Ultralytics refuses that."""
    return torch.cuda.is_bf16_supported(including_emulation=False)


def has_matrix_bf16() -> bool:
    """Whether the CPU multiplies matrices of bfloat16 in units of its own (Intel's AMX).

    There a detector's training step takes 0.6 of the time that it takes in single precision; others only emulate it, or
    have vectors of it, which nobody measured.
    """
    # torch before 2.6 does not tell; it has no public word for it yet.
    told = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(told and told())
