"""Test sets that are split off: every label keeps its share, and the same data gives the same split."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcl_cli.manifest.split import CannotSplitError, part_size, split_apart, stratified_split

LABELS = st.lists(st.sets(st.sampled_from("abcdef"), max_size=3), min_size=2, max_size=60)


@given(LABELS, st.integers(0, 5))
def test_every_label_stands_on_both_sides(labels: list[set[str]], seed: int) -> None:
    totals = Counter(label for one in labels for label in one)
    try:
        chosen = set(stratified_split(labels, 0.2, seed))
    except CannotSplitError as error:
        # Only a label in one image, or a knot of labels that all need the same image, can't be split.
        assert totals[error.label] <= len([one for one in labels if error.label in one])
        return
    for label in totals:
        inside = sum(label in labels[i] for i in chosen)
        assert 0 < inside < totals[label]
    assert 0 < len(chosen) < len(labels)


@given(LABELS, st.integers(0, 5))
def test_same_seed_same_split(labels: list[set[str]], seed: int) -> None:
    assert stratified_split(labels, 0.1, seed, strict=False) == stratified_split(labels, 0.1, seed, strict=False)


def test_seventy_images_give_fourteen() -> None:
    labels = [{"ab"[n % 2]} for n in range(70)]
    chosen = stratified_split(labels, 0.2, 0)
    assert len(chosen) == 14
    assert Counter(next(iter(labels[i])) for i in chosen) == {"a": 7, "b": 7}


def test_shares_hold_for_labels_of_different_frequency() -> None:
    labels = [{"common"}] * 400 + [{"rare"}] * 50
    chosen = stratified_split(labels, 0.2, 3)
    assert len(chosen) == part_size(450, 0.2)
    assert sum("rare" in labels[i] for i in chosen) == pytest.approx(10, abs=1)


def test_a_label_with_one_image_cannot_be_split() -> None:
    with pytest.raises(CannotSplitError) as caught:
        stratified_split([{"a"}, {"a"}, {"b"}], 0.2, 0)
    assert caught.value.label == "b"


def test_unlabelled_images_are_dealt_too() -> None:
    labels: list[set[str]] = [set()] * 10
    assert len(stratified_split(labels, 0.2, 0)) == 2


def test_images_that_look_the_same_stay_on_one_side() -> None:
    labels = [{"ab"[n % 2]} for n in range(60)]
    groups = [n if n >= 24 else n // 6 * 2 + n % 2 for n in range(60)]
    found = split_apart(labels, groups, 0.2, 0)
    assert found is not None
    assert len(found) == 12, "as many as without groups"
    assert len({groups[i] for i in found} & {groups[i] for i in range(60) if i not in set(found)}) == 0
    assert {next(iter(labels[i])) for i in found} == {"a", "b"}
    assert split_apart(labels, groups, 0.2, 0) == found


def test_images_that_all_differ_are_split_as_ever() -> None:
    assert split_apart([{"a"}] * 10, list(range(10)), 0.2, 0) is None


def test_a_label_of_one_scene_only_keeps_the_split_that_has_it_on_both_sides() -> None:
    labels = [{"a"} if n < 5 else {"b"} for n in range(20)]
    groups = [0] * 5 + list(range(1, 16))
    assert split_apart(labels, groups, 0.2, 0) is None
