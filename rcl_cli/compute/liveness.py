"""Whether a process is still the one that it was, and whether anybody holds a lock."""

from __future__ import annotations

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

    def is_alive(self) -> bool:
        """Whether it still runs; of a foreign process that can't be told."""
        return start_token(self.pid) == self.started


def take_lock(lock: Path) -> int | None:
    """Lock a file as long as the descriptor that is returned, or a copy of it in another process, is open.

    Returns:
        None where somebody else holds it.

    Raises:
        OSError: the file can't be made, or its file system has no locks.
    """
    import fcntl

    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_locked(lock: Path) -> bool:
    """Whether somebody holds it.

    Raises:
        OSError: that can't be told (too many open files, say): it must not be taken for a no.
    """
    import fcntl

    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
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
