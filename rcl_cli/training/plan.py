"""What every training plan shares, whatever the family."""

from __future__ import annotations

HOLDOUT_SHARE = 0.1


def default_patience(epochs: int) -> int:
    """Epochs without improvement before stopping; schedules that decay do best near their end."""
    return max(10, epochs // 2)
