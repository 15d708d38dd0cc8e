"""How sure a model is, and how far it is from what people say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcl_cli.domain import Box, Detection
from rcl_cli.evaluation.sureness import UNSURE_OF_NOTHING, disagreement, unsure

HERE, THERE = Box(0.1, 0.1, 0.2, 0.2), Box(0.6, 0.6, 0.2, 0.2)
SCORES = st.floats(0, 1, allow_nan=False)
FOUND = st.lists(
    st.builds(Detection, st.sampled_from("abc"), SCORES, st.sampled_from([None, HERE, THERE])), max_size=8
)  # fmt: skip


def said(**scores: float) -> list[Detection]:
    return sorted((Detection(name, score) for name, score in scores.items()), key=lambda one: -one.score)


def test_of_one_label_the_margin_counts() -> None:
    even, clear = said(a=0.5, b=0.45, c=0.05), said(a=0.9, b=0.06, c=0.04)
    assert unsure(even, {}) == pytest.approx(0.95)
    assert unsure(clear, {}) == pytest.approx(0.16)
    # The order in which they come is nobody's concern.
    assert unsure(even[::-1], {}) == unsure(even, {})
    # What was cut off may have had the rest.
    assert unsure(said(a=0.9), {}, one_label=True) == pytest.approx(0.2)
    assert unsure(said(a=0.4), {}, one_label=True) == 1.0


def test_of_several_labels_the_nearest_to_its_threshold_counts() -> None:
    thresholds = {"a": 0.8, "b": 0.2}
    assert unsure(said(a=0.8, b=0.01), thresholds) == 1.0
    assert unsure(said(a=0.4, b=0.7), thresholds) == pytest.approx(0.5)
    assert unsure(said(a=0.99, b=0.9), thresholds) == pytest.approx(0.125)
    # One that is known to have several, whose scores happen to add up to 1.
    assert unsure(said(a=0.98, b=0.02), thresholds, one_label=False) == pytest.approx(0.1)
    # Labels without a threshold count from 0.5 on; a threshold of 0 or 1 divides nothing by nothing.
    assert unsure(said(x=0.5, y=0.9), {}) == 1.0
    assert unsure(said(a=1.0), {"a": 1.0}, one_label=False) == 1.0
    assert unsure(said(a=0.25), {"a": 0.0}, one_label=False) == 0.75


def test_boxes_are_never_of_one_label() -> None:
    assert unsure([Detection("a", 0.9, HERE), Detection("a", 0.1, THERE)], {"a": 0.5}) == pytest.approx(0.2)
    assert unsure([Detection("a", 1.0, HERE)], {"a": 0.5}, one_label=True) == 0.0
    assert unsure([], {"a": 0.5}) == UNSURE_OF_NOTHING > 0.5


@given(FOUND, st.dictionaries(st.sampled_from("abc"), SCORES), st.sampled_from([None, True, False]))
def test_it_is_between_0_and_1(found: list[Detection], thresholds: dict[str, float], one_label: bool | None) -> None:
    assert 0 <= unsure(found, thresholds, one_label=one_label) <= 1


def test_wrong_and_missing_answers_are_counted() -> None:
    found = said(a=0.9, b=0.6, c=0.3)
    thresholds = {"a": 0.5, "b": 0.5, "c": 0.5}
    assert disagreement(found, ["a", "b"], [], thresholds) == 0
    assert disagreement(found, ["a"], [], thresholds) == 1
    assert disagreement(found, ["a", "c", "d"], [], thresholds) == 3
    assert disagreement(found, [], [], thresholds) == 2
    assert disagreement([], ["a", "a"], [], thresholds) == 1


def test_boxes_must_lie_where_people_drew_them() -> None:
    found = [Detection("a", 0.9, HERE), Detection("b", 0.8, THERE), Detection("a", 0.1, THERE)]
    assert disagreement(found, [], [("a", HERE), ("b", THERE)], {}) == 0
    assert disagreement(found, [], [("a", THERE), ("b", THERE)], {}) == 2
    assert disagreement(found, [], [], {}) == 2
    assert disagreement([], [], [("a", HERE), ("b", THERE)], {}) == 2
    # A model without boxes knows what is in an image, not where.
    assert disagreement(said(a=0.9, b=0.8), [], [("a", HERE), ("a", THERE)], {}) == 1
