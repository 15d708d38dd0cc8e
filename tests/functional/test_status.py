"""`rcl status` and `rcl versions`: what there is, at a glance."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import psutil

from tests.conftest import Home, image_line
from tests.functional.models import Trained

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_a_running_model_is_shown(classifier: Trained, rcl: Run) -> None:
    home = {"RCL_HOME": str(classifier.home.path)}
    described = classifier.describe()
    version = json.loads(rcl("versions", "p", "--json", **home).stdout)
    assert (version["name"], version["arn"], version["status"]) == ("v", classifier.version, "RUNNING")
    assert version["f1"] == described["EvaluationResult"]["F1Score"]
    assert version["size_bytes"] > 10_000
    project = json.loads(rcl("status", "--json", **home).stdout)
    assert project["newest"] == version
    assert (project["running"], project["training"] > 10, project["testing"] > 3) == (1, True, True)
    shown = rcl("status", **home).stdout
    assert "1 model(s) running. Device: " in shown
    row = next(line for line in shown.splitlines() if "p/v" in line)
    status, where, workers, megabytes = (cell.strip() for cell in row.replace("┃", "│").split("│")[2:6])
    assert (status, int(workers)) == ("RUNNING", 1)
    assert psutil.Process(int(where.removeprefix("process "))).is_running()
    assert 20 < int(megabytes) < 2000
    for text in ("RUNNING", f"{version['f1']:.3f}", version["model"]):
        assert text in rcl("versions", classifier.project, **home).stdout


def test_projects_without_anything_are_shown(home: Home, rcl: Run) -> None:
    assert "0 model(s) running" in rcl("status").stdout
    project = home.project("bare")
    home.dataset(home.project("images"), "TRAIN", [image_line("data", "1.jpg", "a")])
    rows = {row["name"]: row for row in map(json.loads, rcl("status", "--json").stdout.splitlines())}
    assert (rows["bare"]["training"], rows["bare"]["newest"]) == (None, None)
    assert rows["images"]["training"] == 1
    assert rcl("versions", project).returncode == 0
    missing = rcl("versions", "nobody")
    assert missing.returncode == 254
    assert "There is no project nobody" in missing.stderr
