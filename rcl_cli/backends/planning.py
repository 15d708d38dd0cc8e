"""What families share in planning. Their numbers are for small sets on small machines first, as most people have."""

from __future__ import annotations


def clip(value: float, low: float, high: float) -> int:
    """A number within limits, rounded."""
    return round(min(max(value, low), high))


def steps_of(images: int, epochs: int, batch: int) -> str:
    """How much training that is, for people."""
    steps = epochs * -(-images // batch)
    return f"{images:,} images to train on, {steps:,} steps in all: small sets need many passes, large ones few."


def why_batch(images: int, *, on_gpu: bool) -> str:
    device = "a GPU does many at once" if on_gpu else "on a CPU the steps count"
    return f"{images:,} images, and {device}."
