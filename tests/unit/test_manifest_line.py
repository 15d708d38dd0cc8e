"""Every code of the contract's §4.4(c), provoked, at its place."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcl_cli.manifest import codes
from rcl_cli.manifest import listing as writing
from rcl_cli.manifest.line import parse_line
from rcl_cli.manifest.listing import validation
from tests.conftest import box_line, image_line

BOX = box_line("data", "a.jpg", (640, 480), ("cat", 10, 20, 30, 40), ("dog", 100, 100, 50, 50))
IMAGE = image_line("data", "a.jpg", "cat")


def listing(text: str) -> str:
    """A line as a dataset lists it."""
    line = parse_line(text)
    return writing.listing(text, is_labeled=line.is_labeled, has_errors=line.has_listed_errors)


def changed(line: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with one value replaced; `...` deletes it."""
    copy = deepcopy(line)
    *parents, last = path.split("/")
    node: Any = copy
    for part in parents:
        node = node[int(part) if isinstance(node, list) else part]
    key = int(last) if isinstance(node, list) else last
    if value is ...:
        del node[key]
    else:
        node[key] = value
    return copy


CASES: list[tuple[str, Any, list[str]]] = [
    ("not json", "{half", ["ERROR_INVALID_JSON_LINE"]),
    ("array", "[1]", ["ERROR_INVALID_JSON_LINE"]),
    ("nan", '{"source-ref": NaN}', ["ERROR_INVALID_JSON_LINE"]),
    ("lone surrogate", '{"source-ref": "s3://data/\\ud800.jpg"}', ["ERROR_INVALID_JSON_LINE"]),
    ("no source", {"cat": 1}, ["ERROR_MISSING_SOURCE_REF"]),
    ("source no url", {"source-ref": "a.jpg"}, ["ERROR_INVALID_SOURCE_REF_FORMAT"]),
    ("source no text", {"source-ref": 5}, ["ERROR_INVALID_SOURCE_REF_FORMAT"]),
    ("bucket too short", {"source-ref": "s3://ab/a.jpg"}, ["ERROR_INVALID_SOURCE_REF_FORMAT"]),
    ("unlabelled", {"source-ref": "s3://data/a.jpg"}, ["WARNING_UNANNOTATED_RECORD"]),
    ("no pair", {"source-ref": "s3://data/a.jpg", "x": 1}, ["ERROR_NO_LABEL_ATTRIBUTES"]),
    ("image value text", changed(IMAGE, "label-0", "1"), ["ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT"]),
    ("image value bool", changed(IMAGE, "label-0", True), ["ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT"]),
    ("no annotations key", changed(BOX, "boxes/annotations", ...), ["ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT"]),
    ("two sizes", changed(BOX, "boxes/image_size", [{}, {}]), ["ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT"]),
    ("side missing", changed(BOX, "boxes/annotations/0/top", ...), ["ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT"]),
    ("no type", changed(IMAGE, "label-0-metadata/type", ...), ["ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT"]),
    ("metadata text", changed(IMAGE, "label-0-metadata", "x"), ["ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT"]),
    (
        "no class name",
        changed(IMAGE, "label-0-metadata/class-name", ...),
        ["ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT"],
    ),
    (
        "confidence 2",
        changed(IMAGE, "label-0-metadata/confidence", 2),
        ["ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT"],
    ),
    (
        "human maybe",
        changed(BOX, "boxes-metadata/human-annotated", "maybe"),
        ["ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT"],
    ),
    (
        "object lacks",
        changed(BOX, "boxes-metadata/objects", [{"confidence": 1}]),
        ["ERROR_MISSING_BOUNDING_BOX_CONFIDENCE"],
    ),
    ("class id", changed(BOX, "boxes/annotations/1/class_id", 9), ["ERROR_MISSING_CLASS_MAP_ID"]),
    (
        "type unknown",
        changed(IMAGE, "label-0-metadata/type", "groundtruth/text"),
        ["ERROR_UNSUPPORTED_USE_CASE_TYPE", "ERROR_NO_VALID_LABEL_ATTRIBUTES"],
    ),
    ("size too small", changed(BOX, "boxes/image_size/0/width", 63), ["ERROR_INVALID_IMAGE_DIMENSION"]),
    ("off frame", changed(BOX, "boxes/annotations/0/left", 620), ["ERROR_INVALID_BOUNDING_BOX"]),
    ("negative", changed(BOX, "boxes/annotations/0/left", -1), ["ERROR_INVALID_BOUNDING_BOX"]),
    ("one pixel", changed(BOX, "boxes/annotations/0/width", 1), ["ERROR_BOUNDING_BOX_TOO_SMALL"]),
    (
        "nothing left",
        box_line("data", "a.jpg", (640, 480), ("cat", 700, 0, 9, 9)),
        ["ERROR_INVALID_BOUNDING_BOX", "ERROR_NO_VALID_ANNOTATIONS"],
    ),
    (
        "51 boxes",
        box_line("data", "a.jpg", (640, 480), *[("cat", i, i, 9, 9) for i in range(51)]),
        ["ERROR_TOO_MANY_BOUNDING_BOXES"],
    ),
    ("long name", image_line("data", "a.jpg", "x" * 257), ["ERROR_INVALID_LABEL_NAME_LENGTH"]),
    (
        "empty boxes",
        box_line("data", "a.jpg", (640, 480)),
        ["WARNING_NO_ATTRIBUTE_ANNOTATIONS", "WARNING_NO_ANNOTATIONS"],
    ),
    ("emoji and slash", image_line("data", "a.jpg", "🐈/cat"), []),
    ("fine boxes", BOX, []),
    ("fine image", IMAGE, []),
]


@pytest.mark.parametrize(("line", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_code(line: Any, expected: list[str]) -> None:
    text = line if isinstance(line, str) else json.dumps(line)
    assert [problem.code.code for problem in parse_line(text).problems] == expected


def test_every_line_code_is_provoked_here() -> None:
    known = {c.code for c in vars(codes).values() if isinstance(c, codes.Code) and c.level}
    assert known - {code for case in CASES for code in case[2]} == {"ERROR_INVALID_IMAGE"}


def test_box_is_scaled_before_it_is_called_too_small() -> None:
    small = box_line("data", "a.jpg", (2560, 1000), ("cat", 0, 0, 2, 9))
    assert [p.code for p in parse_line(json.dumps(small)).problems][0] is codes.BOUNDING_BOX_TOO_SMALL
    fine = box_line("data", "a.jpg", (2560, 1000), ("cat", 0, 0, 3, 9))
    assert parse_line(json.dumps(fine)).problems == ()


def test_bad_annotation_leaves_the_rest() -> None:
    line = parse_line(json.dumps(changed(BOX, "boxes/annotations/0/left", -1)))
    assert [label.name for label in line.labels] == ["dog"]
    assert line.is_labeled


def test_listing_places_errors_at_their_level_and_is_compact() -> None:
    broken = changed(BOX, "boxes/annotations/0/left", -1)
    listed = listing(json.dumps(broken))
    assert ": " not in listed
    document = json.loads(listed)
    error = {"code": "ERROR_INVALID_BOUNDING_BOX", "message": "The bounding box has off frame values."}
    assert document["boxes"]["annotations"][0]["cl-errors"] == [error]
    assert document["cl-metadata"] == {"is_labeled": True}
    metadata = listing(json.dumps(changed(IMAGE, "label-0-metadata/type", "groundtruth/text")))
    keys = list(json.loads(metadata))
    assert keys[-2:] == ["cl-metadata", "cl-errors"]


def test_training_only_codes_are_not_listed() -> None:
    assert "cl-errors" not in listing('{"source-ref": "s3://data/a.jpg"}')


def test_validation_uses_errors_and_warnings() -> None:
    document = json.loads(validation(parse_line('{"source-ref": "s3://data/a.jpg"}')))
    assert document["warnings"] == [{"code": "WARNING_UNANNOTATED_RECORD", "message": "Record is unannotated."}]
    broken = json.loads(validation(parse_line("{oops")))
    assert list(broken) == ["errors"]


def test_own_output_fed_back_is_recomputed() -> None:
    broken = json.dumps(changed(BOX, "boxes/annotations/0/left", -1))
    once = listing(broken)
    assert listing(once) == once
    assert listing(validation(parse_line(broken))) == once


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(["x", "x-metadata", "boxes", "boxes-metadata", "annotations", "class-map", "objects", "type"])


@given(st.dictionaries(KEYS, JSON, max_size=6), JSON)
def test_no_json_makes_the_parser_raise(extra: dict[str, Any], value: Any) -> None:
    for base in (BOX, IMAGE):
        for path in ("boxes", "boxes/annotations", "boxes-metadata", "boxes-metadata/class-map", "label-0-metadata"):
            try:
                line = changed(base, path, value)
            except (KeyError, TypeError):
                continue
            parsed = parse_line(json.dumps({**line, **extra}))
            assert json.loads(validation(parsed)) is not None
            if not parsed.removed_from_datasets:
                assert json.loads(listing(parsed.text))["source-ref"] == "s3://data/a.jpg"


@given(st.text(max_size=60))
def test_no_text_makes_the_parser_raise(text: str) -> None:
    parse_line(text)
