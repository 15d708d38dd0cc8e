"""Hosts and workers that were stopped by a signal, and homes that were copied or moved with work in them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from rcl_cli.compute.folder import WorkFolder
from rcl_cli.compute.local import is_at_work
from rcl_cli.compute.places import host_of, making_of
from rcl_cli.errors import ResourceNotReady
from rcl_cli.inference.host import WorkerProcess
from rcl_cli.local.home.stored import store_checks
from rcl_cli.operations import settle
from tests.conftest import colour_images, in_threads, make_home, wait_until
from tests.functional.models import Trained


def host_pid(model: Trained) -> int:
    usage = settle.launcher().usage(host_of(model.home.context.layout, 1))
    assert usage is not None
    return int(usage.where.split()[-1])


def image_of(model: Trained) -> bytes:
    return next((model.home.buckets / "data").glob("*.jpg")).read_bytes()


def start(model: Trained, units: int = 1) -> None:
    model.home.call("StartProjectVersion", ProjectVersionArn=model.version, MinInferenceUnits=units)


def running(model: Trained, units: int = 1) -> int:
    start(model, units)
    assert model.home.wait(model.project, "v", leaving="STARTING")[0] == "RUNNING"
    return host_pid(model)


def freeze(pid: int) -> None:
    """Stop a process, and wait until it is: one that reads a disk hears of its signal later."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)


def test_a_frozen_host_is_ended_when_it_does_not_stop(own_detector: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    home = own_detector.home
    pid = running(own_detector)
    workers = psutil.Process(pid).children()
    freeze(pid)
    home.call("StopProjectVersion", ProjectVersionArn=own_detector.version)
    assert own_detector.describe()["Status"] == "STOPPING"
    monkeypatch.setattr(settle, "_STOP_S", 0.0)
    assert "does nothing any more" in [check.detail for check in store_checks(home.context.layout, hashed=False)][-1]
    assert own_detector.describe()["Status"] == "STOPPED"
    wait_until(lambda: not any(one.is_running() and one.status() != "zombie" for one in workers))
    monkeypatch.undo()
    running(own_detector)


def test_a_host_that_is_frozen_while_it_starts_is_ended(own_detector: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    start(own_detector)
    folder = host_of(own_detector.home.context.layout, 1)
    wait_until(lambda: folder.handle is not None)
    freeze(host_pid(own_detector))
    assert folder.last_event() is None
    monkeypatch.setattr(settle, "_START_S", 0.0)
    assert own_detector.describe()["Status"] == "FAILED"
    assert not is_at_work(folder)


def test_a_host_ends_where_no_signal_reaches_it(own_detector: Trained) -> None:
    running(own_detector)
    host_of(own_detector.home.context.layout, 1).ask_to_stop()
    assert own_detector.home.wait(own_detector.project, "v", leaving="RUNNING")[0] == "STOPPED"


def test_a_frozen_worker_is_replaced_and_its_clients_are_answered(
    own_detector: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = running(own_detector, 2)
    image = image_of(own_detector)
    frozen = psutil.Process(pid).children()[0]
    frozen.suspend()
    answers: list[object] = []
    # Some of these wait at the frozen one.
    with in_threads(6, lambda _: answers.append(own_detector.detect(image))) as failures:
        pass
    assert (failures, len(answers)) == ([], 6)
    wait_until(lambda: not frozen.is_running() or frozen.status() == "zombie")
    wait_until(lambda: len(psutil.Process(pid).children()) == 2)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone kills what can't end itself")
def test_a_frozen_worker_ends_with_its_host(own_detector: Trained) -> None:
    pid = running(own_detector)
    (worker,) = psutil.Process(pid).children()
    freeze(worker.pid)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
    assert own_detector.home.wait(own_detector.project, "v", leaving="RUNNING")[0] in ("STOPPED", "FAILED")


def test_a_worker_that_says_nothing_or_is_stopped_is_hung() -> None:
    with subprocess.Popen(["sleep", "60"], stdout=subprocess.PIPE) as process:
        worker, now = WorkerProcess(process), time.monotonic()
        worker.is_ready = True
        assert not worker.is_hung(now)
        assert worker.is_hung(now + 31)
        freeze(process.pid)
        assert not worker.is_hung(now + 1)
        assert worker.is_hung(now + 6)
        process.send_signal(signal.SIGCONT)
        wait_until(lambda: psutil.Process(process.pid).status() != psutil.STATUS_STOPPED)
        assert not worker.is_hung(now + 7)
        process.kill()
        process.wait()
        # It has ended, which is for others to find.
        assert not worker.is_hung(now + 7)
        worker.close()


@pytest.mark.parametrize("how", ["copied", "moved", "put back", "linked"])
def test_a_folder_of_work_knows_whether_it_was_copied(tmp_path: Path, how: str) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    (home / "jobs").mkdir(parents=True)
    folder = WorkFolder(home / "jobs" / "1", home / "jobs" / "1.lock", home / "jobs" / "1.log")
    folder.prepare({"model": str(home / "models" / "1"), "names": ["pets", str(home) + "less"], "size": 7})
    if how == "copied":
        shutil.copytree(home, elsewhere)
    elif how == "moved":
        home.rename(elsewhere)
    elif how == "put back":
        shutil.copytree(home, elsewhere)
        shutil.rmtree(home)
        shutil.copytree(elsewhere, home)
        elsewhere = home
    else:
        elsewhere.symlink_to(home)
    there = elsewhere / "jobs" / "1"
    found = WorkFolder(there, there.with_suffix(".lock"), there.with_suffix(".log"))
    assert found.is_copied == (how == "copied")
    model = (home if how == "linked" else elsewhere) / "models" / "1"
    assert found.request() == {"model": str(model), "names": ["pets", str(home) + "less"], "size": 7}


def test_a_copy_of_a_home_with_a_running_model_has_nothing_running(own_detector: Trained, tmp_path: Path) -> None:
    pid = running(own_detector)
    shutil.copytree(own_detector.home.path, tmp_path / "copy", ignore=shutil.ignore_patterns("*.sock"))
    copy = make_home(tmp_path / "copy")
    image = {"Bytes": image_of(own_detector)}
    with pytest.raises(ResourceNotReady):
        copy.call("DetectCustomLabels", ProjectVersionArn=own_detector.version, Image=image)
    assert copy.status(own_detector.project, "v")[0] == "STOPPED"
    # Also where somebody looks who believes what the copy says.
    settle.launcher().stop(host_of(copy.context.layout, 1))
    assert psutil.Process(pid).is_running()
    assert own_detector.describe()["Status"] == "RUNNING"
    assert own_detector.detect(image["Bytes"]) is not None
    copy.context.database.close()


def test_a_moved_home_goes_on_serving(own_detector: Trained, tmp_path: Path) -> None:
    running(own_detector)
    own_detector.home.context.database.close()
    own_detector.home.path.rename(tmp_path / "moved")
    moved = make_home(tmp_path / "moved")
    image = next((moved.buckets / "data").glob("*.jpg")).read_bytes()
    assert moved.call("DetectCustomLabels", ProjectVersionArn=own_detector.version, Image={"Bytes": image})
    moved.call("StopProjectVersion", ProjectVersionArn=own_detector.version)
    assert moved.wait(own_detector.project, "v", leaving="STOPPING")[0] == "STOPPED"
    moved.context.database.close()
    # For what ends the fixture.
    (tmp_path / "moved").rename(own_detector.home.path)


def test_a_copy_of_a_home_with_a_training_does_not_train(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    project = home.project()
    training, testing = colour_images(home)
    home.dataset(project, "TRAIN", training)
    home.dataset(project, "TEST", testing)
    home.train(project, "v", tags={"rcl:epochs": "12"})
    folder = making_of(home.context.layout, 1)
    wait_until(lambda: folder.last_event() is not None)
    usage = settle.launcher().usage(folder)
    assert usage is not None
    # Files that come and go would end the copying.
    trainer = psutil.Process(int(usage.where.split()[-1]))
    trainer.suspend()
    shutil.copytree(home.path, tmp_path / "copy")
    trainer.resume()
    copy = make_home(tmp_path / "copy")
    assert copy.status(project, "v") == ("TRAINING_FAILED", settle.COPIED_HOME)
    assert home.wait(project, "v")[0] == "TRAINING_COMPLETED"
    for made in (home, copy):
        made.context.database.close()


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux's account of memory")
def test_a_worker_that_rests_keeps_what_one_request_needs(own_detector: Trained) -> None:
    pid = running(own_detector)
    worker = psutil.Process(pid).children()[0]
    image = image_of(own_detector)

    def anonymous_mb() -> float:
        text = Path(f"/proc/{worker.pid}/smaps_rollup").read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Anonymous:")) / 1024

    own_detector.detect(image)
    wait_until(lambda: worker.num_threads() > 0)
    before = anonymous_mb()
    with in_threads(8, lambda _: [own_detector.detect(image) for _ in range(10)] and None) as failures:
        pass
    assert failures == []
    wait_until(lambda: anonymous_mb() < before + 16)


def test_a_folder_that_a_backup_put_back_is_no_copy_though_it_got_its_name_later(tmp_path: Path) -> None:
    jobs = tmp_path / "home" / "jobs"
    begun, final = jobs / ".new-1", jobs / "1"
    WorkFolder(begun, jobs / "1.lock", jobs / "1.log").prepare({"size": 7}, final)
    begun.rename(final)
    shutil.copytree(final, tmp_path / "backup")
    shutil.rmtree(final)
    shutil.copytree(tmp_path / "backup", final)
    assert not WorkFolder(final, jobs / "1.lock", jobs / "1.log").is_copied
