"""Temporary folders go, whoever ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rcl_cli.scratch import left_behind, scratch

_KEEPER = """
import sys, time
from rcl_cli.scratch import scratch
with scratch("trial") as folder:
    (folder / "image.jpg").write_bytes(bytes(9))
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def test_it_is_private_and_goes(tmp_path: Path) -> None:
    with scratch("trial") as folder:
        (folder / "image.jpg").write_bytes(bytes(9))
        assert (folder.parent, folder.stat().st_mode & 0o777) == (tmp_path, 0o700)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_with_the_next_and_what_one_uses_stays(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _KEEPER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        with scratch("trial"):
            assert (folder / "image.jpg").exists()
        assert left_behind() == []
        process.send_signal(signal.SIGKILL)
    assert left_behind() == [folder]
    with scratch("trial"):
        assert not folder.exists()


def test_links_that_somebody_plants_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "work").write_text("years")
    (tmp_path / "rcl-scratch-a").symlink_to(tmp_path / "precious")
    with scratch("trial"):
        pass
    assert (tmp_path / "precious" / "work").read_text() == "years"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give folders away")
def test_folders_of_others_stay(tmp_path: Path) -> None:
    theirs = tmp_path / "rcl-scratch-theirs"
    theirs.mkdir()
    os.chown(theirs, 12345, -1)
    with scratch("trial"):
        pass
    assert theirs.exists()
    assert left_behind() == []
