"""Homes whose path is too long for a socket: hosts listen in a temporary folder of their own."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from rcl_cli.compute.places import host_of
from rcl_cli.inference.address import socket_address
from rcl_cli.inference.client import place_of
from rcl_cli.operations.settle import launcher
from rcl_cli.scratch import left_behind
from tests.conftest import make_home, wait_until
from tests.functional.models import Trained


def test_names_cannot_be_known_before(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    first, second = (socket_address(folder, nonce) for nonce in ("a" * 32, "b" * 32))
    assert first != second
    assert len(os.fsencode(first)) <= 107
    assert "aaaaaaaa" not in first


def test_a_host_makes_its_place_and_takes_it_away(
    own_detector: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Short, or it would be too long itself.
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        monkeypatch.setenv("TMPDIR", short)
        monkeypatch.setattr(tempfile, "tempdir", short)
        long = tmp_path / ("x" * 120) / "home"
        long.parent.mkdir()
        shutil.copytree(own_detector.home.path, long)
        home = make_home(long)
        image = {"Bytes": next((home.buckets / "data").glob("*.jpg")).read_bytes()}
        version = own_detector.version

        def run() -> Path:
            home.call("StartProjectVersion", ProjectVersionArn=version, MinInferenceUnits=1)
            assert home.wait(own_detector.project, "v", leaving="STARTING")[0] == "RUNNING"
            assert "CustomLabels" in home.call("DetectCustomLabels", ProjectVersionArn=version, Image=image)
            place = place_of(host_of(home.context.layout, 1))
            assert place is not None
            folder = Path(place[0]).parent
            assert (folder.parent, folder.stat().st_mode & 0o777) == (Path(short), 0o700)
            return folder

        folder = run()
        assert left_behind() == []
        home.call("StopProjectVersion", ProjectVersionArn=version)
        assert home.wait(own_detector.project, "v", leaving="STOPPING")[0] == "STOPPED"
        assert not folder.exists()
        # A host that is killed leaves it to whoever comes next.
        folder = run()
        usage = launcher().usage(host_of(home.context.layout, 1))
        assert usage is not None
        os.kill(int(usage.where.split()[-1]), signal.SIGKILL)
        wait_until(lambda: home.status(own_detector.project, "v")[0] == "STOPPED")
        wait_until(lambda: left_behind() == [folder])
        home.context.database.close()
