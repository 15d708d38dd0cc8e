"""What a labeller sees of a manifest line, and the line after an edit: what was not edited stays as it was written."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from msgspec import Raw
from msgspec.json import Decoder

from rcl_cli.domain import Box
from rcl_cli.errors import InvalidParameter
from rcl_cli.limits import limits
from rcl_cli.manifest.checks import BOXES, IMAGE, MAX_LABEL_CHARS
from rcl_cli.manifest.document import METADATA_SUFFIX, SOURCE_REF, load

_BOXES_NAME, _IMAGE_NAME = "bounding-box", "label"
_parts = Decoder(dict[str, Raw])


class Drawn(NamedTuple):
    """A box with its label.

    Args:
        place: of its annotation among all of the line; None for a new one.
    """

    label: str
    box: Box
    place: int | None = None


class Labelling(NamedTuple):
    """All that people say of an image."""

    labels: tuple[str, ...] = ()
    boxes: tuple[Drawn, ...] = ()


class _Attribute(NamedTuple):
    """A label attribute that can be read."""

    name: str
    value: Any
    metadata: dict[str, Any]

    @property
    def size(self) -> tuple[float, float]:
        size = self.value["image_size"][0]
        return size["width"], size["height"]

    @property
    def annotations(self) -> list[dict[str, Any]]:
        annotations: list[dict[str, Any]] = self.value["annotations"]
        return annotations

    def label_of(self, annotation: dict[str, Any]) -> str:
        return str(self.metadata["class-map"][str(annotation["class_id"])])

    def box_of(self, annotation: dict[str, Any]) -> Box:
        width, height = self.size
        return Box(
            annotation["left"] / width, annotation["top"] / height,
            annotation["width"] / width, annotation["height"] / height,
        )  # fmt: skip


def _attributes(document: dict[str, Any], kind: str) -> Iterator[_Attribute]:
    for name, value in document.items():
        metadata = document.get(name + METADATA_SUFFIX)
        if name != SOURCE_REF and isinstance(metadata, dict) and metadata.get("type") == kind:
            found = _Attribute(name, value, metadata)
            if _names_a_label(found) if kind == IMAGE else _is_whole(found):
                yield found


def _names_a_label(attribute: _Attribute) -> bool:
    name = attribute.metadata.get("class-name")
    return isinstance(name, str) and bool(name)


def _is_whole(attribute: _Attribute) -> bool:
    """Whether every box of an attribute can be read; one that is damaged is not for editing."""
    try:
        for annotation in attribute.annotations:
            attribute.label_of(annotation)
            if not all(map(math.isfinite, attribute.box_of(annotation))):
                return False
        objects = attribute.metadata.get("objects", [])
        return min(attribute.size) > 0 and isinstance(objects, list) and all(isinstance(one, dict) for one in objects)
    except (KeyError, IndexError, TypeError, AttributeError, ArithmeticError):
        return False


def labelling_of(text: str) -> Labelling:
    """What a line says; what can't be read of it is left out."""
    document = load(text) or {}
    labels = [str(one.metadata["class-name"]) for one in _attributes(document, IMAGE)]
    boxes = [
        (one.label_of(annotation), one.box_of(annotation))
        for one in _attributes(document, BOXES)
        for annotation in one.annotations
    ]
    return Labelling(
        tuple(dict.fromkeys(labels)),
        tuple(Drawn(label, box, place) for place, (label, box) in enumerate(boxes)),
    )


def size_in(text: str) -> tuple[float, float] | None:
    """Width and height of the image in pixels, as its boxes are written; None where it has none."""
    return next((one.size for one in _attributes(load(text) or {}, BOXES)), None)


def edited(text: str, wanted: Labelling, size_px: Callable[[], tuple[int, int]], created: str) -> str:
    """A line that says what is wanted.

    Args:
        wanted: `place` tells which boxes were there before; those that are not in it go.
        size_px: tells width and height of the upright image; asked where the line has no boxes yet.
        created: the date that what is changed carries.

    Returns:
        JSON without spaces. All keys but those of labels that were changed are as they were.

    Raises:
        InvalidParameter: a label without a name or with a long one, a box outside the image, too many boxes.
    """
    _check(wanted, labelling_of(text))
    document, parts = load(text) or {}, {key: bytes(raw).decode() for key, raw in _parts.decode(text).items()}
    changes = {**_image_changes(document, wanted.labels, created), **_box_changes(document, wanted, size_px, created)}
    for name, change in changes.items():
        for key, value in zip((name, name + METADATA_SUFFIX), change or (None, None), strict=True):
            if value is None:
                parts.pop(key, None)
            else:
                parts[key] = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return "{" + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{raw}" for key, raw in parts.items()) + "}"


def _check(wanted: Labelling, before: Labelling) -> None:
    """Judge what is new: what is odd already must keep nobody from mending it, or something else.

    Raises:
        InvalidParameter: see `edited`.
    """
    new = [one for one in wanted.boxes if one not in before.boxes]
    for label in {*wanted.labels, *(one.label for one in new)} - {*before.labels}:
        if not label.strip() or len(label) > MAX_LABEL_CHARS:
            raise InvalidParameter(f"A label has 1 to {MAX_LABEL_CHARS} characters.")
    if len(wanted.boxes) > max(limits().boxes, len(before.boxes)):
        raise InvalidParameter(f"An image can have {limits().boxes} boxes, and there are {len(wanted.boxes)}.")
    for _, box, _ in new:
        if not (0 <= box.left < box.right <= 1 + 1e-9 and 0 <= box.top < box.bottom <= 1 + 1e-9):
            raise InvalidParameter("A box lies in its image, and has a width and a height.")


# A value and its metadata; None where both go.
_Change = tuple[Any, dict[str, Any]] | None


def _image_changes(document: dict[str, Any], labels: Sequence[str], created: str) -> dict[str, _Change]:
    there = {str(one.metadata.get("class-name")): one.name for one in _attributes(document, IMAGE)}
    changes: dict[str, _Change] = {
        one.name: None for one in _attributes(document, IMAGE) if one.metadata["class-name"] not in labels
    }
    for label in dict.fromkeys(labels):
        if label not in there:
            name = _free_name(document, changes, _IMAGE_NAME)
            changes[name] = (1, {"confidence": 1, "class-name": label, **_made(IMAGE, created)})
    return changes


def _made(kind: str, created: str) -> dict[str, Any]:
    return {"type": kind, "human-annotated": "yes", "creation-date": created, "job-name": "labeling-job/rcl-console"}


def _free_name(document: dict[str, Any], changes: dict[str, _Change], wanted: str) -> str:
    taken, number = {*document, *changes}, 1
    while (name := wanted if number == 1 else f"{wanted}-{number}") in taken or name + METADATA_SUFFIX in taken:
        number += 1
    return name


def _box_changes(
    document: dict[str, Any], wanted: Labelling, size_px: Callable[[], tuple[int, int]], created: str
) -> dict[str, _Change]:
    kept = {one.place: one for one in wanted.boxes if one.place is not None}
    new = [one for one in wanted.boxes if one.place is None]
    changes: dict[str, _Change] = {}
    first, attributes = 0, list(_attributes(document, BOXES))
    for number, attribute in enumerate(attributes, 1):
        count = len(attribute.annotations)
        here = {place - first: one for place, one in kept.items() if first <= place < first + count}
        first += count
        # New ones come behind all that were there, so that whoever asked knows their places.
        change = _boxes_changed(attribute, here, new if number == len(attributes) else [], created)
        if change != (attribute.value, attribute.metadata):
            changes[attribute.name] = change
    if any(place >= first for place in kept):
        raise InvalidParameter("A box is named that the line does not have.")
    if new and not attributes:
        name = _free_name(document, changes, _BOXES_NAME)
        width, height = size_px()
        size = {"width": width, "height": height, "depth": 3}
        empty = _Attribute(name, {"image_size": [size], "annotations": []}, _made(BOXES, created))
        changes[name] = _boxes_changed(empty, {}, new, created)
    return changes


def _boxes_changed(attribute: _Attribute, kept: dict[int, Drawn], new: Sequence[Drawn], created: str) -> _Change:
    """An attribute with the boxes that are wanted of it, and new ones; None where there are none."""
    if not kept and not new:
        # An attribute that never had any may stay.
        return None if attribute.annotations else (attribute.value, attribute.metadata)
    ids = _ClassIds(attribute.metadata.get("class-map") or {})
    objects = attribute.metadata.get("objects", [])
    annotations, confidences, is_changed = [], [], bool(new) or len(kept) < len(attribute.annotations)
    for place, before in enumerate(attribute.annotations):
        if place not in kept:
            continue
        after = _moved(attribute, before, kept[place], ids)
        is_changed = is_changed or after != before
        annotations.append(after)
        known = objects[place] if place < len(objects) else {"confidence": 1}
        confidences.append(known if after == before else {**known, "confidence": 1})
    for one in new:
        annotations.append({"class_id": ids.of(one.label), **_sides(one.box, attribute.size)})
        confidences.append({"confidence": 1})
    if not is_changed:
        return attribute.value, attribute.metadata
    metadata = {**attribute.metadata, "objects": confidences, "class-map": ids.names, "human-annotated": "yes",
                "creation-date": created, "type": BOXES}  # fmt: skip
    return {**attribute.value, "annotations": annotations}, metadata


class _ClassIds:
    """Ids by label; a label that is new gets one."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = dict(names)

    def of(self, label: str) -> int:
        for number, name in self.names.items():
            if name == label and _is_plain(number):
                return int(number)
        free = 1 + max((int(number) for number in self.names if _is_plain(number)), default=-1)
        self.names[str(free)] = label
        return free


def _is_plain(number: str) -> bool:
    """Whether it is a class id as annotations have it: `01` is another key than 1."""
    return number.isascii() and number.isdecimal() and len(number) < 16 and str(int(number)) == number


def _moved(attribute: _Attribute, before: dict[str, Any], wanted: Drawn, ids: _ClassIds) -> dict[str, Any]:
    """An annotation where it is wanted; as it was written where that is the same to the pixel."""
    after = dict(before)
    if attribute.label_of(before) != wanted.label:
        after["class_id"] = ids.of(wanted.label)
    was, (width, height) = attribute.box_of(before), attribute.size
    pairs = zip(was, wanted.box, (width, height, width, height), strict=True)
    if any(abs(old - new) * side >= 0.5 for old, new, side in pairs):
        after |= _sides(wanted.box, attribute.size)
    return after


def _sides(box: Box, size: tuple[float, float]) -> dict[str, int]:
    """Whole pixels, inside the image, and at least two wide and high where there is room."""
    left, width = _span(box.left, box.right, int(size[0]))
    top, height = _span(box.top, box.bottom, int(size[1]))
    return {"left": left, "top": top, "width": width, "height": height}


def _span(begin: float, end: float, whole: int) -> tuple[int, int]:
    first, last = round(begin * whole), min(whole, round(end * whole))
    first = max(0, min(first, whole - 2))
    return first, max(2, last - first)
