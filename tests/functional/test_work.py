"""Work in folders: who starts it, who adopts what came of it, and what happens to whom on the way."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rcl_cli.compute.folder import WorkFolder
from rcl_cli.compute.launcher import LAUNCHERS, Launcher, launcher, start
from rcl_cli.compute.liveness import is_locked
from rcl_cli.compute.places import host_of, making_of
from rcl_cli.errors import ResourceInUse
from rcl_cli.operations import inference, settle
from rcl_cli.training.slots import device_of, slot
from tests.conftest import Home, colour_images, in_threads, wait_until
from tests.functional.models import Trained


@pytest.fixture
def folder(tmp_path: Path) -> WorkFolder:
    made = WorkFolder(tmp_path / "work", tmp_path / "lock", tmp_path / "log")
    made.prepare({"what": "nothing"})
    return made


# --- the folder -------------------------------------------------------------------------------------------------------


def test_a_folder_says_what_is_asked_where_it_stands_and_how_it_ended(folder: WorkFolder) -> None:
    assert folder.request() == {"what": "nothing"}
    assert folder.last_event() is None
    assert folder.outcome() is None
    folder.tell({"message": "begun"})
    folder.tell({"message": "half"})
    event = folder.last_event()
    assert event is not None
    assert event["message"] == "half"
    assert event["at_ms"] == pytest.approx(time.time() * 1000, abs=60_000)
    folder.finish({"status": "done", "outputs": {"ä": [1]}})
    assert folder.outcome() == {"status": "done", "outputs": {"ä": [1]}}
    folder.prepare({"what": "else"})
    assert (folder.outcome(), folder.last_event(), folder.starts) == (None, None, 0)


@pytest.mark.parametrize("tail", [b'{"message": "ha', b"\xff\xfe\n", b"\n\n"])
def test_a_line_that_is_half_written_is_passed_over(folder: WorkFolder, tail: bytes) -> None:
    folder.tell({"message": "whole"})
    with (folder.path / "events.jsonl").open("ab") as file:
        file.write(tail)
    event = folder.last_event()
    assert event is not None
    assert event["message"] == "whole"


def test_an_outcome_has_room_on_a_full_disk(folder: WorkFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open

    def full(self: Path, mode: str = "r", *more: Any, **options: Any) -> Any:
        # Files that are there can be written within their size, new ones can't be made.
        if "w" in mode:
            raise OSError(28, "No space left on device")
        return opened(self, mode, *more, **options)

    monkeypatch.setattr(Path, "open", full)
    folder.finish({"status": "done"})
    monkeypatch.undo()
    assert folder.outcome() == {"status": "done"}


def test_a_lock_that_cannot_be_looked_at_is_no_free_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_many(*_: Any) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("os.open", too_many)
    with pytest.raises(OSError, match="Too many open files"):
        is_locked(tmp_path / "lock")


# --- launchers --------------------------------------------------------------------------------------------------------


@pytest.fixture(params=LAUNCHERS)
def launching(request: pytest.FixtureRequest, folder: WorkFolder) -> Iterator[Launcher]:
    """Every launcher; what the test started is ended."""
    found = launcher(request.param)
    yield found
    found.stop(folder)


def test_work_is_done_once_at_a_time(launching: Launcher, folder: WorkFolder) -> None:
    assert not launching.is_at_work(folder)
    assert start(launching, "tests.sleeper", folder)
    assert launching.is_at_work(folder)
    assert not start(launching, "tests.sleeper", folder)
    assert folder.starts == 1
    wait_until(lambda: launching.usage(folder) is not None)
    usage = launching.usage(folder)
    assert usage is not None
    assert usage.memory_bytes is not None
    launching.stop(folder)
    wait_until(lambda: not launching.is_at_work(folder))
    launching.stop(folder)
    assert start(launching, "tests.sleeper", folder)
    assert folder.starts == 2


def test_who_holds_the_claim_decides_alone(launching: Launcher, folder: WorkFolder) -> None:
    claim = launching.claim(folder)
    assert claim is not None
    # Nobody may think that nobody is at it, and nobody else begins.
    assert launching.is_at_work(folder)
    assert launching.claim(folder) is None
    claim.start("tests.sleeper")
    claim.release()
    assert launching.is_at_work(folder)
    wait_until(lambda: folder.handle is not None)


def test_work_that_is_done_is_not_begun_again(launching: Launcher, folder: WorkFolder) -> None:
    folder.finish({"status": "done"})
    assert not start(launching, "tests.sleeper", folder)
    assert folder.starts == 0


def test_many_who_start_the_same_work_start_it_once(launching: Launcher, folder: WorkFolder) -> None:
    started: list[bool] = []
    threads = [
        threading.Thread(target=lambda: started.append(start(launching, "tests.sleeper", folder))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (started.count(True), folder.starts) == (1, 1)


def test_work_outlives_who_started_it(folder: WorkFolder) -> None:
    code = (
        "import sys; from pathlib import Path; from rcl_cli.compute.launcher import launcher, start; "
        "from rcl_cli.compute.folder import WorkFolder; "
        "start(launcher(), 'tests.sleeper', WorkFolder(*map(Path, sys.argv[1:])))"
    )
    subprocess.run([sys.executable, "-c", code, *map(str, folder)], check=True)
    assert launcher().is_at_work(folder)
    wait_until(lambda: folder.handle is not None)
    launcher().stop(folder)
    wait_until(lambda: not launcher().is_at_work(folder))


# --- trainings --------------------------------------------------------------------------------------------------------


@pytest.fixture
def project(home: Home) -> str:
    arn = home.project()
    training, testing = colour_images(home, train=18, test=6)
    home.dataset(arn, "TRAIN", training)
    home.dataset(arn, "TEST", testing)
    return arn


def look(home: Home) -> None:
    """Adopt what there is, from a thread."""
    try:
        settle.settle_versions(home.context)
    finally:
        home.context.database.close()


def test_a_store_that_is_locked_through_the_end_of_a_training(home: Home, project: str) -> None:
    home.train(project, "v")
    folder = making_of(home.context.layout, 1)
    with sqlite3.connect(home.context.layout.database, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        wait_until(lambda: folder.outcome() is not None)
        wait_until(lambda: not launcher().is_at_work(folder))
        # Reading goes on, and what came of it waits.
        began = time.monotonic()
        assert home.status(project, "v")[0] == "TRAINING_IN_PROGRESS"
        assert time.monotonic() - began < 10
        other.execute("ROLLBACK")
    other.close()
    assert home.status(project, "v") == ("TRAINING_COMPLETED", "The model is ready to run.")
    assert (home.context.layout.model(1) / "model.json").exists()
    assert not folder.path.exists()


def test_an_outcome_may_be_adopted_by_many_and_again(home: Home, project: str, monkeypatch: pytest.MonkeyPatch) -> None:
    home.train(project, "v")
    folder = making_of(home.context.layout, 1)
    wait_until(lambda: folder.outcome() is not None and not launcher().is_at_work(folder))
    # Whoever adopts dies before the store knows: the model has its place already.
    place = settle._place_model
    with monkeypatch.context() as patch:
        patch.setattr(settle, "_place_model", lambda *paths: (place(*paths), 1 / 0))
        with pytest.raises(ZeroDivisionError):
            settle.settle_versions(home.context)
    assert folder.outcome() is not None
    with in_threads(6, lambda _: look(home)) as errors:
        pass
    assert errors == []
    assert home.status(project, "v")[0] == "TRAINING_COMPLETED"
    assert sorted(path.name for path in (home.path / "models").iterdir()) == ["1"]


def test_trainings_that_share_a_device_wait_and_say_so(home: Home, project: str) -> None:
    def messages() -> list[str]:
        described = home.call("DescribeProjectVersions", ProjectArn=project)["ProjectVersionDescriptions"]
        return [one["StatusMessage"] for one in described if one["Status"] == "TRAINING_IN_PROGRESS"]

    def turned_away(_: int) -> None:
        raise AssertionError("the device is taken already")

    names = [f"v{number}" for number in range(3)]
    # Somebody else's training has the device.
    with slot(home.path / "cache" / "slots", "cpu", 1, 0, turned_away):
        for name in names:
            home.train(project, name)
        wait_until(lambda: any("waiting, 3 other trainings on this device first" in text for text in messages()))
        assert len(messages()) == 3
    for name in names:
        assert home.wait(project, name)[0] == "TRAINING_COMPLETED"
    # One after the other, in the order in which they were asked for.
    found = home.call("DescribeProjectVersions", ProjectArn=project, VersionNames=names)["ProjectVersionDescriptions"]
    ends = {one["ProjectVersionArn"].split("/")[3]: one["TrainingEndTimestamp"] for one in found}
    assert sorted(names, key=lambda name: ends[name]) == names


def test_slots_are_given_in_order_and_back_by_the_dead(tmp_path: Path) -> None:
    told: list[int] = []
    code = """
import sys, time
from pathlib import Path
from rcl_cli.training.slots import slot
with slot(Path(sys.argv[1]), "cpu", 1, 5, lambda ahead: None):
    print("here", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "here\n"

        def wait(ahead: int) -> None:
            told.append(ahead)
            holder.send_signal(signal.SIGKILL)

        with slot(tmp_path, "cpu", 1, 9, wait):
            assert told[0] == 1
            # Another device, or a second slot, has room.
            for device, count in (("cuda:0", 1), ("cpu", 2)):
                with slot(tmp_path, device, count, 9, lambda _: pytest.fail("there is room")):
                    pass
    assert [path.name for path in (tmp_path / "cpu").glob("waits-*")] == []


def test_devices_are_told_without_torch() -> None:
    assert [device_of(name) for name in ("cpu", "cuda", "cuda:1", "mps")] == ["cpu", "cuda:0", "cuda:1", "mps"]
    assert device_of("auto") in {"cpu", "cuda:0", "mps"}


def test_what_was_never_started_is_started_by_who_looks(home: Home, project: str, monkeypatch: Any) -> None:
    """Whoever asked for the training died between saying so and starting it."""
    with monkeypatch.context() as patch:
        patch.setattr("rcl_cli.operations.training.begin", lambda *_: None)
        home.train(project, "v")
    folder = making_of(home.context.layout, 1)
    assert folder.starts == 0
    assert json.loads((folder.path / "request.json").read_text())["making"]["version"] == "v"
    assert home.status(project, "v")[0] == "TRAINING_IN_PROGRESS"
    assert folder.starts == 1
    assert home.wait(project, "v")[0] == "TRAINING_COMPLETED"


def test_a_training_that_is_told_to_end_is_gone_on_with(home: Home, project: str) -> None:
    """As when the machine is shut down in order: that is no failure, however often."""
    home.train(project, "v", tags={"rcl:epochs": "5000", "rcl:retries": "0", "rcl:time_budget_s": "15"})
    folder = making_of(home.context.layout, 1)
    seen_ms = 0
    for _ in range(2):

        def is_training(since_ms: int = seen_ms) -> bool:
            assert home.status(project, "v")[0] == "TRAINING_IN_PROGRESS"
            event = folder.last_event() or {"at_ms": 0}
            return event["at_ms"] > since_ms and "training, epoch" in event["message"] and folder.handle is not None

        wait_until(is_training)
        seen_ms = (folder.last_event() or {})["at_ms"] + 1000
        launcher().stop(folder)
        wait_until(lambda: not launcher().is_at_work(folder))
        assert folder.outcome() is None
        assert folder.starts == 0
    assert home.wait(project, "v")[0] == "TRAINING_COMPLETED"


def test_a_host_that_was_never_started_is_started_by_who_looks(classifier: Trained) -> None:
    home = classifier.home
    home.call("StopProjectVersion", ProjectVersionArn=classifier.version)
    assert home.wait(classifier.project, "v", leaving="STOPPING")[0] == "STOPPED"
    folder = host_of(home.context.layout, 1)
    params = {"ProjectVersionArn": classifier.version, "MinInferenceUnits": 1}
    inference._begin(home.context, params, folder, True, None)
    assert home.status(classifier.project, "v")[0] == "STARTING"
    assert home.wait(classifier.project, "v", leaving="STARTING")[0] == "RUNNING"


def test_a_start_waits_for_nobody_and_says_so(classifier: Trained) -> None:
    """While somebody else decides about a host, it neither starts nor is it taken for dead."""
    home = classifier.home
    home.call("StopProjectVersion", ProjectVersionArn=classifier.version)
    assert home.wait(classifier.project, "v", leaving="STOPPING")[0] == "STOPPED"
    claim = launcher().claim(host_of(home.context.layout, 1))
    assert claim is not None
    with pytest.raises(ResourceInUse, match="still ending"):
        home.call("StartProjectVersion", ProjectVersionArn=classifier.version, MinInferenceUnits=1)
    assert home.status(classifier.project, "v")[0] == "STOPPED"
    claim.release()
    home.call("StartProjectVersion", ProjectVersionArn=classifier.version, MinInferenceUnits=1)
    assert home.wait(classifier.project, "v", leaving="STARTING")[0] == "RUNNING"


def test_many_who_look_at_a_dead_training_start_it_once(home: Home, project: str) -> None:
    home.train(project, "v")
    folder = making_of(home.context.layout, 1)
    wait_until(lambda: folder.handle is not None)
    os.kill(json.loads(folder.handle or "")[0], signal.SIGKILL)
    wait_until(lambda: not launcher().is_at_work(folder))

    with in_threads(8, lambda _: look(home)) as errors:
        pass
    assert errors == []
    assert folder.starts == 2
    assert home.wait(project, "v")[0] == "TRAINING_COMPLETED"
