"""`rcl doctor`: each planted fault is named, with what to do; nothing is changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rcl_cli.backends import libraries
from rcl_cli.local.home import doctor
from rcl_cli.store import versions
from tests.conftest import Home, image_line

Run = Callable[..., subprocess.CompletedProcess[str]]


def version(home: Home, name: str, status: str) -> int:
    """A version that is said to be in a state."""
    with home.context.database.write() as db:
        project = db.execute("SELECT id FROM projects").fetchone()[0]
        arn = f"arn:aws:rekognition:us-east-1:123456789012:project/p/version/{name}/1"
        version_id = versions.insert(db, arn, project, name, 1, {})
        db.execute("UPDATE versions SET status = ? WHERE id = ?", (status, version_id))
    return version_id


def model(home: Home, version_id: int) -> Path:
    folder = home.path / "models" / str(version_id)
    folder.mkdir()
    card = dict.fromkeys(("family", "model", "weights_source", "choice"), "x") | {
        "labels": ["a"], "multi_label": False, "image_size": 64, "preprocessing": {}, "hyperparameters": {},
        "history": [],
    }  # fmt: skip
    (folder / "model.json").write_text(json.dumps({"card": card, "thresholds": {"a": 0.5}}))
    for name in ("weights.safetensors", "model.onnx"):
        (folder / name).write_bytes(b"x")
    return folder


def examined(rcl: Run, *words: str, **environment: str) -> tuple[int, dict[str, list[dict[str, str]]]]:
    done = rcl("doctor", "--quick", "--json", *words, **environment)
    assert done.stderr == ""
    found: dict[str, list[dict[str, str]]] = {}
    for line in done.stdout.splitlines():
        one = json.loads(line)
        found.setdefault(one["name"], []).append(one)
    return done.returncode, found


def test_a_sound_home_has_no_fault(home: Home, rcl: Run) -> None:
    home.project()
    model(home, version(home, "v", "TRAINING_COMPLETED"))
    home.path.chmod(0o700)
    code, found = examined(rcl, RCL_OFFLINE="0")
    assert code == 0
    assert {one["state"] for group in found.values() for one in group} == {"ok"}


def test_planted_faults_are_named_with_what_to_do(home: Home, rcl: Run, tmp_path: Path) -> None:
    project = home.project()
    # A host that was killed, a trainer that was killed.
    model(home, version(home, "hosted", "RUNNING"))
    version(home, "trainee", "TRAINING_IN_PROGRESS")
    # Models that are not whole, and what a training left.
    (model(home, version(home, "cut", "STOPPED")) / "model.json").write_text('{"card": {')
    (model(home, version(home, "bare", "STOPPED")) / "weights.safetensors").unlink()
    (home.path / "models" / "99").mkdir()
    (home.path / "jobs" / "98").mkdir()
    # Entries that are gone, or not what was written; and those of nothing.
    for kind in ("TRAIN", "TEST"):
        home.dataset(project, kind, [image_line("data", "a.jpg", "cat")])
    with home.context.database.read() as db:
        gone, cut = (row[0] for row in db.execute("SELECT file FROM datasets ORDER BY id"))
    home.context.entry_files.path(gone).unlink()
    os.truncate(home.context.entry_files.path(cut), 5000)
    (home.path / "datasets" / "97").mkdir()
    # Weights that are not what came.
    cache = home.path / "cache" / "weights"
    cache.mkdir(parents=True)
    (cache / "yolo11n.pt").write_bytes(b"half of it")
    digest = hashlib.sha256(b"all of it").hexdigest()
    (cache / "yolo11n.pt.json").write_text(json.dumps({"sha256": digest, "url": "x"}))
    # Settings.
    (home.path / "config.yaml").write_text(f"buckets:\n  photos: {tmp_path / 'moved'}\ntraining:\n  epochs: lots\n")
    home.path.chmod(0o755)
    temporary = tmp_path / "tmp"
    (temporary / "rcl-scratch-import-1").mkdir(parents=True)
    (home.path / ".rcl-part-abcd1234.yaml").write_text("half of it")
    before = {
        path: path.stat().st_mtime_ns for path in home.path.rglob("*") if path.is_file() and ".db-" not in path.name
    }
    code, found = examined(rcl, RCL_BUCKETS_DIR=str(tmp_path / "nowhere"), TMPDIR=str(temporary))
    assert code == 1
    for name, detail, fix in (
        ("p/hosted", "its host is gone", "start it again"),
        ("p/trainee", "its trainer is gone", "train again"),
        ("p/cut", "can't be read", "Train it again"),
        ("p/bare", "weights.safetensors can't be read", "train the model again"),
        ("leftovers", "models/99", "rm -r"),
        ("leftovers", "jobs/98", "rm -r"),
        ("p/train", "entries.db is not there", "delete-dataset --dataset-arn p/train"),
        ("p/test", "entries.db is damaged", "backup"),
        ("leftovers", "datasets/97", "takes it along"),
        ("weights", "is not what was downloaded", "rm "),
        ("buckets", "photos is mapped to", "Mend `buckets`"),
        ("buckets", "RCL_BUCKETS_DIR", "Make it"),
        ("training options", "epochs can't be 'lots'", "Mend it"),
        ("home", "others may look into", "chmod 700"),
        ("temporary files", "2 folder(s) and file(s)", "the next command"),
    ):
        assert any(detail in one["detail"] and fix in one["fix"] for one in found[name]), name
    healthy = {"python", "store", "config", "disk", "file system", *libraries.installed()}
    assert {name for name, group in found.items() if {one["state"] for one in group} == {"ok"}} == healthy
    # Looking changed nothing.
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize(
    ("spoil", "name", "detail", "fix"),
    [
        (lambda home: (home / "config.yaml").write_text("colour: red"), "config", "unknown key 'colour'", "Mend"),
        (lambda home: (home / "config.yaml").write_text("a: [b"), "config", "can't be read", "Mend"),
        (lambda home: os.truncate(home / "rcl.db", 5000), "store", "is damaged", ".recover"),
        (lambda home: (home / "rcl.db").write_bytes(b"no database at all" * 99), "store", "is damaged", ".recover"),
        (
            lambda home: sqlite3.connect(home / "rcl.db").execute("PRAGMA user_version = 999").connection.close(),
            "store", "newer rcl", "Upgrade",
        ),
        (lambda home: (shutil.rmtree(home), home.write_text("")), "home", "is no folder", "Move it away"),
    ],
    ids=["key", "yaml", "cut", "other", "newer", "file"],
)  # fmt: skip
def test_broken_homes(spoil: Callable[[Path], Any], name: str, detail: str, fix: str, home: Home, rcl: Run) -> None:
    home.project()
    home.context.database.close()
    for extra in ("rcl.db-wal", "rcl.db-shm"):
        (home.path / extra).unlink(missing_ok=True)
    spoil(home.path)
    code, found = examined(rcl)
    assert code == 1
    assert [one for one in found[name] if one["state"] == "fault" and detail in one["detail"] and fix in one["fix"]]


def test_libraries_that_do_not_load(rcl: Run, tmp_path: Path) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    root = str(Path(__file__).resolve().parents[2])
    done = rcl("doctor", PYTHONPATH=f"{tmp_path}{os.pathsep}{root}")
    assert done.returncode == 1
    assert "✗ libraries: ImportError: libGL.so.1" in done.stdout
    assert "apt-get install libgl1" in done.stdout


def test_libraries_that_load_tell_the_device(rcl: Run) -> None:
    done = rcl("doctor")
    assert done.returncode == 0, done.stdout
    assert "✓ gpu: " in done.stdout


@pytest.mark.parametrize(("free", "state"), [(2**20, "fault"), (2**31, "warning"), (2**40, "ok")])
def test_disks(free: int, state: str, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(home.path)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage._replace(free=free))
    assert doctor._disk(home.context.layout).state == state


def test_network_mounts(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "file_system", lambda _: "nfs4")
    check = doctor._mount(home.context.layout)
    assert (check.state, "RCL_HOME" in check.fix) == ("warning", True)


def test_the_network_is_tried_only_when_asked(rcl: Run, home: Home) -> None:
    (home.path / "config.yaml").write_text("s3:\n  fallback: true\n  endpoint_url: http://127.0.0.1:9\n")
    assert "s3" not in examined(rcl)[1]
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_MAX_ATTEMPTS": "1"}
    _, found = examined(rcl, "--network", **keys)
    assert "can't be reached" in found["s3"][0]["detail"]
    assert found["network"][0]["detail"] == "not tried: rcl is offline"


def test_a_home_that_is_not_there_yet_is_fine_and_not_made(rcl: Run, tmp_path: Path) -> None:
    code, found = examined(rcl, RCL_HOME=str(tmp_path / "new"), RCL_OFFLINE="0")
    assert (code, found["home"][0]["detail"]) == (0, f"{tmp_path / 'new'} will be made")
    assert not (tmp_path / "new").exists()


def test_buckets_that_are_relative_to_the_home_are_found_from_everywhere(home: Home, rcl: Run) -> None:
    (home.path / "pets").mkdir()
    (home.path / "config.yaml").write_text("buckets:\n  pets: pets\n  gone: gone\n")
    _, found = examined(rcl)
    assert ["gone is mapped" in one["detail"] for one in found["buckets"]] == [True]
