"""`rcl report`: one page that says what the summary says, shows what went wrong, and asks nobody for anything."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rcl_cli.domain import Box, Detection
from rcl_cli.evaluation.evidence import Judged
from rcl_cli.evaluation.metrics import Match
from rcl_cli.local.models.report import _confusion
from rcl_cli.render.page import page as page_of
from tests.functional.browser import needs_browser, opened
from tests.functional.models import Trained

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(params=["classifier", "detector"])
def model(request: pytest.FixtureRequest) -> Trained:
    found: Trained = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def page(model: Trained, rcl: Run, tmp_path: Path) -> str:
    done = rcl("report", "p/v", "-o", str(tmp_path / "report.html"), RCL_HOME=str(model.home.path))
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'report.html'}\n"), done.stderr
    return (tmp_path / "report.html").read_text("utf-8")


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_the_page_is_whole_and_alone(page: str, model: Trained) -> None:
    data = data_of(page)
    assert data["title"] == "p/v"
    assert data["summary"] == json.loads(model.text("EvaluationResultSummary"))
    # Nothing in it leads anywhere: the one address is the name of SVG.
    assert set(re.findall(r"https?://[^\"'\s<]+", page)) == {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in page
    assert not re.search(r"<(link(?! rel=\"icon\" href=\"data:)|iframe|object|embed|script src)", page)
    for section in ("Precision and recall", "What was taken for what", "Surest mistakes", "Least sure", "Training"):
        assert section in page
    assert data["data"]["testing_fingerprint"]
    assert all(picture["url"].startswith("data:image/jpeg;base64,") for picture in data["pictures"])
    shown = [item for items in data["galleries"].values() for item in items]
    assert shown
    assert {item["picture"] for item in shown} == set(range(len(data["pictures"])))


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_moving_the_threshold_computes_what_the_summary_says(page: str, model: Trained) -> None:
    """The page's own code at the assumed thresholds gives the summary's figures; at others, what follows."""
    data = data_of(page)
    script = page[page.index("// Figures of a model") : page.index("// --- charts")]
    program = f"""
    const report = JSON.parse(require("fs").readFileSync(0, "utf8"));
    {script}
    const figures = new Figures(report.labels, report.events);
    const labels = Object.fromEntries(figures.judged.map(l => [l, figures.at(l, report.thresholds[l])]));
    console.log(JSON.stringify({{all: figures.overall(l => report.thresholds[l]), labels,
        none: figures.overall(_ => 1.1),
        every: figures.judged.map(l => figures.at(l, 0).recall)}}));
    """
    done = subprocess.run(["node", "-e", program], input=json.dumps(data), capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    summary = data["summary"]["AggregatedEvaluationResults"]
    expected = [summary[key] for key in ("F1Score", "Precision", "Recall")]
    assert [found["all"][key] for key in ("f1", "precision", "recall")] == pytest.approx(expected)
    for one in data["summary"]["LabelEvaluationResults"]:
        assert found["labels"][one["Label"]]["f1"] == pytest.approx(one["Metrics"]["F1Score"])
    assert found["none"] == {"f1": 0, "precision": 0, "recall": 0}
    if "AverageRecall" in summary:
        assert sum(found["every"]) / len(found["every"]) == pytest.approx(summary["AverageRecall"])


@needs_browser
def test_a_browser_shows_what_the_summary_says(page: str, model: Trained, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(page, "utf-8")
    document = opened((tmp_path / "page.html").as_uri(), tmp_path / "profile")
    summary = data_of(page)["summary"]["AggregatedEvaluationResults"]
    for name, key in (("F1", "F1Score"), ("precision", "Precision"), ("recall", "Recall")):
        assert f'data-figure="{name}">{summary[key]:.3f}<' in document
    assert "testing fingerprint" in document


def test_numbers_that_json_lacks_are_left_out() -> None:
    page = page_of("report", "x", {"history": [{"epoch": 1, "loss": float("nan")}, {"epoch": 2, "loss": float("inf")}]})
    assert [row["loss"] for row in data_of(page)["history"]] == [None, None]


def test_labels_cannot_break_out() -> None:
    page = page_of("report", "<b>x</b>", {"labels": ["</script><script>alert(1)</script>", "{{data}}"]})
    assert page.count("<script") == 2
    assert data_of(page)["labels"][0] == "</script><script>alert(1)</script>"
    assert "&lt;b&gt;x&lt;/b&gt;" in page


def box(label: str, left: float, score: float | None = None) -> Any:
    found = Box(left, 0.1, 0.2, 0.2)
    return (label, found) if score is None else Detection(label, score, found)


def test_what_is_taken_for_what() -> None:
    truth = (box("a", 0.0), box("b", 0.3), box("b", 0.6))
    said = [(box("a", 0.01, 0.9), 0), (box("a", 0.31, 0.8), None), (box("b", 0.6, 0.2), 2), (box("b", 0.8, 0.9), None)]
    image = Judged("x", 100, 100, truth, tuple(Match(detection, index) for detection, index in said))
    counts = _confusion([image], ["a", "b"], {"a": 0.5, "b": 0.5})
    # b at 0.3 was taken for a; b at 0.6 stayed under its threshold; the last b is nothing.
    assert counts == [[1, 0, 0], [1, 0, 1], [0, 1, 0]]
    single = [Judged("y", 9, 9, (("a", None),), (Match(Detection("a", 0.4), 0), Match(Detection("b", 0.6), None)))]
    assert _confusion(single, ["a", "b"], {"a": 0.3, "b": 0.9}) == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]


def test_pictures_that_are_gone_do_not_end_it(classifier: Trained, rcl: Run, tmp_path: Path) -> None:
    bucket = classifier.home.buckets / "data"
    moved = bucket.with_name("moved")
    bucket.rename(moved)
    try:
        done = rcl("report", "p", "-o", str(tmp_path / "r.html"), RCL_HOME=str(classifier.home.path))
    finally:
        moved.rename(bucket)
    assert done.returncode == 0
    assert all(picture["url"] == "" for picture in data_of((tmp_path / "r.html").read_text("utf-8"))["pictures"])


def test_what_cannot_be_reported_says_so(classifier: Trained, rcl: Run, tmp_path: Path) -> None:
    home = {"RCL_HOME": str(classifier.home.path)}
    assert "There is no version" in rcl("report", "p/none", **home).stderr
    done = rcl("report", "p/v", "-o", str(tmp_path / "no" / "folder.html"), **home)
    assert done.returncode == 255
    assert "No such file" in done.stderr
