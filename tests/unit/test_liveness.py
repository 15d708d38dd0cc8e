"""Whether a process is still the one that it was, and who holds a lock."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rcl_cli.compute.liveness import ProcessIdentity, identify, is_locked, take_lock, this_process


def test_a_process_is_known_by_when_it_started() -> None:
    assert this_process().is_alive()
    assert not ProcessIdentity(os.getpid(), this_process().started + "0").is_alive()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = identify(child.pid)
    assert identity.is_alive()
    child.kill()
    child.wait()
    assert not identity.is_alive()
    child.communicate()


@pytest.mark.skipif(not Path("/proc/self/ns/pid").exists(), reason="PID namespaces are Linux's")
def test_a_process_of_another_container_is_told_apart() -> None:
    boot, _, ticks = this_process().started.split("|")
    assert ProcessIdentity(os.getpid(), f"{boot}|pid:[1]|{ticks}").is_foreign
    assert not this_process().is_foreign


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    lock = tmp_path / "folder" / "lock"
    assert not is_locked(lock)
    holder = take_lock(lock)
    assert holder is not None
    assert is_locked(lock)
    assert take_lock(lock) is None
    os.close(holder)
    assert not is_locked(lock)
