"""What to expect on new images: cross-fitted F1 against what new images really give."""

from __future__ import annotations

import numpy as np
import pytest

from rcl_cli.domain import Detection
from rcl_cli.evaluation import evidence
from rcl_cli.evaluation.evidence import Judged
from rcl_cli.evaluation.expected import LEAST_IMAGES, expected
from rcl_cli.evaluation.metrics import LabelEvents, Match, best_threshold, threshold_of
from rcl_cli.evaluation.paired import counts_of, figures_of

LABELS = ("a", "b", "c")


def images(count: int, random: np.random.Generator, apart: float = 1.0) -> list[Judged]:
    """Images with labels, and scores of a model that tells them apart, more or less."""
    found = []
    for number in range(count):
        has = [label for label in LABELS if random.random() < 0.3]
        scores = [1 / (1 + np.exp(-random.normal(apart if label in has else -apart))) for label in LABELS]
        matches = tuple(
            Match(Detection(label, float(score)), has.index(label) if label in has else None)
            for label, score in zip(LABELS, scores, strict=True)
        )
        found.append(Judged(f"s3://b/{number}", 1, 1, tuple((label, None) for label in has), matches))
    return found


def f1_on(judged: list[Judged], thresholds: dict[str, float]) -> float:
    return float(figures_of(counts_of(judged, LABELS, thresholds).sum(0))["f1"].mean())


def test_it_is_what_new_images_give() -> None:
    random = np.random.default_rng(0)
    told, fitted, really = [], [], []
    for _ in range(60):
        seen, fresh = images(40, random), images(400, random)
        thresholds = {label: best_threshold(e)[0] for label, e in evidence.events_of(seen, LABELS).items()}
        found = expected(seen, LABELS)
        assert found is not None
        told.append(found.f1)
        fitted.append(f1_on(seen, thresholds))
        really.append(f1_on(fresh, thresholds))
    assert np.mean(fitted) - np.mean(really) > 0.03
    assert abs(np.mean(told) - np.mean(really)) < 0.015


def test_the_interval_has_what_is_so() -> None:
    random = np.random.default_rng(1)
    inside = 0
    for _ in range(40):
        seen = images(60, random)
        thresholds = {label: best_threshold(e)[0] for label, e in evidence.events_of(seen, LABELS).items()}
        found = expected(seen, LABELS)
        assert found is not None
        assert found.low <= found.f1 <= found.high
        inside += found.low <= f1_on(images(400, random), thresholds) <= found.high
    assert inside >= 34


def test_a_perfect_model_is_perfect_and_one_that_finds_nothing_is_not() -> None:
    random = np.random.default_rng(2)
    many = expected(images(50, random, apart=50), LABELS)
    assert many is not None
    assert (many.f1, round(many.low, 3), many.high) == (1.0, 0.929, 1.0)
    few = expected(images(10, random, apart=50), LABELS)
    assert few is not None
    # Ten images without an error say little.
    assert (few.f1, round(few.low, 3), few.high) == (1.0, 0.722, 1.0)
    silent = [image._replace(matches=()) for image in images(50, random)]
    assert expected(silent, LABELS) == (0.0, 0.0, 0.0)
    assert expected(silent[: LEAST_IMAGES - 1], LABELS) is None


def test_labels_without_test_images_and_unknown_ones_are_left_out() -> None:
    judged = images(50, np.random.default_rng(3))
    assert expected(judged, (*LABELS, "never")) == pytest.approx(expected(judged, LABELS), abs=0.02)
    assert expected(judged, LABELS[:1]) is not None


@pytest.mark.parametrize("seed", range(20))
def test_thresholds_are_fitted_as_those_of_the_api(seed: int) -> None:
    random = np.random.default_rng(seed)
    scores = np.sort(random.integers(0, 6, 30) / 6)[::-1]
    hits = random.random(30) < 0.4
    positives = int(hits.sum()) + seed % 3
    events = LabelEvents(scores.tolist(), hits.tolist(), positives, 30)
    assert threshold_of(scores, hits.astype(float), positives) == best_threshold(events)
