"""`faultless` holds no line to be sound in which `checks` finds a fault, and knows those that manifests are made of."""

from __future__ import annotations

import copy
import json
import os
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rcl_cli.manifest import faultless
from rcl_cli.manifest.line import _diagnosed, parse_line

EXAMPLES = int(os.environ.get("RCL_EXAMPLES", "1500"))


def box_attribute(**box: Any) -> tuple[Any, Any]:
    whole = {"class_id": 0, "left": 10, "top": 20.5, "width": 30, "height": 40, **box}
    value = {"image_size": [{"width": 640, "height": 480, "depth": 3}], "annotations": [whole, dict(whole, class_id=1)]}
    metadata = {
        "objects": [{"confidence": 1}, {"confidence": 0.5}], "class-map": {"0": "cat", "1": "dog"},
        "type": "groundtruth/object-detection", "human-annotated": "yes", "creation-date": "2024", "job-name": "j",
    }  # fmt: skip
    return value, metadata


def image_attribute(name: str = "cat") -> tuple[Any, Any]:
    return 1, {
        "confidence": 0.75, "class-name": name, "type": "groundtruth/image-classification", "human-annotated": "no",
        "creation-date": "2024-01-01T00:00:00", "job-name": "j",
    }  # fmt: skip


def document(**attributes: tuple[Any, Any]) -> dict[str, Any]:
    line: dict[str, Any] = {"source-ref": "s3://photos/a.jpg"}
    for name, (value, metadata) in attributes.items():
        line |= {name: value, f"{name}-metadata": metadata}
    return line


WHOLE = [
    document(label=image_attribute()),
    document(a=image_attribute(), b=image_attribute("Größe 🦊")),
    document(boxes=box_attribute()),
    document(boxes=box_attribute(), label=image_attribute()),
    {**document(label=image_attribute()), "mine": {"x": [1, 2.5, None]}, "workerId": "7", "lonely-metadata": {}},
]


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to everything inside a document."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


ODD = st.one_of(
    st.sampled_from(
        [
            None,
            True,
            False,
            0,
            -1,
            1,
            0.0,
            1.0,
            -0.5,
            63,
            64,
            4096,
            4097,
            1e9,
            1e308,
            2**70,
            "",
            "0",
            "yes",
            "cat",
            "x" * 257,
        ]
    ),
    st.sampled_from([[], {}, [{}], [1], {"a": 1}, "groundtruth/object-detection", "groundtruth/image-classification"]),
    st.integers(-700, 700),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=3),
)
KEYS = [
    "cl-metadata",
    "cl-errors",
    "errors",
    "source-ref",
    "extra",
    "b-metadata",
    "job-name",
    "confidence",
    "2",
    "depth",
]


def changed(line: dict[str, Any], data: st.DataObject) -> dict[str, Any]:
    """Replace, remove or add something somewhere."""
    line = copy.deepcopy(line)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(places(line)))
        how = data.draw(st.sampled_from(["replace", "remove", "add", "double"]))
        node: Any = line
        for key in path[:-1]:
            node = node[key]
        if how == "add":
            inside = node[path[-1]] if path else node
            if isinstance(inside, dict):
                inside[data.draw(st.sampled_from(KEYS))] = copy.deepcopy(data.draw(ODD))
            elif isinstance(inside, list):
                inside.append(copy.deepcopy(data.draw(ODD)))
        elif path and how == "remove":
            del node[path[-1]]
        elif path and how == "replace":
            node[path[-1]] = copy.deepcopy(data.draw(ODD))
        elif path and isinstance(node, list):
            node.append(copy.deepcopy(node[path[-1]]))
    return line


def agrees(text: str) -> bool:
    """Whether the line was held to be faultless; if so, nothing may be wrong with it."""
    found, diagnosed = faultless.labels_of(text), _diagnosed(text)
    assert parse_line(text) == diagnosed
    named = faultless.named_by(text)
    # Asked only about lines that a dataset has, and that have no error.
    if named is not None and not diagnosed.removed_from_datasets and not diagnosed.has_listed_errors:
        assert named == diagnosed.named
    if found is None:
        return False
    assert diagnosed.problems == ()
    assert (found[0], tuple(found[1])) == (diagnosed.source_ref, diagnosed.labels)
    return True


def test_sound_lines_are_known() -> None:
    for line in WHOLE:
        for text in (json.dumps(line), json.dumps(line, ensure_ascii=False), json.dumps(line, separators=(",", ":"))):
            assert agrees(text), text


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.data())
def test_changed_lines_are_judged_alike(data: st.DataObject) -> None:
    line = changed(data.draw(st.sampled_from(WHOLE)), data)
    agrees(json.dumps(line, ensure_ascii=data.draw(st.booleans())))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.data())
def test_changed_texts_are_judged_alike(data: st.DataObject) -> None:
    text = json.dumps(data.draw(st.sampled_from(WHOLE)))
    at = data.draw(st.integers(0, len(text)))
    pieces = [
        "",
        "1e999",
        "NaN",
        "\\ud800",
        "\\u0000",
        "\x01",
        "01",
        "1.0",
        "-0",
        ",",
        "}",
        "[",
        '"',
        " ",
        "\ufeff",
        "true",
    ]
    piece = data.draw(st.one_of(st.sampled_from(pieces), st.text(max_size=2)))
    agrees(text[:at] + piece + text[at + data.draw(st.integers(0, 4)) :])


def test_depth_and_odd_numbers() -> None:
    for extra in (
        "[" * 450 + "]" * 450,
        "[" * 2000 + "]" * 2000,
        "1e999",
        "12345678901234567890123",
        "-1e400",
        '"\\ud83e"',
    ):
        text = json.dumps(WHOLE[0])[:-1] + f', "extra": {extra}}}'
        agrees(text)
    for size in ("1e3", "640.0", "6.4e2"):
        agrees(json.dumps(WHOLE[2]).replace("640", size))
    # Rounding: the right edge is where left + width falls, not where width - left does.
    agrees(json.dumps(document(boxes=box_attribute(left=639.9, width=0.1 + 1e-14))))
