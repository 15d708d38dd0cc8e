"""Datasets that several change, read, stop in the middle of, and die over, at once."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from rcl_cli.durable import new_folder, remove_abandoned
from rcl_cli.errors import ConfigError, InternalServerError, ResourceInUse, ResourceNotFound
from rcl_cli.local.datasets.sources import lines_of, named_datasets
from rcl_cli.operations import contents
from rcl_cli.operations import entries as entries_operations
from rcl_cli.store import datasets, entry_files
from tests.conftest import Home, Run, image_line, wait_until, write_manifest

LINES = int(os.environ.get("RCL_STOPPED_LINES", "40000"))
# 5 MB at most.
CHANGED = 13_000
ROUNDS = int(os.environ.get("RCL_KILL_ROUNDS", "3"))
SOURCE = "GroundTruthManifest={S3Object={Bucket=data,Name=m.manifest}}"


def lines(first: int, count: int) -> list[dict[str, Any]]:
    return [image_line("data", f"{n}.jpg", f"label-{n % 7}") for n in range(first, first + count)]


def changes(first: int, count: int) -> dict[str, bytes]:
    return {"GroundTruth": "\n".join(json.dumps(line) for line in lines(first, count)).encode()}


def put(home: Home, dataset: str, first: int, count: int) -> None:
    home.call("UpdateDatasetEntries", DatasetArn=dataset, Changes=changes(first, count))


def start(home: Home, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rcl_cli", *words], env=home.environment(), stdout=subprocess.PIPE, text=True
    )


@contextmanager
def stopped(process: subprocess.Popen[str]) -> Iterator[None]:
    """A process that does nothing for a while, and then goes on."""
    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def folders(home: Home) -> list[str]:
    return sorted(path.name for path in home.context.layout.datasets.iterdir())


def datasets_of(home: Home, project: str) -> list[dict[str, Any]]:
    (found,) = home.call("DescribeProjects", ProjectNames=[project])["ProjectDescriptions"]
    return list(found["Datasets"])


def impatient(home: Home) -> None:
    """Another writer, which does not wait longer than a second."""
    with home.context.database.write(1.0) as db:
        db.execute("UPDATE projects SET status = status")


def test_a_stopped_create_dataset_keeps_nobody_waiting(home: Home) -> None:
    write_manifest(home.buckets / "data" / "m.manifest", lines(0, LINES))
    rng = random.Random(1)
    for number in range(3):
        arn = home.project(f"p{number}")
        words = ("--project-arn", arn, "--dataset-type", "TRAIN", "--dataset-source", SOURCE)
        process = start(home, "create-dataset", *words)
        # The draft is there: it is being written.
        wait_until(lambda: any(name.startswith(".new-") for name in folders(home)))
        time.sleep(rng.uniform(0, 0.3))
        with stopped(process):
            assert process.poll() is None
            impatient(home)
            other = home.dataset(home.project(f"other-{number}"), "TRAIN", lines(0, 3))
            put(home, other, 3, 3)
            assert home.describe(other)["DatasetStats"]["TotalEntries"] == 6
            assert (
                home.call("DescribeProjects", ProjectNames=[f"p{number}"])["ProjectDescriptions"][0]["Datasets"] == []
            )
            # Somebody else is quicker with the same dataset: one of both is told.
            if number == 2:
                quicker = home.dataset(arn, "TRAIN", lines(0, 2))
        made = str(process.communicate(timeout=120)[0])
        if number == 2:
            assert process.returncode == 254
            assert home.describe(quicker)["DatasetStats"]["TotalEntries"] == 2
        else:
            assert home.describe(json.loads(made)["DatasetArn"])["DatasetStats"]["TotalEntries"] == LINES
    assert not [name for name in folders(home) if name.startswith(".")]


def test_a_stopped_change_keeps_only_those_waiting_who_change_the_same(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = home.dataset(home.project(), "TRAIN", lines(0, 10))
    path = home.path / "changes.jsonl"
    path.write_bytes(changes(100, CHANGED)["GroundTruth"])
    process = start(
        home, "update-dataset-entries", "--dataset-arn", dataset, "--changes", f"GroundTruth@=fileb://{path}"
    )
    # The store knows that a change is coming, and is free again.
    wait_until(lambda: bool(datasets.behind(home.context.database.connection)))
    with stopped(process):
        assert process.poll() is None
        impatient(home)
        # Readers see what was there before.
        assert home.describe(dataset)["DatasetStats"]["TotalEntries"] == 10
        assert len(home.entries(dataset)) == 10
        monkeypatch.setattr("rcl_cli.store.entry_files.BUSY_TIMEOUT_MS", 300)
        with pytest.raises(ResourceInUse, match="another process is changing it"):
            put(home, dataset, 50, 1)
    process.communicate(timeout=60)
    assert process.returncode == 0
    put(home, dataset, 50, 1)
    assert home.describe(dataset)["DatasetStats"]["TotalEntries"] == 11 + CHANGED


def file_of(home: Home, dataset: str) -> str:
    with home.context.database.read() as db:
        found = datasets.by_arn(db, dataset)
    assert found is not None
    return found.file


def test_who_dies_before_the_store_knows_has_changed_the_dataset(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is what counts: after it, and before the row says so, the process may die."""
    dataset = home.dataset(home.project(), "TRAIN", lines(0, 10))
    with monkeypatch.context() as patch:
        patch.setattr(datasets, "catch_up", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            put(home, dataset, 10, 5)
    described = home.describe(dataset)
    assert (described["Status"], described["DatasetStats"]["TotalEntries"]) == ("UPDATE_COMPLETE", 15)
    assert datasets.behind(home.context.database.connection) == []
    # And before the file: nothing has changed, and the row says so again.
    with monkeypatch.context() as patch:
        patch.setattr("rcl_cli.store.entry_changes.put", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            put(home, dataset, 15, 5)
    assert len(datasets.behind(home.context.database.connection)) == 1
    assert home.describe(dataset) == described
    assert datasets.behind(home.context.database.connection) == []
    put(home, dataset, 15, 5)
    assert home.describe(dataset)["DatasetStats"]["TotalEntries"] == 20


def test_a_late_word_does_not_undo_a_later_change(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who changed first tells the store last, and one in between dies before it tells."""
    dataset = home.dataset(home.project(), "TRAIN", lines(0, 1))
    catch_up, late = datasets.catch_up, []
    with monkeypatch.context() as patch:
        patch.setattr(datasets, "catch_up", lambda _, *told: late.append(told))
        put(home, dataset, 1, 1)
        put(home, dataset, 2, 1)
    with home.context.database.write() as db:
        catch_up(db, *late[0])
    assert home.describe(dataset)["DatasetStats"]["TotalEntries"] == 3
    with home.context.database.write() as db:
        catch_up(db, *late[1])
        catch_up(db, *late[0])
    assert home.describe(dataset)["DatasetStats"]["TotalEntries"] == 3


@pytest.mark.parametrize("operation", ["distribute-dataset-entries", "create-dataset", "delete-dataset"])
def test_killed_in_the_middle(home: Home, operation: str) -> None:
    """Whole or not at all, and nothing left behind once somebody makes or deletes a dataset."""
    rng = random.Random(operation)
    write_manifest(home.buckets / "data" / "m.manifest", lines(0, 4000))
    for number in range(ROUNDS):
        project = home.project(f"p{number}")
        train = home.dataset(project, "TRAIN", lines(0, 2000))
        words: dict[str, list[str]] = {
            "create-dataset": ["--project-arn", project, "--dataset-type", "TEST", "--dataset-source", SOURCE],
            "delete-dataset": ["--dataset-arn", train],
        }
        if operation == "distribute-dataset-entries":
            test = home.call("CreateDataset", ProjectArn=project, DatasetType="TEST")["DatasetArn"]
            words[operation] = ["--datasets", f"Arn={train}", f"Arn={test}"]
        process = start(home, operation, *words[operation])
        time.sleep(rng.uniform(0.05, 0.7))
        process.send_signal(signal.SIGKILL)
        acknowledged = process.communicate()[0] or process.returncode == 0
        described = datasets_of(home, f"p{number}")
        totals = {
            one["DatasetType"]: home.describe(one["DatasetArn"])["DatasetStats"]["TotalEntries"] for one in described
        }
        before, after = {
            "create-dataset": ({"TRAIN": 2000}, {"TRAIN": 2000, "TEST": 4000}),
            "delete-dataset": ({"TRAIN": 2000}, {}),
            "distribute-dataset-entries": ({"TRAIN": 2000, "TEST": 0}, {"TRAIN": 1600, "TEST": 400}),
        }[operation]
        assert totals in ((after,) if acknowledged else (before, after))
        for one in described:
            pages = count(home, one["DatasetArn"])
            assert pages == totals[one["DatasetType"]]
    for project in home.call("DescribeProjects")["ProjectDescriptions"]:
        for one in project["Datasets"]:
            home.call("DeleteDataset", DatasetArn=one["DatasetArn"])
    home.call("DeleteDataset", DatasetArn=home.dataset(home.project("last"), "TRAIN", lines(0, 1)))
    assert folders(home) == []


def count(home: Home, dataset: str) -> int:
    with contents.reading(home.context, dataset, lambda _: None) as (_, db):
        return int(db.execute("SELECT COUNT(*) FROM entries").fetchone()[0])


def test_readers_of_datasets_that_are_distributed_and_deleted(home: Home) -> None:
    """They see what was there before or after, or are told that it is gone."""
    seen: list[object] = []

    def read() -> None:
        try:
            while True:
                seen.append(len(home.entries(train, MaxResults=100)))
        except Exception as error:  # noqa: BLE001 - it is looked at below
            seen.append(error)

    project = home.project()
    train = home.dataset(project, "TRAIN", lines(0, 50))
    test = home.call("CreateDataset", ProjectArn=project, DatasetType="TEST")["DatasetArn"]
    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    time.sleep(0.1)
    home.call("DistributeDatasetEntries", Datasets=[{"Arn": train}, {"Arn": test}])
    time.sleep(0.1)
    home.call("DeleteDataset", DatasetArn=train)
    for reader in readers:
        reader.join()
    counts, errors = [one for one in seen if isinstance(one, int)], [one for one in seen if not isinstance(one, int)]
    assert set(counts) == {50, 40}
    assert {type(one) for one in errors} == {ResourceNotFound}


def test_entries_that_are_missing_are_not_taken_for_none(home: Home) -> None:
    dataset = home.dataset(home.project(), "TRAIN", lines(0, 3))
    (home.context.layout.datasets / file_of(home, dataset) / "entries.db").unlink()
    with pytest.raises(ConfigError, match=r"are not there: .*entries\.db"):
        home.entries(dataset)
    with pytest.raises(ConfigError, match="are not there"):
        put(home, dataset, 3, 1)
    home.call("DeleteDataset", DatasetArn=dataset)
    assert folders(home) == []


def test_a_full_disk_leaves_nothing_of_a_new_dataset(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    project = home.project()
    with monkeypatch.context() as patch:
        patch.setattr(entry_files, "sync_tree", full)
        with pytest.raises(InternalServerError, match="is full: make room"):
            home.dataset(project, "TRAIN", lines(0, 3))
    assert folders(home) == []
    assert home.describe(home.dataset(project, "TRAIN", lines(0, 3)))["Status"] == "CREATE_COMPLETE"


def test_a_draft_is_not_swept_while_it_is_written(home: Home) -> None:
    files = home.context.entry_files
    with files.draft("mine") as draft:
        files.sweep()
        draft.finish()
        assert draft.keep() == "mine"
    files.sweep()
    assert folders(home) == ["mine"]
    # One whose writer died.
    shutil.copytree(home.context.layout.datasets / "mine", home.context.layout.datasets / ".new-dead")
    files.put_aside_all_but(["other"])
    files.sweep()
    assert folders(home) == []


def test_sweeps_and_makers_at_once(home: Home) -> None:
    """Whoever makes a draft has it, however many sweep meanwhile."""
    place, done, failures = home.context.layout.datasets, threading.Event(), []

    def sweep() -> None:
        while not done.is_set():
            remove_abandoned(place, ".new-")

    def make(number: int) -> None:
        for turn in range(300):
            folder = place / f".new-{number}-{turn}"
            try:
                with new_folder(folder):
                    (folder / "file").write_text("x")
                    folder.rename(place / f"{number}-{turn}")
            except OSError as error:
                failures.append(error)

    sweepers = [threading.Thread(target=sweep) for _ in range(2)]
    makers = [threading.Thread(target=make, args=(number,)) for number in range(2)]
    for thread in [*sweepers, *makers]:
        thread.start()
    for thread in makers:
        thread.join()
    done.set()
    for thread in sweepers:
        thread.join()
    assert failures == []
    assert len(folders(home)) == 600


@pytest.mark.parametrize("spoil", ["cut", "empty", "other", "unsaid"])
def test_one_damaged_file_is_one_datasets_trouble(home: Home, spoil: str, rcl: Run) -> None:
    project = home.project()
    bad, good = (home.dataset(project, kind, lines(0, 300)) for kind in ("TRAIN", "TEST"))
    path = home.context.entry_files.path(file_of(home, bad))
    if spoil == "unsaid":
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("DELETE FROM state")
    else:
        path.write_bytes({"cut": path.read_bytes()[:20_000], "empty": b"", "other": b"no database at all" * 999}[spoil])
    with home.context.database.write() as db:
        # As after a change that died.
        db.execute("UPDATE datasets SET expected = 9 WHERE arn = ?", (bad,))
    assert home.describe(good)["DatasetStats"]["TotalEntries"] == 300
    assert home.describe(bad)["DatasetStats"]["TotalEntries"] == 300
    assert len(datasets_of(home, "p")) == 2
    for words in (("list-dataset-entries", "--dataset-arn", bad), ("dataset", "export", "p/train", "--format", "csv")):
        done = rcl(*words, *(("-o", str(home.path / "out")) if words[0] == "dataset" else ()))
        assert done.returncode in (253, 254, 255), done.stderr
        assert "Traceback" not in done.stderr
        assert "entries.db" in done.stderr
    assert "entries.db is damaged" in rcl("doctor", "--quick").stdout
    assert rcl("status").returncode == 0
    home.call("DeleteDataset", DatasetArn=bad)
    assert len(folders(home)) == 1


def test_what_is_done_is_not_said_to_have_failed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = home.dataset(home.project(), "TRAIN", lines(0, 3))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(entry_files.EntryFiles, "put_aside_all_but", full)
    assert home.call("DeleteDataset", DatasetArn=dataset) == {}


def test_a_dataset_that_is_deleted_while_it_is_distributed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    project = home.project()
    train = home.dataset(project, "TRAIN", lines(0, 20))
    test = home.call("CreateDataset", ProjectArn=project, DatasetType="TEST")["DatasetArn"]
    split = entries_operations.stratified_split

    def slow(*given: Any) -> Any:
        home.call("DeleteDataset", DatasetArn=train)
        return split(*given)

    monkeypatch.setattr(entries_operations, "stratified_split", slow)
    with pytest.raises(ResourceNotFound):
        home.call("DistributeDatasetEntries", Datasets=[{"Arn": train}, {"Arn": test}])
    assert home.describe(test)["DatasetStats"]["TotalEntries"] == 0
    assert len(folders(home)) == 1


def test_a_store_that_is_taken_does_not_hide_what_was_acknowledged(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = home.dataset(home.project(), "TRAIN", lines(0, 10))
    with monkeypatch.context() as patch:
        patch.setattr(datasets, "catch_up", lambda *_: None)
        put(home, dataset, 10, 5)
    with closing(sqlite3.connect(home.context.layout.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert home.describe(dataset)["DatasetStats"]["TotalEntries"] == 15
        other.execute("ROLLBACK")


def test_what_is_wrong_with_the_disk_is_said_so(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = home.dataset(home.project(), "TRAIN", lines(0, 10))

    def broken(*_: object, **__: object) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise error

    monkeypatch.setattr(entry_files, "connect", broken)
    with pytest.raises(InternalServerError, match="disk I/O error"):
        put(home, dataset, 10, 1)


def test_a_manifest_that_can_not_be_taken_takes_no_room(home: Home) -> None:
    odd = image_line("elsewhere", "x.jpg", "cat")
    dataset = home.dataset(home.project(), "TRAIN", [*lines(0, 3000), odd])
    assert home.describe(dataset)["Status"] == "CREATE_FAILED"
    assert home.context.entry_files.path(file_of(home, dataset)).stat().st_size < 300_000


def test_who_takes_a_datasets_lines_slowly_holds_nothing(home: Home) -> None:
    lines = [image_line("data", f"{number}.jpg", "cat") for number in range(300)]
    dataset = home.dataset(home.project(), "TRAIN", lines)
    (found,) = named_datasets(home.context, dataset).values()
    taken = lines_of(home.context, found)
    next(taken)
    entries = home.context.entry_files.path(found.file)
    for number in range(60):
        change = "".join(json.dumps(image_line("data", f"{n}.jpg", f"dog-{number}")) + "\n" for n in range(300))
        home.call("UpdateDatasetEntries", DatasetArn=dataset, Changes={"GroundTruth": change.encode()})
    log = entries.with_name(entries.name + "-wal")
    assert not log.exists() or log.stat().st_size < 2_000_000
    # All of them as they were.
    assert ["cat" in line for line in taken] == [True] * 299
