"""One JSON line of a Ground Truth manifest: parsed, checked, and written back with what was found.

The checks run in the order of `codes`; the first code that ends a line hides all later ones.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeGuard

from rcl_cli.domain import Box
from rcl_cli.manifest import codes
from rcl_cli.manifest.codes import Code

SOURCE_REF = "source-ref"
METADATA_SUFFIX = "-metadata"
MAX_LINE_CHARS = 100_000
MAX_BOXES = 50
MAX_LABEL_CHARS = 256
MIN_SIDE_PX, MAX_SIDE_PX = 64, 4096
_SCALED_SIDE_PX = 1280

# What rcl (or AWS) wrote into an earlier listing or validation manifest; recomputed on every pass.
COMPUTED_KEYS = frozenset({"cl-metadata", "cl-errors", "cl-warnings", "errors", "warnings"})

_S3_URL = re.compile(r"s3://([0-9A-Za-z.\-_]{3,255})/(.{1,1024})", re.DOTALL)
_FILE_URL = re.compile(r"file:///.+", re.DOTALL)
_TYPES: dict[str, Literal["image", "box"]] = {
    "groundtruth/image-classification": "image",
    "groundtruth/object-detection": "box",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """A code and the place in the line that it belongs to."""

    code: Code
    attribute: str = ""
    annotation: int | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """One label of an image; `box` is a ratio of the image, None for an image-level label."""

    name: str
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A parsed manifest line.

    Args:
        document: the JSON object without computed keys; None where the line is no JSON object.
        labels: usable labels.
        named: (label, is a box) of everything that names a label, usable or not.
        is_labeled: has an annotation or a class name, valid or not.
        problems: errors and warnings in the order found.
    """

    document: dict[str, Any] | None
    source_ref: str = ""
    labels: tuple[Label, ...] = ()
    named: frozenset[tuple[str, bool]] = frozenset()
    is_labeled: bool = False
    problems: tuple[Problem, ...] = ()

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(p for p in self.problems if not p.code.is_warning)

    @property
    def listed_errors(self) -> tuple[Problem, ...]:
        return tuple(p for p in self.errors if p.code.listed)

    @property
    def removed_from_datasets(self) -> bool:
        """Has no place in a dataset at all (no object, no usable source-ref)."""
        early = {codes.INVALID_JSON_LINE, codes.MISSING_SOURCE_REF, codes.INVALID_SOURCE_REF_FORMAT}
        return any(p.code in early for p in self.problems)

    @property
    def kinds(self) -> frozenset[Literal["image", "box"]]:
        """Which sorts of usable labels the line has."""
        return frozenset("box" if label.box else "image" for label in self.labels)


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


def bucket_of(source_ref: str) -> str:
    """The bucket of an `s3://` URL; the empty string for local files."""
    match = _S3_URL.fullmatch(source_ref)
    return match[1] if match else ""


def split_s3_url(url: str) -> tuple[str, str] | None:
    """(bucket, key), or None where the URL is no `s3://` URL."""
    match = _S3_URL.fullmatch(url)
    return (match[1], match[2]) if match else None


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _strip_computed(document: dict[str, Any]) -> dict[str, Any]:
    """A copy without what an earlier pass wrote: into the line, its attributes, their metadata and annotations."""

    def own(node: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in node.items() if k not in COMPUTED_KEYS}

    copy = own(document)
    for attribute in [key for key in copy if key + METADATA_SUFFIX in copy]:
        for key in (attribute, attribute + METADATA_SUFFIX):
            if isinstance(copy[key], dict):
                copy[key] = own(copy[key])
        value = copy[attribute]
        if isinstance(value, dict) and isinstance(value.get("annotations"), list):
            value["annotations"] = [own(a) if isinstance(a, dict) else a for a in value["annotations"]]
    return copy


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
    scale = min(1.0, _SCALED_SIDE_PX / max(width, height))
    return codes.BOUNDING_BOX_TOO_SMALL if min(w, h) * scale <= 1 else None


def _box_labels(attribute: _Attribute) -> Iterator[Label]:
    size = attribute.value["image_size"][0]
    width, height = size["width"], size["height"]
    note = attribute.problems.append
    class_map = attribute.metadata.get("class-map") or {}
    if any(len(name) > MAX_LABEL_CHARS for name in class_map.values()):
        note(Problem(codes.INVALID_LABEL_NAME_LENGTH, attribute.name))
    if not all(MIN_SIDE_PX <= side <= MAX_SIDE_PX for side in (width, height)):
        note(Problem(codes.INVALID_IMAGE_DIMENSION, attribute.name))
        return
    if len(attribute.annotations) > MAX_BOXES:
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


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is out of range")
    return value


def _load(text: str) -> dict[str, Any] | None:
    """The JSON object without computed keys, or None where the text is none."""
    try:
        document = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
        if not isinstance(document, dict):
            return None
        document = _strip_computed(document)
        if "\\ud" in text.lower():
            compact(document).encode()  # a lone surrogate can be neither stored nor sent
    except (ValueError, RecursionError):
        return None
    return document


def parse_line(text: str) -> Line:
    """Parse and check one manifest line.

    Args:
        text: the line, without its newline.

    Returns:
        The line with its usable labels and all its problems. Never raises: a line that makes no sense says so itself.
    """
    document = _load(text)
    if document is None:
        return Line(None, problems=(Problem(codes.INVALID_JSON_LINE),))
    if SOURCE_REF not in document:
        return Line(document, problems=(Problem(codes.MISSING_SOURCE_REF),))
    source_ref = document[SOURCE_REF]
    if not isinstance(source_ref, str) or not (_S3_URL.fullmatch(source_ref) or _FILE_URL.fullmatch(source_ref)):
        return Line(document, problems=(Problem(codes.INVALID_SOURCE_REF_FORMAT),))
    if len(document) == 1:
        return Line(document, source_ref, problems=(Problem(codes.UNANNOTATED_RECORD),))
    attributes = _attributes(document)
    if not attributes:
        return Line(document, source_ref, problems=(Problem(codes.NO_LABEL_ATTRIBUTES),))
    named = frozenset(pair for attribute in attributes for pair in _named(attribute))
    is_labeled = any(_is_labeled(attribute) for attribute in attributes)
    if early := _early_problems(attributes):
        return Line(document, source_ref, (), named, is_labeled, tuple(early))
    labels, problems = _check_attributes(attributes)
    return Line(document, source_ref, tuple(labels), named, is_labeled, tuple(problems))


# --- writing back -----------------------------------------------------------------------------------------------------


def _place(document: dict[str, Any], problem: Problem) -> dict[str, Any]:
    """The object inside the document that carries a problem."""
    holder: Any = None
    if problem.code.level == "attribute":
        holder = document.get(problem.attribute)
    elif problem.code.level == "metadata":
        holder = document.get(problem.attribute + METADATA_SUFFIX)
    elif problem.code.level == "annotation" and problem.annotation is not None:
        holder = document[problem.attribute]["annotations"][problem.annotation]
    # An attribute that is a bare number (or no object at all) has no room for a list; the line has.
    return holder if isinstance(holder, dict) else document


def _annotate(document: dict[str, Any], problems: tuple[Problem, ...], errors: str, warnings: str) -> None:
    for problem in problems:
        key = warnings if problem.code.is_warning else errors
        _place(document, problem).setdefault(key, []).append(problem.code.entry(problem.attribute))


def compact(document: dict[str, Any]) -> str:
    """JSON without spaces, as the service lists entries."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def listing(line: Line) -> str:
    """The line as ListDatasetEntries returns it: its own keys, `cl-metadata`, then errors where they belong.

    Raises:
        ValueError: the line has no place in a dataset.
    """
    if line.document is None:
        raise ValueError("A line that is no JSON object can't be listed.")
    document = _strip_computed(line.document)
    document["cl-metadata"] = {"is_labeled": line.is_labeled}
    _annotate(document, line.listed_errors, "cl-errors", "cl-warnings")
    return compact(document)


def validation(line: Line, extra: tuple[Problem, ...] = ()) -> str:
    """The line as a validation manifest shows it: `errors` and `warnings` lists at the level of each code."""
    document = _strip_computed(line.document) if line.document is not None else {}
    _annotate(document, line.problems + extra, "errors", "warnings")
    return compact(document)
