"""What families share in planning. Their numbers are for small sets on small machines first, as most people have."""

from __future__ import annotations


def clip(value: float, low: float, high: float) -> int:
    """A number within limits, rounded."""
    return round(min(max(value, low), high))
