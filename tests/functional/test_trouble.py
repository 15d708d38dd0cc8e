"""Full disks, homes that go away, damaged files, odd users: one clear line, and nothing lost."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rcl_cli import profiles
from rcl_cli.config import home_folder
from rcl_cli.errors import ConfigError
from rcl_cli.store.database import StoreGoneError
from rcl_cli.store.layout import Layout
from tests.conftest import Home, make_home
from tests.functional.models import Trained
from tests.functional.serving import serving
from tests.functional.test_serve import ask

Run = Callable[..., subprocess.CompletedProcess[str]]
ROOT = Path(__file__).resolve().parents[2]
_ALONE = ["unshare", "-rm"]


def _can_mount() -> bool:
    return shutil.which("unshare") is not None and not subprocess.run([*_ALONE, "true"], capture_output=True).returncode


@pytest.mark.skipif(not _can_mount(), reason="needs a mount namespace")
def test_a_full_disk_keeps_nobody_from_looking_stopping_and_making_room(own_detector: Trained, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    own_detector.home.context.database.close()
    words = [sys.executable, "-m", "tests.process.full_disk", str(own_detector.home.path), str(tmp_path / "disk")]
    done = subprocess.run([*_ALONE, *words], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["create-project"][0] == 254
    assert "The disk of" in said["create-project"][1]
    assert "is full" in said["create-project"][1]
    assert "is full" in said["doctor"][1] or said["doctor"][0] == 1
    assert "damaged" not in said["doctor"][1]
    assert said["create-project-version"][0] == 254
    assert "is full" in said["create-project-version"][1]
    refused = ("create-project", "doctor", "create-project-version")
    works = {name: one for name, one in said.items() if name not in refused}
    assert {name: one for name, one in works.items() if one[0] != 0} == {}
    assert said["integrity"][1] == "ok"


def _moved(home: Path) -> None:
    home.rename(home.with_name("moved"))


def _removed(home: Path) -> None:
    shutil.rmtree(home)


def _replaced(home: Path) -> None:
    _moved(home)
    other = make_home(home)
    other.project("other")
    other.context.database.close()


@pytest.mark.parametrize("change", [_moved, _removed, _replaced])
def test_a_home_that_goes_away_under_a_server_takes_nothing(
    home: Home, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    with serving(home, stderr=tmp_path / "log") as (url, _):
        assert ask(url, '{"ProjectName": "before"}', "CreateProject")[0] == 200
        home.context.database.close()
        change(home.path)
        # By threads that have the store open, and by some that have not.
        for number in range(20):
            status, _, document = ask(url, json.dumps({"ProjectName": f"p{number}"}), "CreateProject")
            assert (status, "moved, removed or replaced" in document["Message"]) == (
                500,
                True,
            )
        assert ask(url)[0] == 500
        assert ask(url, method="GET", target="x")[0] == 405
        import http.client
        from urllib.parse import urlsplit

        connection = http.client.HTTPConnection(urlsplit(url).hostname or "", urlsplit(url).port)
        connection.request("GET", "/health")
        assert connection.getresponse().status == 503
        connection.close()
    if change is _replaced:
        (project,) = make_home(home.path).call("DescribeProjects")["ProjectDescriptions"]
        assert "/other/" in project["ProjectArn"]


def test_a_home_that_is_replaced_in_the_middle_of_a_change_is_not_changed(home: Home) -> None:
    home.project("before")

    def change() -> None:
        with home.context.database.write() as db:
            db.execute("DELETE FROM projects")
            home.path.rename(home.path.with_name("moved"))

    with pytest.raises(StoreGoneError):
        change()
    home.path.with_name("moved").rename(home.path)
    assert len(home.call("DescribeProjects")["ProjectDescriptions"]) == 1


@pytest.mark.parametrize(("mode", "left"), [(0o777, 0o755), (0o770, 0o750), (0o722, 0o700), (0o1777, 0o1777)])
def test_a_home_that_others_may_write_to_is_closed_to_them(tmp_path: Path, mode: int, left: int) -> None:
    place = tmp_path / "home"
    place.mkdir()
    place.chmod(mode)
    Layout(place).make()
    assert place.stat().st_mode & 0o7777 == left


def test_a_home_that_others_may_look_into_stays_as_it_is(tmp_path: Path) -> None:
    place = tmp_path / "home"
    place.mkdir(mode=0o755)
    place.chmod(0o755)
    Layout(place).make()
    assert place.stat().st_mode & 0o777 == 0o755


LOCAL = (["status"], ["versions", "p"], ["thresholds", "p/v"], ["logs", "p/v"], ["report", "p/v", "-o", "r.html"],
         ["compare", "p/v", "p/v"], ["export", "p/v", "--format", "onnx", "-o", "x"], ["dataset", "check", "p"],
         ["describe-projects"], ["list-dataset-entries", "--dataset-arn", "p/train"])  # fmt: skip


def test_damaged_pages_end_every_command_with_one_line(own_detector: Trained, rcl: Run, tmp_path: Path) -> None:
    path = own_detector.home.context.layout.database
    own_detector.home.context.database.close()
    whole = path.read_bytes()
    size = int.from_bytes(whole[16:18], "big")
    for page in range(len(whole) // size):
        damaged = bytearray(whole)
        damaged[page * size + 100 : page * size + 300] = b"\xa5" * 200
        path.write_bytes(damaged)
        # All of the commands on some page, some command on all of them.
        for words in LOCAL if page == 2 else [LOCAL[page % len(LOCAL)]]:
            shutil.rmtree(tmp_path / "x", ignore_errors=True)
            done = rcl(
                *(str(tmp_path / word) if word in ("x", "r.html") else word for word in words),
                RCL_HOME=str(own_detector.home.path),
            )
            assert "Traceback" not in done.stderr, (page, words)
            if done.returncode:
                assert len(done.stderr.strip().splitlines()) <= 2, done.stderr
    path.write_bytes(whole)


def test_what_nobody_foresaw_is_one_line_too(home: Home, rcl: Run) -> None:
    home.project()
    home.context.database.close()
    with sqlite3.connect(home.path / "rcl.db") as db:
        db.execute("UPDATE projects SET created_ms = 'yesterday'")
    done = rcl("describe-projects")
    assert (done.returncode, "Traceback" in done.stderr) == (255, False), done.stderr
    assert "RCL_DEBUG=1" in done.stderr
    assert "Traceback" in rcl("describe-projects", RCL_DEBUG="1").stderr


def test_a_user_without_a_home_folder_is_told_to_set_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr("pwd.getpwuid", nobody)
    for name in ("HOME", "XDG_DATA_HOME", "AWS_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="set RCL_HOME"):
        home_folder({})
    assert profiles.setting("region", {}) is None
