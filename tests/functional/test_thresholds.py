"""Thresholds belong to the model's owner: shown, set, aimed at, and used by the running model at once."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator

import pytest
from sklearn.metrics import precision_score, recall_score

from rcl_cli.evaluation import evidence
from rcl_cli.evaluation.metrics import LabelEvents
from tests.conftest import Home
from tests.functional.models import Trained

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(params=["classifier", "detector"])
def model(request: pytest.FixtureRequest) -> Iterator[Trained]:
    trained: Trained = request.getfixturevalue(request.param)
    yield trained
    (trained.home.path / "models" / "1" / "thresholds.json").unlink(missing_ok=True)


def thresholds(rcl: Run, home: Home, *words: str) -> dict[str, dict[str, float]]:
    done = rcl("thresholds", "p/v", *words, "--json", RCL_HOME=str(home.path))
    assert done.returncode == 0, done.stderr
    return {row.pop("label"): row for row in map(json.loads, done.stdout.splitlines())}


def test_assumed_thresholds_and_figures_are_those_of_the_summary(model: Trained, rcl: Run) -> None:
    summary = json.loads(model.text("EvaluationResultSummary"))
    found = thresholds(rcl, model.home)
    for one in summary["LabelEvaluationResults"]:
        row, metrics = found[one["Label"]], one["Metrics"]
        assert row["threshold"] == row["assumed"] == pytest.approx(metrics["Threshold"])
        expected = [metrics[key] for key in ("Precision", "Recall", "F1Score")]
        assert [row["precision"], row["recall"], row["f1"]] == pytest.approx(expected)


def test_a_running_model_uses_what_is_set(model: Trained, rcl: Run) -> None:
    image = next((model.home.buckets / "data").glob("*3.jpg")).read_bytes()
    whole = model.detect(image, MinConfidence=0.0)
    assert whole
    labels = thresholds(rcl, model.home)
    arguments = [word for label in labels for word in ("--set", f"{label}=0")]
    assert all(row["threshold"] == 0 for row in thresholds(rcl, model.home, *arguments).values())
    assert model.detect(image) == whole
    first = whole[0]["Name"]
    thresholds(rcl, model.home, "--set", f"{first}=1")
    assert first not in {label["Name"] for label in model.detect(image)}
    # MinConfidence is for all labels, whatever was set; and the API still says what was assumed.
    assert model.detect(image, MinConfidence=0.0) == whole
    assert (
        model.describe()["EvaluationResult"]["F1Score"]
        == json.loads(model.text("EvaluationResultSummary"))["AggregatedEvaluationResults"]["F1Score"]
    )
    kept = thresholds(rcl, model.home, "--reset", "--label", first)
    assert kept[first]["threshold"] == kept[first]["assumed"]
    assert all(row["threshold"] == 0 for label, row in kept.items() if label != first)
    assert all(row["threshold"] == row["assumed"] for row in thresholds(rcl, model.home, "--reset").values())


@pytest.mark.parametrize(("aim", "other"), [("precision", "recall"), ("recall", "precision")])
def test_aims_are_reached(aim: str, other: str, model: Trained, rcl: Run) -> None:
    assumed = thresholds(rcl, model.home)
    # A model of one epoch may find nothing of a label.
    found = [label for label, row in assumed.items() if row["recall"] > 0]
    target = min((assumed[label][aim] for label in found), default=0)
    if not found:
        pytest.skip("the model found nothing")
    only = [word for label in found for word in ("--label", label)]
    aimed = thresholds(rcl, model.home, f"--{aim}", str(target), *only)
    for label, row in ((label, aimed[label]) for label in found):
        assert row[aim] >= target
        # The assumed threshold reaches it too, so the other figure can only have grown.
        assert row[other] >= assumed[label][other]
    thresholds(rcl, model.home, "--reset")
    alone = thresholds(rcl, model.home, f"--{aim}", str(target), "--label", found[0])
    assert [name for name, row in alone.items() if row["threshold"] != row["assumed"]] in ([], found[:1])


def test_aims_out_of_reach_set_nothing(classifier: Trained, rcl: Run) -> None:
    path = classifier.home.path / "models" / "1" / evidence.EVIDENCE_FILE
    kept = path.read_text("utf-8")
    lines = [json.loads(line) for line in kept.splitlines()]
    # No prediction was right.
    path.write_text("".join(json.dumps({**line, "found": []}) + "\n" for line in lines))
    try:
        done = rcl("thresholds", "p/v", "--recall", "0.5", RCL_HOME=str(classifier.home.path))
        assert done.returncode == 252
        assert "reaches a recall of 0.000 at most" in " ".join(done.stderr.split())
        assert not (path.parent / "thresholds.json").exists()
    finally:
        path.write_text(kept, "utf-8")


def test_relaxed_thresholds_have_the_same_figures(model: Trained, rcl: Run) -> None:
    assumed = thresholds(rcl, model.home)
    relaxed = thresholds(rcl, model.home, "--relax")
    for label, row in relaxed.items():
        assert {k: v for k, v in row.items() if k != "threshold"} == {
            k: v for k, v in assumed[label].items() if k != "threshold"
        }
        scores = {
            m.detection.score
            for image in evidence.read(model.home.path / "models" / "1")
            for m in image.matches
            if m.detection.label == label and m.detection.score < row["assumed"]
        }
        halfway = (row["assumed"] + max(scores, default=0)) / 2
        # Where nothing was right there is nothing to relax.
        assert row["threshold"] == pytest.approx(halfway if row["f1"] else row["assumed"])
    thresholds(rcl, model.home, "--reset")
    label = next(iter(assumed))
    alone = thresholds(rcl, model.home, "--relax", "--label", label)
    assert alone[label] == relaxed[label]
    assert all(row["threshold"] == row["assumed"] for name, row in alone.items() if name != label)


def test_a_broken_file_of_thresholds_can_be_reset(model: Trained, rcl: Run) -> None:
    before = thresholds(rcl, model.home)
    path = model.home.path / "models" / "1" / "thresholds.json"
    path.write_text("{")
    broken = rcl("thresholds", "p/v", RCL_HOME=str(model.home.path))
    assert "rcl thresholds --reset" in " ".join(broken.stderr.split())
    assert thresholds(rcl, model.home, "--reset") == before


def test_what_cannot_be_set_is_refused(model: Trained, rcl: Run) -> None:
    before = thresholds(rcl, model.home)
    label = next(iter(before))
    for words, message in (
        (["--set", "unicorn=0.5"], "has no label 'unicorn'"),
        (["--set", f"{label}=1.5"], "between 0 and 1"),
        (["--set", f"{label}=half"], "LABEL=VALUE"),
        (["--set", f"{label}=0.5", "--set", "unicorn=0.5"], "has no label"),
        (["--set", f"{label}=0.5", "--reset"], "Give one of"),
        (["--label", label], "--label goes with"),
        (["--precision", "2"], "--precision"),
    ):
        done = rcl("thresholds", "p/v", *words, RCL_HOME=str(model.home.path))
        assert done.returncode == 252, words
        assert message in " ".join(done.stderr.split()), words
    assert thresholds(rcl, model.home) == before
    assert "There is no version" in rcl("thresholds", "p/w", RCL_HOME=str(model.home.path)).stderr


def test_people_see_a_table(model: Trained, rcl: Run) -> None:
    done = rcl("thresholds", "p", RCL_HOME=str(model.home.path))
    assert done.returncode == 0
    for word in ("assumed", "precision", *thresholds(rcl, model.home)):
        assert word in done.stdout


def test_models_of_an_older_rcl_can_still_be_set(model: Trained, rcl: Run) -> None:
    path = model.home.path / "models" / "1" / evidence.EVIDENCE_FILE
    kept = path.read_bytes()
    path.unlink()
    try:
        label = next(iter(thresholds(rcl, model.home)))
        assert thresholds(rcl, model.home, "--set", f"{label}=0.25")[label]["threshold"] == 0.25
        done = rcl("thresholds", "p/v", "--recall", "0.5", RCL_HOME=str(model.home.path))
        assert "kept no predictions" in done.stderr
    finally:
        path.write_bytes(kept)


def test_figures_agree_with_scikit_learn() -> None:
    scores = [0.9, 0.8, 0.8, 0.6, 0.4, 0.4, 0.2]
    hits = [True, True, False, True, False, True, False]
    events = LabelEvents(scores, hits, positives=sum(hits), images=7)
    for point in evidence.points_of(events):
        predicted = [score >= point.threshold for score in scores]
        assert point.precision == pytest.approx(precision_score(hits, predicted))
        assert point.recall == pytest.approx(recall_score(hits, predicted))
        assert evidence.figures_at(events, point.threshold) == point
    assert [point.threshold for point in evidence.points_of(events)] == [0.9, 0.8, 0.6, 0.4, 0.2]
