"""Figures against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve

from rcl_cli.backends.classifier.selection import average_precision as step_ap
from rcl_cli.domain import Box, Detection, Sample
from rcl_cli.evaluation.metrics import (
    LabelEvents,
    average_precision,
    best_threshold,
    confusion,
    evaluate,
    iou,
    match_image,
)

EVENTS = st.lists(st.tuples(st.integers(0, 20).map(lambda n: n / 20), st.booleans()), min_size=1, max_size=40)


@given(EVENTS)
def test_best_threshold_is_scikit_learns(events: list[tuple[float, bool]]) -> None:
    scores, hits = [e[0] for e in events], [e[1] for e in events]
    if not any(hits):
        return
    threshold, precision, recall, f1 = best_threshold(LabelEvents(scores, hits, positives=sum(hits)))
    p, r, t = precision_recall_curve(hits, scores)
    with np.errstate(invalid="ignore"):
        curve = np.nan_to_num(2 * p * r / (p + r))[: len(t)]
    assert f1 == pytest.approx(curve.max())
    assert threshold == pytest.approx(t[np.flatnonzero(np.isclose(curve, curve.max()))].min())
    assert f1 == pytest.approx(2 * precision * recall / (precision + recall))


@given(EVENTS)
def test_step_average_precision_is_scikit_learns(events: list[tuple[float, bool]]) -> None:
    scores, hits = np.array([e[0] for e in events]), np.array([float(e[1]) for e in events])
    if hits.any():
        assert step_ap(scores, hits) == pytest.approx(average_precision_score(hits, scores))


def test_average_precision_by_hand() -> None:
    # Hits at ranks 1 and 3 of 2 truths: precision 1 up to recall 0.5, then 2/3.
    events = LabelEvents([0.9, 0.8, 0.7], [True, False, True], positives=2)
    assert average_precision(events) == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)


def test_unfound_truths_limit_recall() -> None:
    events = LabelEvents([0.9], [True], positives=4)
    assert best_threshold(events)[1:3] == (1.0, 0.25)
    assert average_precision(events) == pytest.approx(26 / 101)


def test_iou() -> None:
    assert iou(Box(0, 0, 0.5, 0.5), Box(0.25, 0, 0.5, 0.5)) == pytest.approx(1 / 3)
    assert iou(Box(0, 0, 0.5, 0.5), Box(0.5, 0.5, 0.5, 0.5)) == 0


def test_matching_takes_each_truth_once_best_score_first() -> None:
    sample = Sample("x", boxes=(("a", Box(0, 0, 0.5, 0.5)), ("b", Box(0, 0, 0.5, 0.5))))
    found = [
        Detection("a", 0.6, Box(0, 0, 0.5, 0.5)),
        Detection("a", 0.9, Box(0.05, 0, 0.5, 0.5)),
        Detection("b", 0.1, Box(0.9, 0.9, 0.1, 0.1)),
    ]
    assert [(m.detection.score, m.truth) for m in match_image(found, sample)] == [(0.9, 0), (0.6, None), (0.1, None)]


def test_an_image_without_truth_makes_every_box_false() -> None:
    matches = match_image([Detection("a", 0.9, Box(0, 0, 1, 1))], Sample("x"))
    assert [m.truth for m in matches] == [None]


def test_evaluation_is_the_plain_mean_over_labels_of_the_test_set() -> None:
    samples = [Sample("1", ("a",)), Sample("2", ("a",)), Sample("3", ("b",))]
    predictions = [
        [Detection("a", 0.9), Detection("b", 0.1), Detection("c", 0.0)],
        [Detection("b", 0.8), Detection("a", 0.2), Detection("c", 0.0)],
        [Detection("b", 0.7), Detection("a", 0.3), Detection("c", 0.0)],
    ]
    matched = [match_image(found, sample) for found, sample in zip(predictions, samples, strict=True)]
    evaluation = evaluate(("a", "b", "c"), samples, matched)
    figures = {one.label: (one.precision, one.recall, one.threshold) for one in evaluation.labels}
    assert figures == {"a": (pytest.approx(2 / 3), 1.0, 0.2), "b": (0.5, 1.0, 0.7)}
    assert evaluation.f1 == pytest.approx((0.8 + 2 / 3) / 2)
    # No test image has `c`; its threshold is the middle of the others'.
    assert evaluation.thresholds["c"] == pytest.approx(0.45)


def test_confusion_is_normalised_as_in_the_published_example() -> None:
    samples = [Sample(str(n), ("CAP",)) for n in range(390)] + [Sample(str(n), ("WATCH",)) for n in range(234)]
    cap, watch = [Detection("CAP", 0.9), Detection("WATCH", 0.1)], [Detection("WATCH", 0.9), Detection("CAP", 0.1)]
    predictions = [cap] * 388 + [watch] * 2 + [cap] * 70 + [watch] * 164
    cells = {(g, p): v for g, p, v in confusion(("CAP", "WATCH"), samples, predictions, {"CAP": 0.5, "WATCH": 0.5})}
    assert cells == {
        ("CAP", "CAP"): 0.9948717948717949,
        ("CAP", "WATCH"): 0.008547008547008548,
        ("WATCH", "CAP"): 0.1794871794871795,
        ("WATCH", "WATCH"): 0.7008547008547008,
    }
