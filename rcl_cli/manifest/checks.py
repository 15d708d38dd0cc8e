"""What is wrong with a manifest line: the checks, in the order of `codes`.

The first code that ends a line hides all later ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeGuard

from rcl_cli.domain import Box
from rcl_cli.limits import MIN_SIDE_PX, limits
from rcl_cli.manifest import codes
from rcl_cli.manifest.codes import Code
from rcl_cli.manifest.document import METADATA_SUFFIX, SOURCE_REF

S3_URL = r"s3://([0-9A-Za-z.\-_]{3,255})/(.{1,1024})"
SOURCE_REF_PATTERN = re.compile(rf"{S3_URL}|file:///.+", re.DOTALL)
MAX_LABEL_CHARS = 256
MAX_NUMBER = 1e9
IMAGE, BOXES = "groundtruth/image-classification", "groundtruth/object-detection"
_SCALED_SIDE_PX = 1280

_TYPES: dict[str, Literal["image", "box"]] = {IMAGE: "image", BOXES: "box"}


class Problem(NamedTuple):
    """A code and the place in the line that it belongs to."""

    code: Code
    attribute: str = ""
    annotation: int | None = None


class Label(NamedTuple):
    """One label of an image; `box` is a ratio of the image, None for an image-level label."""

    name: str
    box: Box | None = None


class Diagnosis(NamedTuple):
    """What there is in a line's attributes; the fields are those of `Line`."""

    labels: tuple[Label, ...]
    named: frozenset[tuple[str, bool]]
    is_labeled: bool
    problems: tuple[Problem, ...]


@dataclass(slots=True)
class _Attribute:
    """A label attribute while it is being checked."""

    name: str
    value: Any
    metadata: Any
    problems: list[Problem] = field(default_factory=list)

    @property
    def kind(self) -> Literal["image", "box"] | None:
        declared = self.metadata.get("type") if isinstance(self.metadata, dict) else None
        return _TYPES.get(declared) if isinstance(declared, str) else None

    @property
    def annotations(self) -> list[dict[str, Any]]:
        annotations: list[dict[str, Any]] = self.value["annotations"]
        return annotations


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < MAX_NUMBER


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# --- early checks, each over all attributes of the line ---------------------------------------------------------------


def _attribute_format(attribute: _Attribute) -> bool:
    value = attribute.value
    if attribute.kind == "image":
        return _is_int(value)
    if attribute.kind == "box":
        return (
            isinstance(value, dict)
            and _image_size_format(value.get("image_size"))
            and isinstance(value.get("annotations"), list)
            and all(_annotation_format(annotation) for annotation in value["annotations"])
        )
    return True


def _image_size_format(sizes: Any) -> bool:
    return (
        isinstance(sizes, list)
        and len(sizes) == 1
        and isinstance(sizes[0], dict)
        and all(_is_number(sizes[0].get(side)) for side in ("width", "height"))
    )


def _annotation_format(annotation: Any) -> bool:
    return (
        isinstance(annotation, dict)
        and _is_int(annotation.get("class_id"))
        and all(_is_number(annotation.get(side)) for side in ("top", "left", "width", "height"))
    )


def _metadata_format(attribute: _Attribute) -> bool:
    metadata = attribute.metadata
    if not isinstance(metadata, dict) or not isinstance(metadata.get("type"), str):
        return False
    if attribute.kind is None:
        return True
    if metadata.get("human-annotated") not in ("yes", "no") or not isinstance(metadata.get("creation-date"), str):
        return False
    if not isinstance(metadata.get("job-name", ""), str):
        return False
    if attribute.kind == "image":
        confidence: Any = metadata.get("confidence")
        name: Any = metadata.get("class-name")
        return _is_number(confidence) and 0 <= confidence <= 1 and isinstance(name, str) and bool(name)
    return _box_metadata_format(attribute)


def _box_metadata_format(attribute: _Attribute) -> bool:
    class_map = attribute.metadata.get("class-map")
    if class_map is None:
        return not attribute.annotations
    return (
        isinstance(class_map, dict)
        and all(isinstance(name, str) and name for name in class_map.values())
        and isinstance(attribute.metadata.get("objects", []), list)
    )


def _has_all_confidences(attribute: _Attribute) -> bool:
    if attribute.kind != "box":
        return True
    objects = attribute.metadata.get("objects", [])
    wanted = len(attribute.annotations)
    return len(objects) >= wanted and all(
        isinstance(item, dict) and _is_number(item.get("confidence")) for item in objects[:wanted]
    )


def _has_all_class_ids(attribute: _Attribute) -> bool:
    if attribute.kind != "box":
        return True
    class_map = attribute.metadata.get("class-map") or {}
    return all(str(a["class_id"]) in class_map for a in attribute.annotations)


_EARLY: tuple[tuple[Code, Callable[[_Attribute], bool]], ...] = (
    (codes.INVALID_LABEL_ATTRIBUTE_FORMAT, _attribute_format),
    (codes.INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT, _metadata_format),
    (codes.MISSING_BOUNDING_BOX_CONFIDENCE, _has_all_confidences),
    (codes.MISSING_CLASS_MAP_ID, _has_all_class_ids),
)


def _early_problems(attributes: list[_Attribute]) -> list[Problem]:
    for code, holds in _EARLY:
        found = [Problem(code, attribute.name) for attribute in attributes if not holds(attribute)]
        if found:
            return found
    return []


# --- checks of a well-formed line -------------------------------------------------------------------------------------


def _image_labels(attribute: _Attribute) -> Iterator[Label]:
    name = attribute.metadata["class-name"]
    if len(name) > MAX_LABEL_CHARS:
        attribute.problems.append(Problem(codes.INVALID_LABEL_NAME_LENGTH, attribute.name))
        return
    yield Label(name)


def _box_problem(annotation: dict[str, Any], width: float, height: float) -> Code | None:
    left, top = annotation["left"], annotation["top"]
    w, h = annotation["width"], annotation["height"]
    if min(left, top, w, h) < 0 or left + w > width or top + h > height:
        return codes.INVALID_BOUNDING_BOX
    return codes.BOUNDING_BOX_TOO_SMALL if min(w, h) * scale_of(width, height) <= 1 else None


def scale_of(width: float, height: float) -> float:
    """How much smaller an image is made before its boxes are held against the smallest size."""
    return min(1.0, _SCALED_SIDE_PX / max(width, height))


def _box_labels(attribute: _Attribute) -> Iterator[Label]:
    size = attribute.value["image_size"][0]
    width, height = size["width"], size["height"]
    note = attribute.problems.append
    class_map = attribute.metadata.get("class-map") or {}
    if any(len(name) > MAX_LABEL_CHARS for name in class_map.values()):
        note(Problem(codes.INVALID_LABEL_NAME_LENGTH, attribute.name))
    if not all(MIN_SIDE_PX <= side <= limits().side_px for side in (width, height)):
        note(Problem(codes.INVALID_IMAGE_DIMENSION, attribute.name))
        return
    if len(attribute.annotations) > limits().boxes:
        note(Problem(codes.TOO_MANY_BOUNDING_BOXES, attribute.name))
        return
    usable = []
    for number, annotation in enumerate(attribute.annotations):
        if code := _box_problem(annotation, width, height):
            note(Problem(code, attribute.name, number))
            continue
        name = class_map[str(annotation["class_id"])]
        if len(name) <= MAX_LABEL_CHARS:
            usable.append(Label(name, _as_ratio(annotation, width, height)))
    if attribute.annotations and not usable:
        note(Problem(codes.NO_VALID_ANNOTATIONS, attribute.name))
    yield from usable


def _as_ratio(annotation: dict[str, Any], width: float, height: float) -> Box:
    return Box(
        annotation["left"] / width,
        annotation["top"] / height,
        annotation["width"] / width,
        annotation["height"] / height,
    )


def _named(attribute: _Attribute) -> Iterator[tuple[str, bool]]:
    """Labels that an attribute names, as far as it can be read."""
    metadata, value = attribute.metadata, attribute.value
    if attribute.kind == "image" and isinstance(name := metadata.get("class-name"), str) and name:
        yield name, False
    if attribute.kind == "box" and isinstance(value, dict) and isinstance(value.get("annotations"), list):
        class_map = metadata.get("class-map")
        for annotation in value["annotations"]:
            class_id = str(annotation.get("class_id")) if isinstance(annotation, dict) else ""
            name = class_map.get(class_id) if isinstance(class_map, dict) else None
            if isinstance(name, str) and name:
                yield name, True


def _is_labeled(attribute: _Attribute) -> bool:
    named = isinstance(attribute.metadata, dict) and isinstance(attribute.metadata.get("class-name"), str)
    return named or (isinstance(attribute.value, dict) and bool(attribute.value.get("annotations")))


def _attributes(document: dict[str, Any]) -> list[_Attribute]:
    return [
        _Attribute(key, value, document[key + METADATA_SUFFIX])
        for key, value in document.items()
        if key != SOURCE_REF and key + METADATA_SUFFIX in document
    ]


def _check_attributes(attributes: list[_Attribute]) -> tuple[list[Label], list[Problem]]:
    labels: list[Label] = []
    problems: list[Problem] = []
    empty_boxes = 0
    for attribute in attributes:
        if attribute.kind is None:
            attribute.problems.append(Problem(codes.UNSUPPORTED_USE_CASE_TYPE, attribute.name))
        elif attribute.kind == "image":
            labels += _image_labels(attribute)
        else:
            labels += _box_labels(attribute)
            empty_boxes += not attribute.annotations
            if not attribute.annotations and attribute.metadata["human-annotated"] == "yes":
                attribute.problems.append(Problem(codes.NO_ATTRIBUTE_ANNOTATIONS, attribute.name))
        problems += attribute.problems
    if all(attribute.kind is None for attribute in attributes):
        problems.append(Problem(codes.NO_VALID_LABEL_ATTRIBUTES))
    elif empty_boxes == sum(attribute.kind is not None for attribute in attributes):
        problems.append(Problem(codes.NO_ANNOTATIONS))
    return labels, problems


def diagnose(document: dict[str, Any]) -> Diagnosis:
    """Everything about a document's attributes.

    Args:
        document: without computed keys, with a source-ref.
    """
    attributes = _attributes(document)
    if not attributes:
        return Diagnosis((), frozenset(), is_labeled=False, problems=(Problem(codes.NO_LABEL_ATTRIBUTES),))
    named = frozenset(pair for attribute in attributes for pair in _named(attribute))
    is_labeled = any(_is_labeled(attribute) for attribute in attributes)
    if early := _early_problems(attributes):
        return Diagnosis((), named, is_labeled, tuple(early))
    labels, problems = _check_attributes(attributes)
    return Diagnosis(tuple(labels), named, is_labeled, tuple(problems))
