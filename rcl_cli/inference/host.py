"""The model host: `python -m rcl_cli.inference.host FOLDER`, started detached, one a running version.

It listens on one socket and keeps worker processes that accept from it: `least` of them always, up to `most` while
there is more to do. A worker that dies is replaced; when the host itself dies, its workers notice and end too. It knows
its folder and the model's, and says in its folder when it runs and how it ended.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from rcl_cli.child import command, environment
from rcl_cli.compute.folder import WorkFolder
from rcl_cli.compute.local import begin
from rcl_cli.config import cpu_cores
from rcl_cli.inference.scaling import Scaling
from rcl_cli.scratch import scratch_at
from rcl_cli.status import VersionStatus

STOPPED = "The model is stopped."
DID_NOT_START = "The model's host ended before the model was loaded: see `rcl logs --host PROJECT/VERSION`."
KEEPS_FAILING = "The model's workers keep failing: see `rcl logs --host PROJECT/VERSION`."
_START_S = 300.0
_MAX_RESTARTS, _RESTART_WINDOW_S = 5, 60.0
_DRAIN_S = 30.0
_BACKLOG = 512
_LOOK_S, _IDLE_LOOK_S = 0.5, 2.0
# A worker says each few seconds that it is there; and clients wait half as long as this for an answer.
_SILENT_S, _ANSWER_S = 30.0, 240.0
# Where the system tells that a worker is stopped (SIGSTOP), that is soon enough: SDKs wait a minute in all.
_STOPPED_S = 4.0


def log(text: str) -> None:
    print(time.strftime("%Y-%m-%dT%H:%M:%S%z"), text, flush=True)


def _is_stopped(pid: int) -> bool:
    """Whether a child is stopped, as SIGSTOP does it; not every system can say so."""
    if not hasattr(os, "waitid"):
        return False
    try:
        # Whether it has ended is for others to ask.
        return os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


class WorkerProcess:
    """A worker as its host sees it.

    Args:
        load: requests that it has, as it last said.
        heard: when it said anything, in monotonic seconds.
        refusal: why it does not load the model, as far as it says so.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None  # noqa: S101 - it was started with a pipe
        self.process, self.pipe = process, process.stdout.fileno()
        self.is_ready, self.is_listened_to, self.load = False, True, 0
        self.heard, self._oldest_s = time.monotonic(), 0
        self._stopped_at: float | None = None
        self.refusal = ""
        self._text = b""

    def forgive(self, now: float) -> None:
        """What it has not said or done until now does not count."""
        self.heard, self._oldest_s, self._stopped_at = now, 0, None

    def is_hung(self, now: float) -> bool:
        """Whether nothing is to be expected of it any more: it was stopped, or does not get on with a request."""
        self._stopped_at = (self._stopped_at or now) if _is_stopped(self.process.pid) else None
        if self._stopped_at is not None and now - self._stopped_at > _STOPPED_S:
            return True
        return now - self.heard > (_SILENT_S if self.is_ready else _START_S) or self._oldest_s > _ANSWER_S

    def listen(self) -> None:
        """Take in what the worker has said."""
        said = os.read(self.pipe, 4096)
        self.is_listened_to, self.heard = bool(said), time.monotonic()
        *lines, self._text = (self._text + said).split(b"\n")
        for line in lines:
            self.is_ready = self.is_ready or line == b"ready"
            if line.startswith(b"refused "):
                self.refusal = line[8:].decode("utf-8", "replace")
            if line.startswith(b"load "):
                self.load = int(line[5:])
            if line.startswith(b"oldest "):
                self._oldest_s = int(line[7:])

    def close(self) -> None:
        if self.process.stdout is not None:
            self.process.stdout.close()


class Request(NamedTuple):
    """What a host is asked to do.

    Args:
        model: the model's folder.
        work_dir: for what libraries keep.
        address: the socket to listen on.
        nonce: proves to clients, and they to it, that they mean each other.
        least, most: how many workers.
    """

    model: Path
    work_dir: str
    address: str
    nonce: str
    least: int
    most: int

    @classmethod
    def of(cls, document: dict[str, Any]) -> Request:
        return cls(**{**document, "model": Path(document["model"])})


class Host:
    """Owns the socket and the workers.

    Args:
        on_running: told once, when the workers are ready.
        is_to_stop: whether somebody asked it to end whose signals don't reach it.
    """

    def __init__(self, request: Request, on_running: Callable[[], None], is_to_stop: Callable[[], bool]) -> None:
        self._model, self._nonce, self._address = request.model, request.nonce, request.address
        self._least, self._most = request.least, request.most
        self._work_dir, self._on_running, self._is_to_stop = request.work_dir, on_running, is_to_stop
        self._workers: dict[int, WorkerProcess] = {}
        # Told to end, and answering what they have taken.
        self._leaving: set[int] = set()
        self._restarts: list[float] = []
        self._scaling = Scaling(request.least, request.most, time.monotonic())
        self._stopping, self._looked = False, time.monotonic()
        self._lifeline_read = self._lifeline_write = self._wake_read = self._wake_write = -1
        self._socket: socket.socket | None = None
        self._stack = ExitStack()

    def _open(self) -> None:
        """Make the pipes and the socket."""
        # Ends when this process does, however it ends: workers watch the other side.
        self._lifeline_read, self._lifeline_write = os.pipe()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        if not Path(self._address).parent.exists():
            # The home's own path was too long for a socket.
            self._stack.enter_context(scratch_at(Path(self._address).parent))
        Path(self._address).unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(self._address)
        self._socket.listen(_BACKLOG)

    def _spawn_worker(self) -> None:
        assert self._socket is not None  # noqa: S101 - it is open while the host runs
        arguments = command(
            "rcl_cli.inference.worker",
            "--model", str(self._model),
            "--socket-fd", str(self._socket.fileno()),
            "--lifeline-fd", str(self._lifeline_read), "--host-pid", str(os.getpid()),
            "--threads", str(max(1, cpu_cores() // self._least)),
        )  # fmt: skip
        variables = environment(RCL_HOST_NONCE=self._nonce, RCL_WORK_DIR=self._work_dir)
        keep = (self._socket.fileno(), self._lifeline_read)
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, pass_fds=keep, env=variables)
        self._workers[process.pid] = WorkerProcess(process)

    def _look(self, timeout_s: float) -> None:
        """Wait until something happens, but not for ever; take in what workers say."""
        talking = {one.pipe: one for one in self._workers.values() if one.is_listened_to}
        readable, _, _ = select.select([self._wake_read, *talking], [], [], max(0.0, timeout_s))
        for descriptor in readable:
            if descriptor in talking:
                talking[descriptor].listen()
            else:
                os.read(self._wake_read, 4096)

    def _start(self) -> bool:
        """Start the workers; false if one ended, took too long, or a stop came first."""
        for _ in range(self._least):
            self._spawn_worker()
        deadline = time.monotonic() + _START_S
        while not all(one.is_ready for one in self._workers.values()):
            self._look(min(_IDLE_LOOK_S, deadline - time.monotonic()))
            self._stopping = self._stopping or self._is_to_stop()
            failed = any(one.process.poll() is not None for one in self._workers.values())
            if self._stopping or failed or time.monotonic() > deadline:
                return False
        return True

    def run(self) -> str:
        """Serve until asked to stop; returns the message for the version's status, empty if it could not start."""
        self._open()
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda *_: self._wake())
        if not self._start():
            self._end_workers()
            return STOPPED if self._stopping else ""
        self._on_running()
        log(f"running with {self._least} to {self._most} worker(s) on {self._address}")
        while not self._stopping and len(self._restarts) <= _MAX_RESTARTS:
            # Load is only of interest where there is something to decide.
            self._look(_LOOK_S if self._most > self._least else _IDLE_LOOK_S)
            self._stopping = self._stopping or self._is_to_stop()
            if not self._stopping:
                self._end_hung(time.monotonic())
                self._replace_dead()
                self._scale(time.monotonic())
        self._end_workers()
        return STOPPED if self._stopping else KEEPS_FAILING

    def _wake(self) -> None:
        try:
            os.write(self._wake_write, b"x")
        except BlockingIOError:
            return

    def _on_stop(self, _signal: int, _frame: object) -> None:
        self._stopping = True
        self._wake()

    @property
    def refusal(self) -> str:
        """Why workers do not load the model; empty where they do, or don't say."""
        return next((worker.refusal for worker in self._workers.values() if worker.refusal), "")

    def _end_hung(self, now: float) -> None:
        """Kill workers that do nothing any more: their clients ask again, and are answered by others."""
        if now - self._looked > _SILENT_S / 2:
            # This process was stopped itself, and they may have been with it.
            for worker in self._workers.values():
                worker.forgive(now)
        self._looked = now
        for pid, worker in self._workers.items():
            if worker.is_hung(now):
                log(f"worker {pid} does nothing any more; ending it")
                worker.process.kill()
                # When it has ended, it is replaced.
                worker.forgive(now)

    def _replace_dead(self) -> None:
        for pid, worker in list(self._workers.items()):
            if worker.process.poll() is None:
                continue
            del self._workers[pid]
            worker.close()
            if pid in self._leaving:
                self._leaving.discard(pid)
                continue
            now = time.monotonic()
            self._restarts = [*(then for then in self._restarts if now - then < _RESTART_WINDOW_S), now]
            log(f"worker {pid} ended with {worker.process.returncode}; starting another")
            if len(self._restarts) <= _MAX_RESTARTS:
                self._spawn_worker()

    def _scale(self, now: float) -> None:
        """One worker more, or one less, where that is called for."""
        serving = [one for pid, one in self._workers.items() if pid not in self._leaving]
        change = self._scaling.decide([one.load if one.is_ready else None for one in serving], now)
        if not change:
            return
        log(f"{sum(one.load for one in serving)} requests: one worker {'more' if change > 0 else 'less'}")
        if change > 0:
            self._spawn_worker()
        else:
            youngest = serving[-1].process
            self._leaving.add(youngest.pid)
            youngest.terminate()

    def _end_workers(self) -> None:
        """Let workers answer what they have taken, then make sure that they are gone."""
        if self._socket is not None:
            self._socket.close()
        Path(self._address).unlink(missing_ok=True)
        self._stack.close()
        for worker in self._workers.values():
            worker.process.terminate()
        deadline = time.monotonic() + _DRAIN_S
        for worker in self._workers.values():
            try:
                worker.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()


def main() -> int:
    path = Path(sys.argv[1])
    folder = WorkFolder(path, path.with_suffix(".lock"), path / "host.log")
    begin(folder)
    status, message = _served(folder)
    folder.finish({"status": status, "message": message})
    log(message)
    return 0 if status == VersionStatus.STOPPED else 1


def _is_asked_to_stop(folder: WorkFolder) -> bool:
    try:
        return folder.stop_asked_s is not None
    except OSError:
        # A network's file system has a bad moment.
        return False


def _served(folder: WorkFolder) -> tuple[str, str]:
    """Serve until asked to stop; how it ended."""
    request = Request.of(folder.request())
    host = Host(request, lambda: folder.tell({"running": True}), lambda: _is_asked_to_stop(folder))
    said = host.run()
    return (VersionStatus.STOPPED, said) if said else (VersionStatus.FAILED, host.refusal or DID_NOT_START)


if __name__ == "__main__":
    sys.exit(main())
