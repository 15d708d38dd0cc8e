"""Files that are half written go, whoever ends; those that are being written stay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rcl_cli import durable
from rcl_cli.durable import abandoned_files, new_file
from tests.conftest import in_threads

_WRITER = """
import sys, time
from pathlib import Path
from rcl_cli.durable import new_file
with new_file(Path(sys.argv[1]), ".txt") as path:
    path.write_text("half")
    print(path, flush=True)
    time.sleep(600)
"""


class Never(set[Path]):
    """As if each were the first to look for what others left."""

    def __contains__(self, _: object) -> bool:
        return False


def test_a_file_is_removed_only_while_it_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its writer may have just made it, and wait for the lock."""
    left = tmp_path / ".rcl-part-abcd1234"
    left.write_text("half")
    tried: list[list[Path]] = []
    really = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path == left:
            tried.append(abandoned_files(tmp_path))
        really(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    with new_file(tmp_path):
        pass
    assert tried == [[]]
    assert list(tmp_path.iterdir()) == []


def test_what_only_begins_alike_stays(tmp_path: Path) -> None:
    for name in (".rcl-part-mine", ".rcl-part-ABCD1234", ".rcl-part-abcd12345", ".rcl-part-abcd1234.a.b"):
        (tmp_path / name).write_text("an object")
    with new_file(tmp_path, ".yaml"):
        pass
    assert len(list(tmp_path.iterdir())) == 4


def test_a_file_that_was_put_in_its_place_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise PermissionError("a network's file system has a bad moment")

    descriptors = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    with new_file(tmp_path) as path:
        path.write_text("whole")
        path.replace(tmp_path / "kept")
        monkeypatch.setattr(Path, "unlink", fails)
    assert (tmp_path / "kept").read_text() == "whole"
    if descriptors:
        assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


@pytest.fixture(autouse=True)
def _nobody_has_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "_SWEPT", Never())


def test_it_is_private_and_goes_unless_it_is_renamed(tmp_path: Path) -> None:
    with new_file(tmp_path, ".png") as path:
        assert (path.parent, path.suffix, path.stat().st_mode & 0o777) == (tmp_path, ".png", 0o600)
        path.write_text("whole")
        path.replace(tmp_path / "kept.png")
    with pytest.raises(KeyError), new_file(tmp_path) as path:
        raise KeyError
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("kept.png", "whole")]


def test_what_a_killed_process_left_goes_with_the_next_and_what_one_writes_stays(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        with new_file(tmp_path):
            assert left.read_text() == "half"
        assert abandoned_files(tmp_path) == []
        process.send_signal(signal.SIGKILL)
    assert abandoned_files(tmp_path) == [left]
    with new_file(tmp_path):
        assert not left.exists()
    assert list(tmp_path.iterdir()) == []


def test_links_pipes_and_folders_of_that_name_are_let_be(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("years")
    (tmp_path / ".rcl-part-link____").symlink_to(tmp_path / "precious")
    (tmp_path / ".rcl-part-folder__").mkdir()
    os.mkfifo(tmp_path / ".rcl-part-pipe____")
    with new_file(tmp_path):
        pass
    assert (tmp_path / "precious").read_text() == "years"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".rcl-part-folder__", ".rcl-part-link____", ".rcl-part-pipe____", "precious",
    ]  # fmt: skip
    assert abandoned_files(tmp_path) == []


def test_many_at_once_have_a_file_each(tmp_path: Path) -> None:
    def write(number: int) -> None:
        for turn in range(20):
            with new_file(tmp_path) as path:
                path.write_text(f"{number} {turn}")
                assert path.read_text() == f"{number} {turn}"
                path.replace(tmp_path / str(number))

    with in_threads(12, write) as failures:
        pass
    assert failures == []
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {str(n): f"{n} 19" for n in range(12)}
