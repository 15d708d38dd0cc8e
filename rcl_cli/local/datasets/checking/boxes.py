"""What can be wrong with the boxes of one image."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from rcl_cli.formats.record import BoxPx, Record
from rcl_cli.limits import limits
from rcl_cli.local.datasets.checking.findings import Finding

# What is left of a box when its image is resized to the usual training size.
_TRAINING_PX = 640
_TINY_PX = 4.0
_HUGE_SHARE = 0.95
# From here on two boxes are around the same thing.
SAME_IOU = 0.9
_EDGE_PX = 1.0


def check_boxes(record: Record, name: str, part: str) -> Iterator[Finding]:
    """Findings about a record with boxes.

    Args:
        record: with the size that its boxes are relative to.
    """
    if len(record.boxes) > limits().boxes:
        yield Finding("too-many-boxes", (name,), f"{len(record.boxes)} boxes", part)
    for box in record.boxes:
        kind = fault_of(box, record.size)
        if kind:
            yield Finding(kind, (name,), _words(box, record.size), part)
    for one, other, overlap in _overlaps(record.boxes):
        kind = "overlapping-boxes" if one.label == other.label else "contradicting-boxes"
        labels = one.label if one.label == other.label else f"{one.label} and {other.label}"
        place = _words(one, record.size).removeprefix(f"{one.label} ")
        yield Finding(kind, (name,), f"{labels} {place}, overlap {overlap:.2f}", part)


def _words(box: BoxPx, size: tuple[int, int]) -> str:
    return f"{box.label} {box.width:g}×{box.height:g} at {box.left:g},{box.top:g} of {size[0]}×{size[1]}"


def fault_of(box: BoxPx, size: tuple[float, float]) -> str | None:
    """The kind of finding that a box is by itself."""
    width, height = size
    if not (box.width > 0 and box.height > 0 and all(map(isfinite, box[1:]))):
        return "empty-box"
    right, bottom = box.left + box.width, box.top + box.height
    if min(box.left, box.top) < -_EDGE_PX or right > width + _EDGE_PX or bottom > height + _EDGE_PX:
        return "box-outside"
    scale = min(1.0, _TRAINING_PX / max(width, height))
    if min(box.width, box.height) * scale < _TINY_PX:
        return "tiny-box"
    if box.width * box.height >= _HUGE_SHARE * width * height:
        return "huge-box"
    return None


def _overlaps(boxes: tuple[BoxPx, ...]) -> Iterator[tuple[BoxPx, BoxPx, float]]:
    for index, one in enumerate(boxes):
        for other in boxes[index + 1 :]:
            overlap = iou(one, other)
            if overlap >= SAME_IOU:
                yield one, other, overlap


def iou(one: BoxPx, other: BoxPx) -> float:
    """Area of what two boxes share over the area of both together."""
    width = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    height = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    shared = max(0.0, width) * max(0.0, height)
    both = one.width * one.height + other.width * other.height - shared
    return shared / both if both > 0 else 0.0
