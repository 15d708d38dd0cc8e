"""SIGKILL at random moments: nothing acknowledged is lost, no state is stuck, the database stays whole.

`RCL_KILL_ROUNDS` sets how many kills each test makes; bench/RESULTS.md tells what 50 gave.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from typing import Any

import pytest

from rcl_cli.compute.launcher import launcher
from rcl_cli.compute.places import host_of, making_of
from rcl_cli.operations.settle import TRAINING_DIED
from rcl_cli.status import MAKING
from rcl_cli.store import versions
from tests.conftest import Home, colour_images, image_line, wait_until, write_manifest

ROUNDS = int(os.environ.get("RCL_KILL_ROUNDS", "3"))
STUCK = {"TRAINING_IN_PROGRESS", "STARTING", "RUNNING", "STOPPING"}


def start(home: Home, *words: str, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rcl_cli", *words],
        env=home.environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def check_database(home: Home) -> None:
    with contextlib.closing(sqlite3.connect(home.context.layout.database)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []


def lines(start_at: int, count: int) -> list[dict[str, Any]]:
    return [image_line("data", f"{n}.jpg", f"label-{n % 7}") for n in range(start_at, start_at + count)]


def test_killed_create_dataset(home: Home) -> None:
    rng = random.Random(1)
    write_manifest(home.buckets / "data" / "m.manifest", lines(0, 4000))
    source = "GroundTruthManifest={S3Object={Bucket=data,Name=m.manifest}}"
    outcomes = set()
    for number in range(ROUNDS):
        project = home.project(f"p{number}")
        process = start(
            home, "create-dataset", "--project-arn", project, "--dataset-type", "TRAIN", "--dataset-source", source
        )
        time.sleep(rng.uniform(0.02, 0.7))
        process.send_signal(signal.SIGKILL)
        acknowledged = process.communicate()[0]
        check_database(home)
        described = home.call("DescribeProjects", ProjectNames=[f"p{number}"])["ProjectDescriptions"][0]["Datasets"]
        outcomes.add(len(described))
        if acknowledged:
            assert json.loads(acknowledged)["DatasetArn"] == described[0]["DatasetArn"]
        for dataset in described:
            assert dataset["Status"] == "CREATE_COMPLETE"
            assert home.describe(dataset["DatasetArn"])["DatasetStats"]["TotalEntries"] == 4000
    assert outcomes <= {0, 1}


def test_killed_update_dataset_entries(home: Home) -> None:
    rng = random.Random(2)
    dataset = home.dataset(home.project(), "TRAIN", lines(0, 10))
    kept = 10
    for number in range(ROUNDS):
        first = 1000 * (number + 1)
        changes = home.path / "changes.jsonl"
        changes.write_text("".join(json.dumps(line) + "\n" for line in lines(first, 900)))
        words = ("--dataset-arn", dataset, "--changes", f"GroundTruth@=fileb://{changes}")
        process = start(home, "update-dataset-entries", *words)
        time.sleep(rng.uniform(0.02, 0.5))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        acknowledged = process.returncode == 0
        check_database(home)
        described = home.describe(dataset)
        assert described["Status"] in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
        total = described["DatasetStats"]["TotalEntries"]
        assert total in ({kept + 900} if acknowledged else {kept, kept + 900})
        kept = total
    assert len(home.entries(dataset, SourceRefContains="s3://data/1.jpg")) == 1


def worker_pid(home: Home, arn: str) -> int | None:
    """The process that works on a version, as its folder says."""
    with home.context.database.read() as db:
        version = versions.by_arn(db, arn)
    if version is None:
        return None
    folder = (making_of if version.status in MAKING else host_of)(home.context.layout, version.id)
    return int(json.loads(folder.handle)[0]) if folder.handle else None


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def project(home: Home) -> str:
    arn = home.project()
    training, testing = colour_images(home, train=18, test=6)
    home.dataset(arn, "TRAIN", training)
    home.dataset(arn, "TEST", testing)
    return arn


def test_killed_training_goes_on(home: Home, project: str) -> None:
    rng = random.Random(3)
    for number in range(ROUNDS):
        arn = home.train(project, f"v{number}")
        time.sleep(rng.uniform(0, 12))
        if pid := worker_pid(home, arn):
            kill(pid)
            wait_until(lambda pid=pid: not os.path.exists(f"/proc/{pid}") or not _runs(pid))  # noqa: PTH110
        began = time.monotonic()
        status, message = home.status(project, f"v{number}")
        assert time.monotonic() - began < 5
        assert status in {"TRAINING_IN_PROGRESS", "TRAINING_COMPLETED"}, (status, message)
        check_database(home)
        assert home.wait(project, f"v{number}")[0] == "TRAINING_COMPLETED"
        assert not home.context.layout.job(number + 1).exists()
        home.call("DeleteProjectVersion", ProjectVersionArn=arn)
        assert list((home.path / "models").iterdir()) == []


def test_a_training_that_dies_again_is_given_up(home: Home, project: str) -> None:
    arn, folder = home.train(project, "v"), making_of(home.context.layout, 1)
    for start in (1, 2):
        assert home.status(project, "v")[0] == "TRAINING_IN_PROGRESS"
        assert folder.starts == start
        wait_until(lambda: folder.handle is not None)
        pid = worker_pid(home, arn)
        assert pid
        kill(pid)
        wait_until(lambda: not launcher().is_at_work(folder))
    assert home.status(project, "v") == ("TRAINING_FAILED", TRAINING_DIED)
    assert not folder.path.exists()
    check_database(home)


def _runs(pid: int) -> bool:
    from rcl_cli.compute.liveness import start_token

    return start_token(pid) is not None


def test_killed_host(home: Home, project: str) -> None:
    rng = random.Random(4)
    arn = home.train(project, "v")
    assert home.wait(project, "v")[0] == "TRAINING_COMPLETED"
    image = (home.buckets / "data" / "0.jpg").read_bytes()
    for _ in range(ROUNDS):
        home.call("StartProjectVersion", ProjectVersionArn=arn, MinInferenceUnits=1)
        time.sleep(rng.uniform(0, 1.5))
        wait_until(lambda: worker_pid(home, arn) is not None)
        pid = worker_pid(home, arn)
        assert pid
        kill(pid)
        wait_until(lambda pid=pid: not _runs(pid))
        status, message = home.status(project, "v")
        assert status in {"FAILED", "STOPPED"}, (status, message)
        check_database(home)
    home.call("StartProjectVersion", ProjectVersionArn=arn, MinInferenceUnits=2)
    wait_until(lambda: home.status(project, "v")[0] != "STARTING")
    found = home.call("DetectCustomLabels", ProjectVersionArn=arn, Image={"Bytes": image}, MinConfidence=0.0)
    assert {label["Name"] for label in found["CustomLabels"]} == {"red", "green", "blue"}
    home.call("StopProjectVersion", ProjectVersionArn=arn)
    wait_until(lambda: home.status(project, "v")[0] == "STOPPED")


def test_killed_adoption_is_done_again(home: Home, project: str) -> None:
    """Whoever looks is killed while it adopts what came of a training."""
    rng = random.Random(5)
    for number in range(ROUNDS):
        arn = home.train(project, f"v{number}")
        folder = making_of(home.context.layout, number + 1)
        wait_until(lambda folder=folder: folder.outcome() is not None and not launcher().is_at_work(folder))
        process = start(home, "describe-project-versions", "--project-arn", project)
        time.sleep(rng.uniform(0.02, 0.3))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        check_database(home)
        assert home.status(project, f"v{number}")[0] == "TRAINING_COMPLETED"
        assert (home.context.layout.model(number + 1) / "model.json").stat().st_size > 0
        home.call("DeleteProjectVersion", ProjectVersionArn=arn)
        # Killed when all was adopted, it leaves the job's folder to whoever deletes something next.
        assert not folder.path.exists()


def test_killed_copies_go_on_and_killed_deletes_are_whole(home: Home, project: str) -> None:
    rng = random.Random(6)
    source = home.train(project, "source")
    assert home.wait(project, "source")[0] == "TRAINING_COMPLETED"
    for number in range(ROUNDS):
        output = {"S3Bucket": "copies", "S3KeyPrefix": "x"}
        arn = home.call(
            "CopyProjectVersion", SourceProjectArn=project, SourceProjectVersionArn=source,
            DestinationProjectArn=project, VersionName=f"c{number}", OutputConfig=output,
        )["ProjectVersionArn"]  # fmt: skip
        time.sleep(rng.uniform(0, 0.8))
        if pid := worker_pid(home, arn):
            kill(pid)
            wait_until(lambda pid=pid: not _runs(pid))
        assert home.wait(project, f"c{number}", leaving="COPYING_IN_PROGRESS")[0] == "COPYING_COMPLETED"
        check_database(home)
        folder = home.context.layout.model(number + 2)
        assert {path.name for path in folder.iterdir()} == {
            path.name for path in home.context.layout.model(1).iterdir()
        }
        process = start(home, "delete-project-version", "--project-version-arn", arn)
        time.sleep(rng.uniform(0.02, 0.3))
        process.send_signal(signal.SIGKILL)
        acknowledged = process.communicate()[0]
        check_database(home)
        left = home.call("DescribeProjectVersions", ProjectArn=project, VersionNames=[f"c{number}"])
        if left["ProjectVersionDescriptions"]:
            assert not acknowledged
            home.call("DeleteProjectVersion", ProjectVersionArn=arn)
    # What a killed delete left goes with the next one.
    home.call("DeleteProjectVersion", ProjectVersionArn=source)
    for place in ("models", "jobs", "hosts", "cache/trash"):
        assert [path for path in (home.path / place).rglob("*") if not path.is_dir()] == []


@pytest.mark.parametrize("moment_s", [0.0, 0.05, 0.2])
def test_killed_launcher_leaves_no_stuck_training(home: Home, project: str, moment_s: float) -> None:
    process = start(
        home, "create-project-version", "--project-arn", project, "--version-name", "v", "--output-config",
        "S3Bucket=out,S3KeyPrefix=", "--tags", "rcl:epochs=1,rcl:image_size=64,rcl:weights=none",
    )  # fmt: skip
    time.sleep(0.15 + moment_s)
    process.send_signal(signal.SIGKILL)
    process.communicate()

    def settled() -> bool:
        found = home.call("DescribeProjectVersions", ProjectArn=project)["ProjectVersionDescriptions"]
        return not found or found[0]["Status"] not in STUCK

    wait_until(settled, 120)
    check_database(home)
    # What it had begun to copy goes with the next training.
    (home.path / "jobs" / ".new-of-the-dead").mkdir(exist_ok=True)
    home.train(project, "w")
    assert [path.name for path in (home.path / "jobs").glob(".*") if path.is_dir()] == []
    assert home.wait(project, "w")[0] == "TRAINING_COMPLETED"
