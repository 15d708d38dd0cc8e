"""Whether a process that the store remembers is still that process."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process, told apart from a later one with the same number by when it started."""

    pid: int
    started: str

    def is_alive(self) -> bool:
        return start_token(self.pid) == self.started


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
    except OSError:
        return None
    # The command name in parentheses may hold spaces and parentheses itself.
    fields = stat.rpartition(")")[2].split()
    state, ticks = fields[0], fields[19]
    return None if state in "ZX" else f"{boot}:{ticks}"
