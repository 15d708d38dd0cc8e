"""The model host: `python -m rcl_cli.inference.host`, started detached, one a running version.

It listens on one socket and keeps `--workers` worker processes that accept from it. A worker that dies is replaced;
when the host itself dies, however, its workers notice and end too.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from rcl_cli.inference import hosts
from rcl_cli.service.context import Context, make_context
from rcl_cli.store import versions
from rcl_cli.store.liveness import hold_lock, this_process
from rcl_cli.store.versions import Version

_READY = b"ready\n"
_START_S = 300.0
_MAX_RESTARTS, _RESTART_WINDOW_S = 5, 60.0
_DRAIN_S = 30.0
_BACKLOG = 512


def log(text: str) -> None:
    print(time.strftime("%Y-%m-%dT%H:%M:%S%z"), text, flush=True)


class Host:
    """Owns the socket and the workers.

    Args:
        units: how many workers.
    """

    def __init__(self, context: Context, version: Version, nonce: str, address: str, units: int) -> None:
        self._context, self._version, self._nonce, self._address = context, version, nonce, address
        self._units = units
        self._workers: dict[int, subprocess.Popen[bytes]] = {}
        self._restarts: list[float] = []
        # Ends when this process does, however it ends: workers watch the other side.
        self._lifeline_read, self._lifeline_write = os.pipe()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._stopping = False
        hosts.make_private(Path(address).parent)
        Path(address).unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(address)
        self._socket.listen(_BACKLOG)

    def _spawn_worker(self) -> subprocess.Popen[bytes]:
        arguments = [
            sys.executable, "-m", "rcl_cli.inference.worker",
            "--model", str(self._context.layout.model(self._version.id)),
            "--socket-fd", str(self._socket.fileno()),
            "--lifeline-fd", str(self._lifeline_read),
            "--workers", str(self._units),
        ]  # fmt: skip
        work_dir = str(self._context.layout.home / "cache")
        environment = {**os.environ, "RCL_HOST_NONCE": self._nonce, "RCL_WORK_DIR": work_dir}
        keep = (self._socket.fileno(), self._lifeline_read)
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, pass_fds=keep, env=environment)
        self._workers[process.pid] = process
        return process

    def _is_ready(self, worker: subprocess.Popen[bytes], deadline: float) -> bool:
        """Wait until a worker has loaded its model; false if it ended, took too long, or a stop came first."""
        if worker.stdout is None:
            return False
        while not self._stopping and (left := deadline - time.monotonic()) > 0:
            readable, _, _ = select.select([worker.stdout.fileno(), self._wake_read], [], [], left)
            if worker.stdout.fileno() in readable:
                return worker.stdout.readline() == _READY
            os.read(self._wake_read, 4096)
        return False

    def run(self) -> str:
        """Serve until asked to stop; returns the message for the version's status, empty if it could not start."""
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda *_: self._wake())
        started = [self._spawn_worker() for _ in range(self._units)]
        deadline = time.monotonic() + _START_S
        if not all(self._is_ready(worker, deadline) for worker in started):
            self._end_workers()
            return hosts.STOPPED if self._stopping else ""
        with self._context.database.write() as db:
            if not versions.move(db, self._version.id, ("STARTING",), "RUNNING", hosts.RUNNING):
                self._stopping = True
        log(f"running with {self._units} worker(s) on {self._address}")
        while not self._stopping and len(self._restarts) <= _MAX_RESTARTS:
            select.select([self._wake_read], [], [])
            os.read(self._wake_read, 4096)
            if not self._stopping:
                self._replace_dead()
        self._end_workers()
        return hosts.STOPPED if self._stopping else hosts.KEEPS_FAILING

    def _wake(self) -> None:
        try:
            os.write(self._wake_write, b"x")
        except BlockingIOError:
            return

    def _on_stop(self, _signal: int, _frame: object) -> None:
        self._stopping = True
        self._wake()

    def _replace_dead(self) -> None:
        for pid, worker in list(self._workers.items()):
            if worker.poll() is None:
                continue
            del self._workers[pid]
            now = time.monotonic()
            self._restarts = [*(then for then in self._restarts if now - then < _RESTART_WINDOW_S), now]
            log(f"worker {pid} ended with {worker.returncode}; starting another")
            if len(self._restarts) <= _MAX_RESTARTS:
                self._spawn_worker()

    def _end_workers(self) -> None:
        """Let workers answer what they have taken, then make sure that they are gone."""
        self._socket.close()
        Path(self._address).unlink(missing_ok=True)
        for worker in self._workers.values():
            worker.terminate()
        deadline = time.monotonic() + _DRAIN_S
        for worker in self._workers.values():
            try:
                worker.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--version-id", type=int, required=True)
    parser.add_argument("--nonce", required=True)
    parser.add_argument("--workers", type=int, required=True)
    arguments = parser.parse_args()
    context = make_context(arguments.home)
    hold_lock(context.layout.lock(arguments.version_id))
    with context.database.write() as db:
        claimed = versions.claim(db, arguments.version_id, arguments.nonce, this_process())
        version = versions.by_id(db, arguments.version_id)
        worker = versions.worker_of(db, arguments.version_id)
    if not claimed or version is None or version.status != "STARTING" or worker is None or not worker.address:
        log("this start was given up before it began")
        return 1
    context.database.close()
    host = Host(context, version, arguments.nonce, worker.address, arguments.workers)
    message = host.run()
    with context.database.write() as db:
        if message:
            versions.move(db, version.id, ("STARTING", "RUNNING", "STOPPING"), "STOPPED", message)
        else:
            versions.move(db, version.id, ("STARTING",), "FAILED", hosts.DID_NOT_START)
        versions.release(db, version.id)
    log(message or hosts.DID_NOT_START)
    return 0 if message else 1


if __name__ == "__main__":
    sys.exit(main())
