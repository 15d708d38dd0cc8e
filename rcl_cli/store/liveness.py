"""Whether a process that the store remembers is still that process."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import NamedTuple


class ProcessIdentity(NamedTuple):
    """A process, told apart from a later one with the same number by when it started.

    Args:
        started: `start_token` of the process.
    """

    pid: int
    started: str

    @property
    def is_foreign(self) -> bool:
        """Numbered by another PID namespace of this machine (a container): its number means nothing here."""
        mine, theirs = (start_token(os.getpid()) or "").split("|"), self.started.split("|")
        return len(mine) == len(theirs) == 3 and mine[0] == theirs[0] and mine[1] != theirs[1]

    def is_alive(self, lock: Path) -> bool:
        """Whether it still runs; a process of another container is known by the lock that it holds."""
        if self.is_foreign:
            return is_locked(lock)
        return start_token(self.pid) == self.started


def hold_lock(lock: Path) -> int:
    """Lock a file until this process ends, however it ends; returns the descriptor that holds it."""
    import fcntl

    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def is_locked(lock: Path) -> bool:
    import fcntl

    try:
        descriptor = os.open(lock, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def this_process() -> ProcessIdentity:
    return ProcessIdentity(os.getpid(), start_token(os.getpid()) or "")


def identify(pid: int) -> ProcessIdentity:
    return ProcessIdentity(pid, start_token(pid) or "")


def start_token(pid: int) -> str | None:
    """When a process started, unique over reboots; None if it does not run (a zombie does not)."""
    if Path("/proc/self/stat").exists():
        return _linux_start_token(pid)
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.Error:
        return None


def _linux_start_token(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - it is no path
    except OSError:
        return None
    # The command name in parentheses may hold spaces and parentheses itself.
    fields = stat.rpartition(")")[2].split()
    state, ticks = fields[0], fields[19]
    return None if state in "ZX" else f"{boot}|{namespace}|{ticks}"
