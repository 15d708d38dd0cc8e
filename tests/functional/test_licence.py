"""`license: permissive`: a detector from pictures to answers and to an export, without anything under the AGPL."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rcl_cli.backends import registry
from tests.conftest import Home, Run, box_images

# Python writes what a process imports to its standard error, which is the log of a trainer and of a host.
WATCHED = {"PYTHONPROFILEIMPORTTIME": "1"}


def imported(log: str) -> set[str]:
    """The packages whose import Python told of."""
    lines = (line.rsplit("|", 1)[-1].strip() for line in log.splitlines() if line.startswith("import time:"))
    return {line.partition(".")[0] for line in lines}


def test_a_permissive_detector_never_loads_ultralytics(
    home: Home, rcl: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in WATCHED.items():
        monkeypatch.setenv(name, value)
    project = home.project()
    training, testing = box_images(home)
    home.dataset(project, "TRAIN", training)
    home.dataset(project, "TEST", testing)
    version = home.train(project, "v", tags={"rcl:license": "permissive", "rcl:epochs": "2"})
    assert home.wait(project, "v")[0] == "TRAINING_COMPLETED"
    (model,) = (home.path / "models").iterdir()
    card, extra = registry.read_card(model)
    assert card.family == "litedet"
    assert registry.family(card.family).is_permissive
    assert extra["expected"] is None or 0 <= extra["expected"]["low"] <= extra["expected"]["f1"]
    (log,) = (home.path / "jobs").glob("*.log")
    found = imported(log.read_text("utf-8", "replace"))
    assert {"torch", "torchvision", "onnxruntime"} <= found
    assert "ultralytics" not in found
    started = rcl("start-project-version", "--project-version-arn", version, "--min-inference-units", "1", **WATCHED)
    assert started.returncode == 0, started.stderr
    assert home.wait(project, "v", leaving="STARTING")[0] == "RUNNING"
    picture = home.buckets / "data" / "box-0.jpg"
    answer = rcl(
        "detect-custom-labels", "--project-version-arn", version, "--image-bytes", f"fileb://{picture}",
        "--min-confidence", "0", **WATCHED,
    )  # fmt: skip
    assert "CustomLabels" in json.loads(answer.stdout)
    exported = rcl("export", "p/v", "-o", str(tmp_path / "out"), "--format", "onnx", **WATCHED)
    assert exported.returncode == 0, exported.stderr
    assert "Tried on" in exported.stderr
    assert home.call("StopProjectVersion", ProjectVersionArn=version)
    assert home.wait(project, "v", leaving="STOPPING")[0] == "STOPPED"
    logs = [path.read_text("utf-8", "replace") for path in (home.path / "hosts").rglob("host.log")]
    assert logs
    for text in (*logs, started.stderr, answer.stderr, exported.stderr):
        assert imported(text)
        assert not imported(text) & {"ultralytics"}


def test_an_architecture_under_the_agpl_is_refused(home: Home) -> None:
    project = home.project()
    training, testing = box_images(home)
    home.dataset(project, "TRAIN", training)
    home.dataset(project, "TEST", testing)
    home.train(project, "v", tags={"rcl:license": "permissive", "rcl:model": "yolo11n"})
    status, message = home.wait(project, "v")
    assert status == "TRAINING_FAILED"
    assert message == (
        "Only permissive licences are asked for; for detection by yolo11n there is yolo (AGPL-3.0-only)."
    )
