"""What accelerators can do."""

from __future__ import annotations

import torch


def has_native_bf16() -> bool:
    """Whether the GPU computes in bfloat16 itself; older ones only emulate it, slowly, and Ultralytics refuses that."""
    return torch.cuda.is_bf16_supported(including_emulation=False)
