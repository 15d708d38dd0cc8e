"""`rcl compare`: two versions on the images that both were judged on."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rcl_cli.domain import Box, Detection
from rcl_cli.evaluation import evidence
from rcl_cli.evaluation.evidence import Judged, figures_at
from rcl_cli.evaluation.metrics import Match
from rcl_cli.evaluation.paired import counts_of, f1_interval, figures_of, is_enough
from tests.functional.browser import needs_browser, opened
from tests.functional.models import Trained

Run = Callable[..., subprocess.CompletedProcess[str]]


def compared(rcl: Run, model: Trained, *words: str) -> dict[str, Any]:
    done = rcl("compare", *words, "--json", RCL_HOME=str(model.home.path))
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_figures_are_those_of_the_summaries(two: Trained, rcl: Run) -> None:
    found = compared(rcl, two, "p/v", "p/w")
    for number, version in enumerate("vw"):
        path = two.home.buckets / "out" / "models" / "a" / f"EvaluationResultSummary-p-{version}.json"
        summary = json.loads(path.read_text("utf-8"))
        whole = summary["AggregatedEvaluationResults"]
        keys = {"f1": "F1Score", "precision": "Precision", "recall": "Recall"}
        for name, key in keys.items():
            assert found["overall"][name][number] == pytest.approx(whole[key])
        for one in summary["LabelEvaluationResults"]:
            for name, key in keys.items():
                assert found["labels"][one["Label"]][name][number] == pytest.approx(one["Metrics"][key])
        if "AveragePrecision" in whole:
            assert found["overall"]["average_precision"][number] == pytest.approx(whole["AveragePrecision"])
    assert found["differing"]["epochs"] == [1, 3]
    assert (found["only"], found["relabelled"]) == ([0, 0], 0)
    low, high = found["f1_interval"]
    assert low <= high
    back = compared(rcl, two, "p/w", "p/v")
    assert (back["better"], back["worse"]) == (found["worse"], found["better"])
    assert back["f1_interval"] == pytest.approx([-high, -low])


def test_a_version_is_no_better_than_itself(two: Trained, rcl: Run) -> None:
    found = compared(rcl, two, "p/v", "p/v")
    assert (found["f1_interval"], found["better"], found["worse"], found["differing"]) == ([0, 0], [], [], {})


def test_people_see_tables_and_a_page(two: Trained, rcl: Run, tmp_path: Path) -> None:
    page = tmp_path / "compare.html"
    done = rcl("compare", "p/v", "p/w", "-o", str(page), RCL_HOME=str(two.home.path))
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "Better in p/w" in said
    assert "test images that both have" in said
    # Six or nine test images tell nobody anything.
    assert "too few images" in said
    assert set(re.findall(r"https?://[^\"'\s<]+", page.read_text("utf-8"))) == {"http://www.w3.org/2000/svg"}


@needs_browser
def test_the_page_in_a_browser(two: Trained, rcl: Run, tmp_path: Path) -> None:
    page = tmp_path / "compare.html"
    assert rcl("compare", "p/v", "p/w", "-o", str(page), RCL_HOME=str(two.home.path)).returncode == 0
    document = opened(page.as_uri(), tmp_path / "profile")
    f1 = compared(rcl, two, "p/v", "p/w")["overall"]["f1"]
    assert f"{f1[0]:.3f} → {f1[1]:.3f}" in document
    assert "<td>epochs</td><td>1</td><td>3</td>" in document


def test_other_test_images_and_labels_are_left_out(two: Trained, rcl: Run) -> None:
    path = two.home.path / "models" / "2" / evidence.EVIDENCE_FILE
    kept = path.read_text("utf-8")
    lines = [json.loads(line) for line in kept.splitlines()]
    lines[0]["source-ref"] = "s3://data/another.jpg"
    lines[1]["truth"] = []
    try:
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        found = compared(rcl, two, "p/v", "p/w")
        assert (found["images"], found["only"], found["relabelled"]) == (len(lines) - 2, [1, 1], 1)
        path.write_text("".join(json.dumps({**line, "source-ref": "x"}) + "\n" for line in lines))
        done = rcl("compare", "p/v", "p/w", RCL_HOME=str(two.home.path))
        assert (done.returncode, done.stdout) == (255, "")
        assert "no test image with the same labels in common" in " ".join(done.stderr.split())
        for damaged in (kept[:150], ""):
            path.write_text(damaged)
            for words in (["compare", "p/v", "p/w"], ["thresholds", "p/w"], ["report", "p/w"]):
                done = rcl(*words, RCL_HOME=str(two.home.path))
                assert (done.returncode, "train the model again" in done.stderr) == (253, True), done.stderr
    finally:
        path.write_text(kept, "utf-8")


def test_what_cannot_be_compared_says_so(two: Trained, rcl: Run) -> None:
    done = rcl("compare", "p/v", "p/none", RCL_HOME=str(two.home.path))
    assert (done.returncode, done.stdout) == (254, "")
    assert "There is no version p/none" in done.stderr


def test_counts_agree_with_the_figures_of_thresholds() -> None:
    box = Box(0.1, 0.1, 0.2, 0.2)

    def said(label: str, score: float, truth: int | None) -> Match:
        return Match(Detection(label, score, box), truth)

    judged = [
        Judged("1", 9, 9, (("a", box), ("a", box)), (said("a", 0.9, 0), said("a", 0.3, 1))),
        Judged("2", 9, 9, (("b", box),), (said("a", 0.6, None), said("b", 0.4, 0))),
    ]
    thresholds = {"a": 0.5, "b": 0.4}
    counts = counts_of(judged, ["a", "b"], thresholds)
    assert counts.tolist() == [[[1, 0, 1], [0, 0, 0]], [[0, 1, 0], [1, 0, 0]]]
    figures = figures_of(counts.sum(axis=0))
    for number, (label, events) in enumerate(evidence.events_of(judged, ["a", "b"]).items()):
        expected = figures_at(events, thresholds[label])
        assert (figures["precision"][number], figures["recall"][number]) == (expected.precision, expected.recall)
        assert figures["f1"][number] == pytest.approx(expected.f1)


def test_chance_alone_is_within_the_interval() -> None:
    """Of two models that err alike, the interval has no difference in it about 95 times of 100."""
    rng = np.random.default_rng(1)

    def model(right: float) -> Any:
        hits = (rng.random((80, 1)) < right).astype(np.int64)
        return np.stack([hits, np.zeros_like(hits), 1 - hits], axis=2)

    within = sum(low <= 0 <= high for low, high in (f1_interval(model(0.8), model(0.8)) for _ in range(60)))
    assert within >= 54
    low, _ = f1_interval(model(0.5), model(0.9))
    assert low > 0
    assert is_enough(30, 6)
    assert not is_enough(30, 5)
    assert not is_enough(29, 20)
