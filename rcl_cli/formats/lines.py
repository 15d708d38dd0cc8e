"""Records as lines of Ground Truth manifests."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator
from math import isfinite
from pathlib import Path
from typing import Any

from rcl_cli.formats.record import TEST, TRAIN, BoxPx, Notes, Record
from rcl_cli.limits import limits
from rcl_cli.manifest.checks import BOXES, IMAGE, MAX_LABEL_CHARS, scale_of
from rcl_cli.manifest.document import FEEDBACK, METADATA_SUFFIX, SOURCE_REF, compact

_DECIMALS = 3
_EDGE_PX = 1.0
_TESTING = ("test", "testing")
_VALIDATING = ("val", "valid", "validation")


def source_ref(image: Path | str) -> str:
    """What a manifest calls an image: its `s3://` URL, or the `file://` URL of its path."""
    return image if isinstance(image, str) else image.absolute().as_uri()


def part_of(split: str, splits: Iterable[str]) -> str:
    """`train` or `test`.

    Validation images are for testing where there are no test images, and for training where there are: a part of the
    training images is set aside for validation anyway.
    """
    word = split.lower()
    has_test = any(one.lower() in _TESTING for one in splits)
    return TEST if word in _TESTING or (word in _VALIDATING and not has_test) else TRAIN


class LineWriter:
    """Writes records; classes are numbered in the order in which they appear.

    Args:
        created: the creation date of all lines.
        job: who labelled.
    """

    def __init__(self, created: str, job: str) -> None:
        self._ids: dict[str, int] = {}
        self._metadata = {"human-annotated": "yes", "creation-date": created, "job-name": job}

    def _id(self, label: str) -> int:
        return self._ids.setdefault(label, len(self._ids))

    def __call__(self, record: Record) -> str:
        """A line, without its newline."""
        line: dict[str, Any] = {SOURCE_REF: source_ref(record.image)}
        for number, label in enumerate(record.labels):
            name = f"label-{number + 1}" if number else "label"
            line[name] = self._id(label)
            metadata = {"confidence": 1, "class-name": label, "type": IMAGE}
            line[name + METADATA_SUFFIX] = {**metadata, **self._metadata}
        if record.boxes:
            size = {"width": record.size[0], "height": record.size[1], "depth": 3}
            used = {box.label: self._id(box.label) for box in record.boxes}
            line["boxes"] = {"image_size": [size], "annotations": [self._annotation(box) for box in record.boxes]}
            line["boxes" + METADATA_SUFFIX] = {
                "objects": [{"confidence": 1} for _ in record.boxes],
                "class-map": {str(number): label for label, number in used.items()},
                "type": BOXES,
                **self._metadata,
            }
        if record.feedback is not None:
            line[FEEDBACK] = dict(record.feedback)
        return compact(line)

    def _annotation(self, box: BoxPx) -> dict[str, float]:
        sides = {"left": box.left, "top": box.top, "width": box.width, "height": box.height}
        return {"class_id": self._id(box.label), **{side: plain(value) for side, value in sides.items()}}


def plain(value: float) -> float:
    """Whole numbers as such: AWS asks for them."""
    rounded = round(value, _DECIMALS)
    return int(rounded) if rounded == int(rounded) else rounded


def usable(records: Iterable[Record], notes: Notes) -> Iterator[Record]:
    """Records whose boxes a manifest can hold: cut at the image's edges, those without any area left out."""
    seen: set[str] = set()
    for record in records:
        name = os.path.realpath(record.image) if isinstance(record.image, Path) else record.image
        if not _is_text(name):
            notes.add("images have names that are no UTF-8, and were left out", repr(name))
            continue
        if name in seen:
            notes.add("images are listed more than once; the first one counts", record.image)
            continue
        seen.add(name)
        labels = tuple(label for label in record.labels if _is_label(label, record, notes))
        record = record._replace(labels=labels)
        if not record.boxes:
            yield record
            continue
        boxes = [box for one in record.boxes if (box := _inside(one, record, notes))]
        if len(boxes) > limits().boxes:
            notes.add(f"images have more than {limits().boxes} boxes, and will not be trained on", record.image)
        yield record._replace(boxes=tuple(boxes))


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_label(label: str, record: Record, notes: Notes) -> bool:
    """Whether a dataset can hold a label."""
    printable = _is_text(label) and not any(unicodedata.category(character) == "Cc" for character in label)
    if label.strip() and len(label) <= MAX_LABEL_CHARS and printable:
        return True
    notes.add("labels are empty, too long, or no text, and were left out", record.image)
    return False


def _inside(box: BoxPx, record: Record, notes: Notes) -> BoxPx | None:
    width, height = record.size
    if not _is_label(box.label, record, notes):
        return None
    if not all(map(isfinite, box[1:])):
        notes.add("boxes have coordinates that are no numbers and were left out", record.image)
        return None
    if not (box.width > 0 and box.height > 0):
        notes.add("boxes have no area and were left out", record.image)
        return None
    left, top = max(0.0, box.left), max(0.0, box.top)
    right, bottom = min(width, box.left + box.width), min(height, box.top + box.height)
    if right <= left or bottom <= top:
        notes.add("boxes lie outside their image and were left out", record.image)
        return None
    if min(plain(right - left), plain(bottom - top)) * scale_of(width, height) <= 1:
        notes.add("boxes are a pixel or less wide or high: a dataset counts them as errors", record.image)
    if (left, top, right, bottom) == (box.left, box.top, box.left + box.width, box.top + box.height):
        return box
    beyond = max(-box.left, -box.top, box.left + box.width - width, box.top + box.height - height)
    if beyond > _EDGE_PX:
        notes.add("boxes reached beyond their image and were cut", record.image)
    return BoxPx(box.label, left, top, right - left, bottom - top)
