"""Flows without a terminal and without click: what people type, driven from Python."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rcl_cli.context import Context
from rcl_cli.errors import InternalServerError, RclError, ResourceInUse, UsageError
from rcl_cli.local import events
from rcl_cli.local.datasets.checks import Request as CheckRequest
from rcl_cli.local.datasets.checks import check_images, is_bad_enough
from rcl_cli.local.datasets.examples import make_example
from rcl_cli.local.datasets.exports import export_images
from rcl_cli.local.datasets.imports import Collected, import_images
from rcl_cli.local.datasets.imports import Request as ImportRequest
from rcl_cli.local.datasets.sheets import Request as SheetRequest
from rcl_cli.local.datasets.sheets import Wanted, show
from rcl_cli.local.detecting import flow as detecting
from rcl_cli.local.detecting.detectors import Found
from rcl_cli.local.detecting.drawing import draw_answer
from rcl_cli.local.exchange.pushing import Place
from rcl_cli.local.home.doctor import examine
from rcl_cli.local.home.overview import overview, versions_of
from rcl_cli.local.home.settings import Changed, Source, change, setting_of
from rcl_cli.local.making import Making
from rcl_cli.local.models.comparison import compare, write_comparison
from rcl_cli.local.models.exporting import export_model
from rcl_cli.local.models.report import write_report
from rcl_cli.local.models.thresholds import Change, change_thresholds
from rcl_cli.local.models.training import Request, train
from rcl_cli.local.models.watching import log_of, named_version
from rcl_cli.operations.invoke import invoke
from tests.conftest import COLOURS, Home, image_line, noisy
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
    ("request_", "error", "message", "before"),
    [
        (Request(name="nobody"), UsageError, "has no images to train on", []),
        (Request(Path("nowhere")), RclError, "is not there", [events.Counted("reading", 0)]),
    ],
)
def test_what_is_wrong_is_raised_before_anything_is_made(
    request_: Request, error: type[Exception], message: str, before: list[events.Event], home: Home
) -> None:
    told: list[events.Event] = []
    with pytest.raises(error, match=message):
        train(home.context, request_, told.append)
    assert told == before
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


def test_a_detector_is_closed_when_nobody_asks_it_any_more(
    detector: Trained, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads has gone in the middle of it."""

    class Slow:
        asking, asking_at_the_end = 0, -1

        def __call__(self, *_: object) -> Found:
            with lock:
                self.asking += 1
            time.sleep(0.05)
            with lock:
                self.asking -= 1
            return Found([], 1, 1)

        def close(self) -> None:
            self.asking_at_the_end = self.asking

    def gone(_: str) -> None:
        raise BrokenPipeError

    lock, slow = threading.Lock(), Slow()
    monkeypatch.setattr(detecting, "detector_of", lambda *_, once: slow)
    with pytest.raises(BrokenPipeError):
        detecting.detect(detector.home.context, detecting.Request("p/v", (str(photos),)), gone, lambda _: None)
    assert slow.asking_at_the_end == 0


# --- datasets ---------------------------------------------------------------------------------------------------------


def test_labelled_images_in_out_looked_at_and_checked(home: Home, photos: Path, tmp_path: Path) -> None:
    told: list[events.Event] = []
    context = home.context
    arns = import_images(context, ImportRequest(photos, project="pets"), told.append)
    assert [home.describe(arn)["DatasetStats"]["TotalEntries"] for arn in arns] == [24]
    assert told[:3] == [events.Counted("reading", number) for number in range(3)]
    understood = [event for event in told if isinstance(event, events.Understood)]
    assert understood[0].parts["train"].labels == {"red": 12, "green": 12}
    assert [event.operation for event in told if isinstance(event, events.Called)] == ["CreateProject", "CreateDataset"]
    manifests = import_images(context, ImportRequest(photos, out=tmp_path / "manifests"), told.append)
    assert [len(Path(path).read_text("utf-8").splitlines()) for path in manifests] == [24]

    told.clear()
    counts = export_images(context, "pets", "folders", tmp_path / "out", None, told.append)
    assert counts["train"].images == len(list((tmp_path / "out").rglob("*.jpg"))) == 24
    assert told[-1] == events.Understood(counts, ())

    told.clear()
    sheet = show(context, SheetRequest("pets", Wanted(most=5, labels=("red",)), tmp_path / "sheet.png"), told.append)
    assert sheet.read_bytes().startswith(b"\x89PNG")
    assert told == [*(events.Counted("looking at images", number) for number in range(6)), events.Noted(())]

    told.clear()
    shutil.copy(photos / "red" / "0.jpg", photos / "green" / "copy.jpg")
    found = check_images(context, CheckRequest((str(photos),)), told.append)
    assert any(one.severity == "error" and "copy.jpg" in str(one.images) for one in found)
    assert told[-1] == events.Counted("looking at images", 25)
    assert (is_bad_enough(found, "error"), is_bad_enough(found, "never"), is_bad_enough([], "warning")) == (
        True, False, False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("flow", "error", "message"),
    [
        (lambda *_: ImportRequest(Path("x")), UsageError, "Give either"),
        (
            lambda _, folder: ImportRequest(folder, "p", folder), UsageError, "Give either",
        ),
        (lambda *_: CheckRequest(("a", "b", "c")), UsageError, "or two"),
        (
            lambda _, folder: SheetRequest("p", out=folder / "x.gif"), UsageError, r"must end in \.html",
        ),
        (
            lambda _, folder: SheetRequest("p", Wanted(2000), folder / "x.png", 1),
            UsageError, "too much for one picture",
        ),
        (lambda *_: Change(relax=True, reset=True), UsageError, "Give one of"),
        (lambda *_: Change(labels=("a",)), UsageError, "--label goes with"),
        (lambda context, folder: make_example(context, "rooms", folder / "A B"), UsageError, "can't be one"),
        (lambda _, folder: draw_answer(folder, lambda: "{}", folder / "x.gif"), UsageError, "must end in"),
        (lambda *_: Request(), UsageError, "Give a folder"),
        (lambda *_: Request(Path("nowhere"), options={"epochs": "many"}), RclError, "epochs can't be 'many'"),
        (lambda *_: Place(" "), UsageError, "--bucket needs"),
        (lambda context, _: list(log_of(context, "p", host=False)), RclError, "There is no version p"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_said_and_changes_nothing(
    flow: Callable[[Context, Path], object], error: type[Exception], message: str, home: Home, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(error, match=message):
        flow(home.context, folder)
    assert list(folder.iterdir()) == []
    assert home.call("DescribeProjects")["ProjectDescriptions"] == []


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("moment", "count"), [("CreateProject", 1), ("CreateDataset", 1), ("CreateDataset", 2), ("DescribeDataset", 2)]
)
def test_an_import_that_is_stopped_leaves_no_half_project(
    moment: str, count: int, is_done: bool, home: Home, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C before a call has done its work, or after it and before it could be remembered."""
    for part in ("train", "test"):
        shutil.copytree(photos, tmp_path / "both" / part)
    calls = []

    def interrupted(context: Context, operation: str, params: dict[str, object]) -> dict[str, object]:
        calls.append(operation)
        stop = operation == moment and calls.count(moment) == count
        if stop and not is_done:
            raise KeyboardInterrupt
        if operation.startswith("Delete"):
            # Once more: what puts things in order is not stopped.
            signal.raise_signal(signal.SIGINT)
        result = invoke(context, operation, params)
        if stop:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr("rcl_cli.local.datasets.imports.invoke", interrupted)
    with pytest.raises(KeyboardInterrupt):
        import_images(home.context, ImportRequest(tmp_path / "both", project="pets"), lambda _: None)
    assert home.call("DescribeProjects")["ProjectDescriptions"] == []
    # The same command again.
    monkeypatch.undo()
    assert len(import_images(home.context, ImportRequest(tmp_path / "both", project="pets"), lambda _: None)) == 2


@pytest.mark.parametrize("event", [events.Understood, events.Called])
@pytest.mark.parametrize("flow", ["import", "train"])
def test_who_stops_while_it_is_told_finds_nothing_made(flow: str, event: type, home: Home, photos: Path) -> None:
    def stop(told: events.Event) -> None:
        if isinstance(told, event):
            raise KeyboardInterrupt

    flows = {
        "import": lambda: import_images(home.context, ImportRequest(photos, project="pets"), stop),
        "train": lambda: train(home.context, Request(photos, name="pets", options=QUICK), stop),
    }
    with pytest.raises(KeyboardInterrupt):
        flows[flow]()
    assert home.call("DescribeProjects")["ProjectDescriptions"] == []


def test_a_name_that_no_project_can_have_leaves_nothing(home: Home, photos: Path) -> None:
    with pytest.raises(RclError, match="projectName"):
        import_images(home.context, ImportRequest(photos, project="a b"), lambda _: None)
    assert list(home.buckets.rglob("*.manifest")) == []


def test_a_project_that_was_there_stays(home: Home, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.dataset(home.project("pets"), "TEST", [image_line("data", "a.jpg", "cat")])

    def interrupted(context: Context, operation: str, params: dict[str, object]) -> dict[str, object]:
        result = invoke(context, operation, params)
        if operation == "CreateDataset":
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr("rcl_cli.local.datasets.imports.invoke", interrupted)
    with pytest.raises(KeyboardInterrupt):
        import_images(home.context, ImportRequest(photos, project="pets"), lambda _: None)
    (project,) = home.call("DescribeProjects")["ProjectDescriptions"]
    assert [one["DatasetType"] for one in project["Datasets"]] == ["TEST"]


def test_a_training_that_does_not_begin_can_be_tried_again(
    home: Home, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(context: Context, operation: str, params: dict[str, object]) -> dict[str, object]:
        raise InternalServerError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("rcl_cli.local.models.training.invoke", full)
        with pytest.raises(InternalServerError):
            train(home.context, Request(photos, name="pets", options=QUICK), lambda _: None)
    assert home.call("DescribeProjects")["ProjectDescriptions"] == []

    def interrupted(context: Context, operation: str, params: dict[str, object]) -> dict[str, object]:
        invoke(context, operation, params)
        raise KeyboardInterrupt

    # It began, and its answer was not heard.
    told: list[events.Event] = []
    with monkeypatch.context() as patch:
        patch.setattr("rcl_cli.local.models.training.invoke", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(home.context, Request(photos, name="pets", options=QUICK), told.append)
    assert told[-1] == events.Left("pets/v1", is_training=True)
    project = home.call("DescribeProjects")["ProjectDescriptions"][0]["ProjectArn"]
    assert home.wait(project, "v1")[0] == "TRAINING_COMPLETED"


@pytest.mark.parametrize("is_slow", [False, True])
def test_what_a_push_made_elsewhere_is_deleted_or_named(is_slow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that makes and deletes in the background, as Amazon's does."""
    monkeypatch.setattr("rcl_cli.local.making._POLL_S", 0.01)
    there: dict[str, int] = {}

    def call(operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        if operation == "CreateProject":
            there["arn:project/p/1"] = 0
            return {"ProjectArn": "arn:project/p/1"}
        if operation == "CreateDataset":
            there["arn:project/p/dataset/train/2"] = 10**9 if is_slow else 3
            raise KeyboardInterrupt
        if operation == "DescribeProjects":
            datasets = [{"DatasetType": "TRAIN", "DatasetArn": "arn:project/p/dataset/train/2"}]
            return {"ProjectDescriptions": [{"ProjectArn": "arn:project/p/1", "Datasets": datasets}]}
        arn = str(next(iter(params.values())))
        if there[arn] > 0 or (operation == "DeleteProject" and len(there) > 1):
            there[arn] -= 1
            raise ResourceInUse("It is being made.")
        del there[arn]
        return {}

    making = Making(call, patience_s=0.3)
    making("CreateProject", ProjectName="p")
    with pytest.raises(KeyboardInterrupt) as caught:
        making("CreateDataset", ProjectArn="arn:project/p/1", DatasetType="TRAIN")
    left = making.undo(caught.value)
    assert (left == []) == (not is_slow)
    assert sorted(left) == sorted(there)


def test_an_example_that_is_stopped_is_not_there(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rcl_cli.examples.drawing.write_lines", stopped)
    with pytest.raises(KeyboardInterrupt):
        make_example(home.context, "rooms", tmp_path / "rooms", training=2, testing=1)
    assert list(tmp_path.glob("**/*.jpg")) == []
    monkeypatch.undo()
    assert make_example(home.context, "rooms", tmp_path / "rooms", training=2, testing=1).picture.is_file()


def test_a_drawing_that_can_not_be_written_leaves_the_old_one(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, out = photos / "red" / "0.jpg", tmp_path / "out.png"
    answer = json.dumps({"CustomLabels": [{"Name": "red", "Confidence": 90.0}]})
    assert draw_answer(image, lambda: answer, out) == 1
    before = out.read_bytes()
    save = Image.Image.save

    def full(self: Image.Image, path: Path) -> None:
        save(self, path)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(RclError, match="No space"):
        draw_answer(image, lambda: answer, out)
    assert out.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["out.png"]


def test_manifests_are_all_there_or_none(
    home: Home, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("train", "test"):
        shutil.copytree(photos, tmp_path / "both" / part)
    write = Collected.write

    def full(self: Collected, part: str, target: Path) -> None:
        write(self, part, target)
        if part == "test":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Collected, "write", full)
    out = tmp_path / "out"
    with pytest.raises(RclError, match="No space left"):
        import_images(home.context, ImportRequest(tmp_path / "both", out=out), lambda _: None)
    assert not out.exists()


def test_an_example_and_what_there_is(home: Home, tmp_path: Path) -> None:
    made = make_example(home.context, "rooms", tmp_path / "rooms", training=3, testing=2)
    assert (made.training, made.testing, made.is_found) == (3, 2, False)
    assert made.picture.is_file()
    assert len(list((tmp_path / "rooms").rglob("*.jpg"))) == 3 + 2 + made.new
    # Where its bucket is found, nobody has to be told how.
    assert make_example(home.context, "logos", home.buckets / "logos", training=4, testing=2).is_found
    home.dataset(home.project("pets"), "TRAIN", [image_line("data", "a.jpg", "cat")])
    found = overview(home.context)
    assert [(row.name, row.training, row.newest) for row in found.projects] == [("pets", 1, None)]
    assert (found.processes, found.running) == ([], 0)
    assert found.device
    assert found.free_bytes > 0


# --- models -----------------------------------------------------------------------------------------------------------


def test_a_model_judged_changed_and_taken_away(classifier: Trained, tmp_path: Path) -> None:
    context = classifier.home.context
    version = named_version(context, "p/v")
    page = write_report(context, version, tmp_path / "report.html")
    assert page.read_text("utf-8").startswith("<!doctype html>")
    found = compare(context, version, version)
    write_comparison(context, found, tmp_path / "compare.html")
    assert (found.better, found.worse) == ((), ())
    assert "p/v" in (tmp_path / "compare.html").read_text("utf-8")

    label = change_thresholds(context, "p/v", Change())[0].label
    rows = {row.label: row for row in change_thresholds(context, "p/v", Change(values={label: 0.25}))}
    assert rows[label].own == 0.25
    assert {row.own for row in change_thresholds(context, "p/v", Change(reset=True))} == {None}

    told: list[events.Event] = []
    export_model(context, version, "onnx", tmp_path / "onnx", told.append)
    tried = told[-1]
    assert isinstance(tried, events.Tried)
    assert isinstance(tried.agreement, events.Agreement)
    assert tried.agreement.f1 == pytest.approx(tried.agreement.f1_before)
    assert (tmp_path / "onnx" / "model.onnx").is_file()
    assert "".join(log_of(context, "p/v", host=False, follow=True)).strip()
    assert [row.name for row in versions_of(context, "p")] == ["v"]

    image = classifier.home.buckets / "data" / "0.jpg"
    answer = json.dumps({"CustomLabels": classifier.detect(image.read_bytes(), MinConfidence=0)})
    assert draw_answer(image, lambda: answer, tmp_path / "drawn.png") == len(json.loads(answer)["CustomLabels"])
    assert (tmp_path / "drawn.png").read_bytes().startswith(b"\x89PNG")


# --- the home ---------------------------------------------------------------------------------------------------------


def test_settings_and_checks_without_a_terminal(home: Home) -> None:
    environment = home.environment()
    assert change("training.epochs", "7", environment) == Changed(home.path / "config.yaml", None)
    hidden = change("training.epochs", "8", {**environment, "RCL_TRAINING_EPOCHS": "9"})
    assert hidden.hidden_by == Source("RCL_TRAINING_EPOCHS", "9")
    assert "Tags rcl:epochs" in setting_of("training.epochs", environment).before_all
    assert setting_of("offline", environment).before_all == ""
    checks = {check.name: check.state for check in examine(environment, imports=False, network=False)}
    assert "fault" not in checks.values()
    assert (checks["store"], checks["config"]) == ("ok", "ok")
