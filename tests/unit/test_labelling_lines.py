"""A line after an edit says what is wanted, and keeps the rest of it as it was written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcl_cli.domain import Box
from rcl_cli.errors import InvalidParameter
from rcl_cli.local.labelling.lines import Drawn, Labelling, edited, labelling_of
from rcl_cli.manifest.line import parse_line
from tests.conftest import box_line, image_line

SIZE = (400, 200)
NOW = "2026-11-27T09:00:00"
NAMES = st.sampled_from(["cat", "dog", 'a "b" , : {', "ünï", "<img src=x onerror=alert(1)>"])
PIXELS = st.tuples(st.integers(0, 390), st.integers(0, 190), st.integers(4, 400), st.integers(4, 200)).map(
    lambda b: (b[0], b[1], min(b[2], SIZE[0] - b[0]), min(b[3], SIZE[1] - b[1]))
)
PLACED = st.tuples(NAMES, PIXELS)


def share(box: tuple[int, int, int, int]) -> Box:
    return Box(box[0] / SIZE[0], box[1] / SIZE[1], box[2] / SIZE[0], box[3] / SIZE[1])


def edit(line: dict[str, Any], wanted: Labelling) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(edited(json.dumps(line), wanted, lambda: SIZE, NOW))
    return document


@given(
    st.lists(PLACED, max_size=6), st.sets(NAMES), st.lists(PLACED, max_size=4), st.sets(NAMES), st.randoms(),
    st.booleans(),
)  # fmt: skip
def test_a_line_says_what_is_wanted(
    there: list[Any], labels: set[str], new: list[Any], wanted_labels: set[str], chance: Any, has_two: bool
) -> None:
    line = image_line("data", "a.jpg", *sorted(labels)) | {"note": {"kept": [1.50, None]}, "errors": ["old"]}
    if there:
        line |= box_line("data", "a.jpg", SIZE, *[(name, *box) for name, box in there])
    if has_two:
        second = box_line("data", "a.jpg", SIZE, ("cat", 1, 2, 30, 40))
        line |= {"more": second["boxes"], "more-metadata": second["boxes-metadata"]}
    before = labelling_of(json.dumps(line))
    kept = [one._replace(label=chance.choice([one.label, "dog"])) for one in before.boxes if chance.random() < 0.7]
    wanted = Labelling(tuple(sorted(wanted_labels)), (*kept, *(Drawn(name, share(box)) for name, box in new)))
    text = edited(json.dumps(line), wanted, lambda: SIZE, NOW)
    after = labelling_of(text)
    assert set(after.labels) == wanted_labels
    # In the order of their places, and new ones behind them.
    assert [one.label for one in after.boxes] == [one.label for one in wanted.boxes]
    for one, asked in zip(after.boxes, wanted.boxes, strict=True):
        assert one.box == pytest.approx(asked.box, abs=2.01 / SIZE[1])
    document = json.loads(text)
    assert document["note"] == line["note"]
    assert document["errors"] == ["old"]
    if wanted.labels or wanted.boxes:
        assert [p for p in parse_line(text).errors if p.code.listed] == []


def test_what_is_not_edited_stays_as_it_was_written() -> None:
    line = box_line("data", "a.jpg", SIZE, ("cat", 1, 2, 30, 40), ("dog", 50, 60, 30.0, 40))
    line["boxes"]["annotations"][1]["occluded"] = True
    line["boxes-metadata"]["objects"][1] = {"confidence": 0.75, "who": "ann"}
    line |= {"odd-key": 1.50}
    text = json.dumps(line).replace("1.5}", "1.50}")
    wanted = labelling_of(text)
    assert json.loads(edited(text, wanted, lambda: SIZE, NOW)) == line
    assert '"odd-key":1.50' in edited(text, wanted, lambda: SIZE, NOW)
    without_cat = json.loads(edited(text, wanted._replace(boxes=wanted.boxes[1:]), lambda: SIZE, NOW))
    assert without_cat["boxes"]["annotations"] == [line["boxes"]["annotations"][1]]
    assert without_cat["boxes-metadata"]["objects"] == [{"confidence": 0.75, "who": "ann"}]
    assert without_cat["boxes-metadata"]["creation-date"] == NOW


def test_boxes_keep_to_the_size_that_the_line_names() -> None:
    """Annotations may be of a picture of another size than the one that lies there."""
    line = box_line("data", "a.jpg", (4000, 2000), ("cat", 1000, 500, 2000, 1000))
    wanted = Labelling((), (*labelling_of(json.dumps(line)).boxes, Drawn("cat", Box(0, 0, 0.5, 0.5))))
    assert edit(line, wanted)["boxes"]["annotations"][1] == {
        "class_id": 0, "left": 0, "top": 0, "width": 2000, "height": 1000,
    }  # fmt: skip


def test_an_image_without_labels_is_unlabelled_again() -> None:
    line = box_line("data", "a.jpg", SIZE, ("cat", 1, 2, 30, 40)) | image_line("data", "a.jpg", "cat")
    assert edit(line, Labelling()) == {"source-ref": "s3://data/a.jpg"}


@pytest.mark.parametrize("damage", [{"annotations": "x"}, {"image_size": []}, {"annotations": [{"class_id": 7}]}])
def test_boxes_that_cannot_be_read_are_not_for_editing(damage: dict[str, Any]) -> None:
    line = box_line("data", "a.jpg", SIZE, ("cat", 1, 2, 30, 40))
    line["boxes"] |= damage
    after = edit(line, Labelling((), (Drawn("dog", Box(0, 0, 0.5, 0.5)),)))
    assert after["boxes"] == line["boxes"]
    assert after["bounding-box"]["annotations"][0]["width"] == 200


@pytest.mark.parametrize(
    "wanted",
    [
        Labelling(("",)), Labelling(("x" * 257,)), Labelling((), (Drawn("a", Box(0.5, 0.5, 0.6, 0.1)),)),
        Labelling((), (Drawn("a", Box(0.5, 0.5, 0, 0.1)),)), Labelling((), (Drawn("a", Box(0, 0, 1, 1)),) * 51),
        Labelling((), (Drawn("a", Box(0, 0, 1, 1), 3),)),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_refused(wanted: Labelling) -> None:
    with pytest.raises(InvalidParameter):
        edit(image_line("data", "a.jpg"), wanted)
