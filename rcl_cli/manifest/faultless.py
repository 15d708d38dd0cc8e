"""Manifest lines that have nothing wrong with them, told in one pass.

They are most of every manifest, and the types below are what they look like: a line that fits, and whose boxes lie in
their image, has no problem by the rules of `checks`; a test holds both against each other. Of any other line nothing is
said here, and so of one that is beyond the service's limits, be they lifted or not.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import DecodeError, Meta, Raw, Struct, field
from msgspec.json import Decoder

from rcl_cli.domain import Box
from rcl_cli.limits import MIN_SIDE_PX, SERVICE
from rcl_cli.manifest.checks import (
    BOXES,
    IMAGE,
    MAX_LABEL_CHARS,
    MAX_NUMBER,
    SOURCE_REF_PATTERN,
    Label,
    scale_of,
)
from rcl_cli.manifest.document import COMPUTED_KEYS, METADATA_SUFFIX, SOURCE_REF

_Name = Annotated[str, Meta(min_length=1, max_length=MAX_LABEL_CHARS)]
_Number = Annotated[float, Meta(gt=-MAX_NUMBER, lt=MAX_NUMBER)]
_Side = Annotated[float, Meta(ge=MIN_SIDE_PX, le=SERVICE.side_px)]


class _Image(Struct, tag_field="type", tag=IMAGE, forbid_unknown_fields=True, gc=False):
    """Metadata of an image-level label."""

    confidence: Annotated[float, Meta(ge=0, le=1)]
    name: _Name = field(name="class-name")
    human_annotated: Literal["yes", "no"] = field(name="human-annotated")
    creation_date: str = field(name="creation-date")
    job_name: str = field(name="job-name", default="")


class _Object(Struct, forbid_unknown_fields=True, gc=False):
    confidence: _Number


class _Boxes(Struct, tag_field="type", tag=BOXES, forbid_unknown_fields=True, gc=False):
    """Metadata of boxes."""

    objects: list[_Object]
    class_map: dict[str, _Name] = field(name="class-map")
    human_annotated: Literal["yes", "no"] = field(name="human-annotated")
    creation_date: str = field(name="creation-date")
    job_name: str = field(name="job-name", default="")


class _Size(Struct, forbid_unknown_fields=True, gc=False):
    width: _Side
    height: _Side
    depth: _Number = 3


class _Annotation(Struct, forbid_unknown_fields=True, gc=False):
    class_id: int
    left: Annotated[float, Meta(ge=0)]
    top: Annotated[float, Meta(ge=0)]
    width: float
    height: float


class _BoxesValue(Struct, forbid_unknown_fields=True, gc=False):
    image_size: Annotated[list[_Size], Meta(min_length=1, max_length=1)]
    annotations: Annotated[list[_Annotation], Meta(min_length=1, max_length=SERVICE.boxes)]


_line, _metadata = Decoder(dict[str, Raw]), Decoder(_Image | _Boxes)
_class_id, _boxes, _text, _anything = Decoder(int), Decoder(_BoxesValue), Decoder(str), Decoder()


def labels_of(text: str) -> tuple[str, list[Label]] | None:
    """The source-ref and the labels of a line without a fault; None for other lines."""
    try:
        parts = _line.decode(text)
        source_ref = _text.decode(parts[SOURCE_REF])
        if not SOURCE_REF_PATTERN.fullmatch(source_ref) or not COMPUTED_KEYS.isdisjoint(parts):
            return None
        labels: list[Label] = []
        for name, value in parts.items():
            metadata = parts.get(name + METADATA_SUFFIX)
            if name == SOURCE_REF:
                continue
            if metadata is None:
                # Metadata is looked at with what it belongs to; other keys are the user's own.
                owner = name.removesuffix(METADATA_SUFFIX)
                if owner in (name, SOURCE_REF) or owner not in parts:
                    _anything.decode(value)
                continue
            found = _metadata.decode(metadata)
            if isinstance(found, _Image):
                _class_id.decode(value)
                labels.append(Label(found.name))
            elif not _add_boxes(_boxes.decode(value), found, labels):
                return None
    except (DecodeError, KeyError, RecursionError):
        return None
    return (source_ref, labels) if labels else None


class _NamedImage(Struct, tag_field="type", tag=IMAGE, gc=False):
    name: str = field(name="class-name")


class _NamedBoxes(Struct, tag_field="type", tag=BOXES, gc=False):
    class_map: dict[str, str] = field(name="class-map")


class _Id(Struct, gc=False):
    class_id: int


class _Ids(Struct, gc=False):
    annotations: list[_Id]


_naming, _ids = Decoder(_NamedImage | _NamedBoxes), Decoder(_Ids)


def named_by(text: str) -> set[tuple[str, bool]] | None:
    """(label, is a box) of all that a line without errors names; None where that takes a closer look."""
    found: set[tuple[str, bool]] = set()
    try:
        parts = _line.decode(text)
        if not COMPUTED_KEYS.isdisjoint(parts):
            return None
        for name, value in parts.items():
            metadata = parts.get(name + METADATA_SUFFIX)
            if metadata is None or name == SOURCE_REF:
                continue
            naming = _naming.decode(metadata)
            if isinstance(naming, _NamedImage):
                found.add((naming.name, False))
            else:
                found |= {(naming.class_map[str(one.class_id)], True) for one in _ids.decode(value).annotations}
    except (DecodeError, KeyError, RecursionError):
        return None
    return None if ("", True) in found or ("", False) in found else found


def _add_boxes(value: _BoxesValue, metadata: _Boxes, labels: list[Label]) -> bool:
    """Add the labels of boxes; false where they are not all sound.

    Raises:
        KeyError: a class has no name.
    """
    if len(metadata.objects) < len(value.annotations):
        return False
    width, height = value.image_size[0].width, value.image_size[0].height
    scale = scale_of(width, height)
    for box in value.annotations:
        left, top, w, h = box.left, box.top, box.width, box.height
        if left + w > width or top + h > height or w * scale <= 1 or h * scale <= 1:
            return False
        name = metadata.class_map[str(box.class_id)]
        labels.append(Label(name, Box(left / width, top / height, w / width, h / height)))
    return True
