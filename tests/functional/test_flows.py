"""Flows without a terminal and without click: what people type, driven from Python."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from rcl_cli.errors import RclError, UsageError
from rcl_cli.local import events
from rcl_cli.local.detecting import flow as detecting
from rcl_cli.local.models.training import Request, train
from tests.conftest import COLOURS, Home, noisy
from tests.functional.models import Trained

QUICK = {"epochs": "1", "image_size": "64", "model": "mobilenet_v3_small", "weights": "none"}
# Trains on a folder, prints each event, and asks the model about a picture.
SCRIPT = """
import sys
from pathlib import Path

from rcl_cli.context import make_context
from rcl_cli.local.models.training import Request, train
from rcl_cli.operations.invoke import invoke

context, photos = make_context(), Path(sys.argv[1])
options = {"epochs": "1", "image_size": "64", "model": "mobilenet_v3_small", "weights": "none"}
version = train(context, Request(photos, options=options, report=False), print)
image = {"Bytes": next(photos.rglob("*.jpg")).read_bytes()}
asked = {"ProjectVersionArn": version, "Image": image, "MinConfidence": 0}
print(invoke(context, "DetectCustomLabels", asked)["CustomLabels"])
invoke(context, "StopProjectVersion", {"ProjectVersionArn": version})
"""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("red", "green"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(12):
            noisy(COLOURS[name], (96, 72), number).save(tmp_path / "photos" / name / f"{number}.jpg")
    return tmp_path / "photos"


def test_a_script_of_a_few_lines_trains_and_detects(home: Home, photos: Path) -> None:
    assert len(SCRIPT.strip().splitlines()) <= 30
    environment = home.environment(PYTHONPATH=str(Path(__file__).parents[2]))
    words = [sys.executable, "-c", SCRIPT, str(photos)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    # Nothing is printed but by the script.
    assert done.stderr == ""
    told = [line.partition("(")[0] for line in done.stdout.splitlines()[:-1]]
    order = list(dict.fromkeys(told))
    assert order == [
        "Counted", "Understood", "Called", "Begun", "Standing", "Evaluated", "Warned", "Relaxed", "Running",
    ]  # fmt: skip
    assert "'Name': 'red'" in done.stdout.splitlines()[-1]
    project = home.call("DescribeProjects")["ProjectDescriptions"][0]["ProjectArn"]
    assert home.wait(project, "v1", leaving="STOPPING")[0] == "STOPPED"


def test_events_are_values_that_a_test_can_look_at(home: Home, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos.parent)
    told: list[events.Event] = []
    arn = train(home.context, Request(photos, name="pets", options=QUICK, start=False), told.append)
    called = [event.operation for event in told if isinstance(event, events.Called)]
    assert called == ["CreateProject", "CreateDataset", "CreateProjectVersion"]
    (understood,) = [event for event in told if isinstance(event, events.Understood)]
    assert understood.parts["train"].images == 24
    (begun,) = [event for event in told if isinstance(event, events.Begun)]
    assert (begun.version_arn, begun.short) == (arn, "pets/v1")
    stages = {event.progress["stage"] for event in told if isinstance(event, events.Standing) and event.progress}
    assert stages & {"preparing", "training", "exporting", "evaluating", "saving"}
    (wrote,) = [event for event in told if isinstance(event, events.Wrote)]
    assert wrote.path.read_text("utf-8").startswith("<!doctype html>")
    # Again on the same datasets: now there is one to compare with.
    told.clear()
    train(home.context, Request(name="pets", options=QUICK, start=False, report=False), told.append)
    assert events.Preceded("pets/v1", "pets/v2") in told


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        (Request(), UsageError, "Give a folder"),
        (Request(name="nobody"), UsageError, "has no images to train on"),
        (Request(Path("nowhere"), options={"epochs": "many"}), RclError, "epochs can't be 'many'"),
        (Request(Path("nowhere")), RclError, "is not there"),
    ],
)
def test_what_is_wrong_is_raised_before_anything_is_made(
    request_: Request, error: type[Exception], message: str, home: Home
) -> None:
    told: list[events.Event] = []
    with pytest.raises(error, match=message):
        train(home.context, request_, told.append)
    assert told == []
    assert home.call("DescribeProjects")["ProjectDescriptions"] == []


def test_whoever_stops_watching_leaves_the_training_at_work(home: Home, photos: Path) -> None:
    def tell(event: events.Event) -> None:
        if isinstance(event, events.Standing):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(home.context, Request(photos, name="pets", options=QUICK), tell)
    project = home.call("DescribeProjects")["ProjectDescriptions"][0]["ProjectArn"]
    assert home.wait(project, "v1")[0] == "TRAINING_COMPLETED"


def test_many_images_are_asked_about_without_a_terminal(detector: Trained, tmp_path: Path) -> None:
    told: list[events.Event] = []
    lines: list[str] = []
    images = detector.home.buckets / "data"
    request = detecting.Request("p/v", (str(images),), min_confidence=0)
    outcome = detecting.detect(detector.home.context, request, lines.append, told.append)
    assert told[0] == events.Planned("detecting", outcome.asked)
    assert len(told) == len(lines) + 1 == outcome.asked + 1
    assert {answer.source_ref.rpartition("/")[2] for answer in outcome.failed} == {"text.jpg"}
    assert outcome.found > 0
    # A target that makes no sense leaves nothing in the way of the next try.
    out = tmp_path / "found.jsonl"
    request = replace(request, out=out, draw=tmp_path / "one.png")
    with pytest.raises(UsageError, match="give a folder"):
        detecting.detect(detector.home.context, request, lines.append, told.append)
    assert not out.exists()
    request = replace(request, draw=tmp_path / "drawn")
    again = detecting.detect(detector.home.context, request, lines.append, told.append)
    assert (again.asked, again.found, len(again.failed)) == (outcome.asked, outcome.found, len(outcome.failed))
    assert len(out.read_text("utf-8").splitlines()) == outcome.asked
