"""Work on this machine: detached processes, each known by the lock that it holds.

The lock is taken by whoever starts a process and passed on to it, so there is no moment in which work that was started
looks as if nobody did it, whatever is killed, and no two processes do the same work. It holds in containers too, where
process numbers mean nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time

from rcl_cli.child import command, environment
from rcl_cli.compute.folder import WorkFolder
from rcl_cli.compute.launcher import Usage
from rcl_cli.compute.liveness import ProcessIdentity, is_locked, take_lock, this_process

_LOCK_FD = "RCL_LOCK_FD"
_LOCK_PATIENCE_S, _LOCK_RETRY_S = 1.0, 0.02


class LockClaim:
    """See `Claim`: the lock of a piece of work."""

    def __init__(self, folder: WorkFolder, lock: int) -> None:
        self._folder, self._lock = folder, lock

    def start(self, module: str) -> None:
        """See `Claim`."""
        self._folder.count_start()
        _spawn([module, str(self._folder.path)], self._folder, self._lock)

    def release(self) -> None:
        """See `Claim`. What was started has the lock too, and keeps it."""
        os.close(self._lock)


def claim(folder: WorkFolder) -> LockClaim | None:
    """See `Launcher`. Who only looks holds the lock for a moment too."""
    deadline = time.monotonic() + _LOCK_PATIENCE_S
    while (lock := take_lock(folder.lock)) is None and time.monotonic() < deadline:
        time.sleep(_LOCK_RETRY_S)
    return LockClaim(folder, lock) if lock is not None else None


def _spawn(words: list[str], folder: WorkFolder, lock: int) -> None:
    import subprocess
    import threading

    folder.log.parent.mkdir(parents=True, exist_ok=True)
    # The process has another working folder, where a relative path would mean something else.
    relative = ("RCL_BUCKETS_DIR", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
    absolute = {name: os.path.abspath(os.environ[name]) for name in relative if os.environ.get(name)}  # noqa: PTH100
    # Threads that wait in a loop for each other starve whatever else runs, another training above all. A tenth of
    # GNU OpenMP's patience halves that and costs a training that is alone next to nothing (bench/RESULTS.md).
    threads = {"GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "30000")}
    with folder.log.open("ab") as out:
        process = subprocess.Popen(
            command(*words),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            pass_fds=(lock,),
            cwd="/",
            env=environment(**absolute, **threads, **{_LOCK_FD: str(lock)}),
        )
    # Nobody here waits for its work; but a parent that lives on must not keep its remains as a zombie.
    # Where no thread can be had it may: from here on nothing fails, for the work has begun.
    with contextlib.suppress(RuntimeError):
        threading.Thread(target=process.wait, daemon=True).start()


def begin(folder: WorkFolder) -> None:
    """In a process that was started: say which one it is, and keep the lock to it, until it ends, however it ends.

    Raises:
        OSError: the disk is full.
    """
    descriptor = int(os.environ.pop(_LOCK_FD))
    os.set_inheritable(descriptor, False)
    # A forked process that lives on for a moment must not look like this one.
    os.register_at_fork(after_in_child=lambda: os.close(descriptor))
    folder.keep_handle(json.dumps(this_process()))


def is_at_work(folder: WorkFolder) -> bool:
    """See `Launcher`."""
    return is_locked(folder.lock)


def stop(folder: WorkFolder) -> None:
    """See `Launcher`; of another container's processes nobody here knows the number, so it is written down too."""
    process = _process(folder)
    if process is not None and process.is_alive():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
    # Last: a full disk must keep nobody from stopping anything.
    with contextlib.suppress(OSError):
        folder.ask_to_stop()


def is_frozen(folder: WorkFolder) -> bool:
    """See `Launcher`: by SIGSTOP, a debugger, or job control."""
    import psutil

    process = _process(folder)
    try:
        stopped = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
        return process is not None and process.is_alive() and psutil.Process(process.pid).status() in stopped
    except psutil.Error:
        return False


def kill(folder: WorkFolder) -> None:
    """See `Launcher`. What was started leads a session of its own."""
    process = _process(folder)
    if process is not None and process.is_alive():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def usage(folder: WorkFolder) -> Usage | None:
    """See `Launcher`."""
    import psutil

    process = _process(folder)
    if process is None or not process.is_alive():
        return None
    where = f"process {process.pid}"
    try:
        first = psutil.Process(process.pid)
        below = first.children(recursive=True)
        return Usage(where, len(below), sum(one.memory_info().rss for one in (first, *below)))
    except psutil.Error:
        return Usage(where, 0, None)


def _process(folder: WorkFolder) -> ProcessIdentity | None:
    """The process that was started last, None where it is another home's, or its number another container's."""
    try:
        if folder.is_copied:
            return None
        identity = ProcessIdentity(*json.loads(folder.handle or ""))
    except (OSError, ValueError, TypeError):
        return None
    return None if identity.is_foreign else identity
