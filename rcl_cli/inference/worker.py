"""A worker of a model host: answers connections, each on a thread of its own, with one model."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import errno
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rcl_cli import heap
from rcl_cli.backends.base import DeviceLost
from rcl_cli.backends.uncompiled import leave_out_the_compiler
from rcl_cli.backends.whole import faults
from rcl_cli.errors import ConfigError, InternalServerError, ProvisionedThroughputExceeded, ServiceError
from rcl_cli.imaging.decode import read_header
from rcl_cli.inference.engines import BUSY
from rcl_cli.inference.model import LoadedModel
from rcl_cli.inference.protocol import ProtocolError, receive_frame, send_frame

_MOST_REQUESTS = 128
_DRAIN_S = 20.0
_IDLE_S = 300.0
_RETRY_S = 0.05
_REPORT_S, _ALIVE_S = 0.25, 5.0
# Without requests for so long, memory that they needed is given back.
_QUIET_S = 5.0
_DEFAULT_TIMEOUT_S = 60.0
# Of prctl(2).
_PR_SET_PDEATHSIG = 1


class Worker:
    """Answers connections."""

    def __init__(self, model: LoadedModel, nonce: str, stopping: threading.Event) -> None:
        self._model, self._nonce, self._stopping = model, nonce, stopping
        self._lock = threading.Lock()
        # Now, and ever.
        self.requests = self.taken = 0
        # When the model was asked, by the threads that wait for it.
        self._began: dict[int, float] = {}

    @property
    def oldest_s(self) -> float:
        """For how long the request that has waited longest waits for the model, in seconds."""
        with self._lock:
            return time.monotonic() - min(self._began.values(), default=time.monotonic())

    def serve(self, connection: socket.socket) -> None:
        """Answer one connection's requests until it closes."""
        with connection:
            while True:
                try:
                    frame = receive_frame(connection)
                    if frame is None:
                        return
                    with self._counted():
                        with self._timed():
                            answer = self._answer(*frame)
                        send_frame(connection, answer)
                    if self._stopping.is_set():
                        # Whoever keeps the connection asks another worker.
                        return
                except (ProtocolError, OSError):
                    return

    def rest(self) -> None:
        """Keep no more memory than the next request needs."""
        self._model.rest()
        heap.trim()

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self.requests += 1
            self.taken += 1
        try:
            yield
        finally:
            with self._lock:
                self.requests -= 1

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        with self._lock:
            self._began[threading.get_ident()] = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                del self._began[threading.get_ident()]

    def _answer(self, header: dict[str, Any], body: bytes) -> dict[str, Any]:
        try:
            if header.get("nonce") != self._nonce or header.get("op") != "detect":
                raise InternalServerError("This host serves another model.")
            if self.requests > _MOST_REQUESTS:
                raise ProvisionedThroughputExceeded(BUSY)
            timeout_s = float(header.get("timeout_s") or _DEFAULT_TIMEOUT_S)
            found = self._model.detect(body, header.get("min_confidence"), header.get("max_results"), timeout_s)
            size = read_header(body) if header.get("sized") else None
            return {"labels": found, **({"width": size.width, "height": size.height} if size else {})}
        except ServiceError as error:
            return {"error": {"code": error.code, "message": error.message}}
        except ConfigError as error:
            return {"error": {"code": "InternalServerError", "message": str(error)}}
        except DeviceLost as error:
            # The host starts another one, which can have the device anew.
            print(f"the device is lost: {error}", file=sys.stderr, flush=True)
            os._exit(1)
        except Exception as error:  # noqa: BLE001 - a broken forward pass must not end the worker
            print(f"request failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            return {"error": {"code": "InternalServerError", "message": "The model failed on this image."}}


def _accept(listener: socket.socket, worker: Worker, stopping: threading.Event) -> None:
    while not stopping.is_set():
        try:
            connection, _ = listener.accept()
        except OSError as error:
            if error.errno == errno.EBADF:
                return
            # Out of descriptors, most likely: they come back as clients go.
            time.sleep(_RETRY_S)
            continue
        connection.settimeout(_IDLE_S)
        try:
            threading.Thread(target=worker.serve, args=(connection,), daemon=True).start()
        except RuntimeError:
            connection.close()
            time.sleep(_RETRY_S)


def _report_load(worker: Worker) -> None:
    """Tell the host how many requests are here and since when, whenever that changes, and now and then that we are."""
    told, told_at, busy_at, taken, is_trim = 0, time.monotonic(), 0.0, 0, True
    while True:
        time.sleep(_REPORT_S)
        now = time.monotonic()
        # One may have come and gone between two looks.
        if worker.requests or worker.taken != taken:
            busy_at, taken, is_trim = now, worker.taken, False
        elif not is_trim and now - busy_at > _QUIET_S:
            is_trim = True
            try:
                worker.rest()
            except Exception as error:  # noqa: BLE001 - whoever does not report any more is taken for hung
                print(f"memory is kept: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        if worker.requests != told or now - told_at > _ALIVE_S:
            told, told_at = worker.requests, now
            with contextlib.suppress(OSError):
                os.write(1, b"load %d\noldest %d\n" % (told, worker.oldest_s))


def _end_with_host(lifeline: int) -> None:
    """End when the host does: its side of the pipe closes."""
    os.read(lifeline, 1)
    os._exit(1)


def _be_killed_with_host(host: int) -> None:
    """Let Linux see to it as well: a worker that is stopped at that moment reads nothing."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != host:
        # It ended before that.
        os._exit(1)


def _damage(model: Path) -> str:
    """Why a model is not to be served; empty for a whole one."""
    try:
        found = faults(model, hashed=True)
    except ConfigError as error:
        return str(error)
    except (AttributeError, KeyError, TypeError) as error:
        return f"The card of the model in {model} is damaged: {error!r}"
    return f"The model is damaged: {found[0]}; put the file back from a backup, or train again." if found else ""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--socket-fd", type=int, required=True)
    parser.add_argument("--lifeline-fd", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--host-pid", type=int, required=True)
    arguments = parser.parse_args()
    _be_killed_with_host(arguments.host_pid)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_host, args=(arguments.lifeline_fd,), daemon=True).start()
    # One a thread would each keep what it had most of, and what is free at the end of a second one is never trimmed but
    # by a threshold, with which glibc maps every image anew.
    heap.tune(heaps=1)
    leave_out_the_compiler()
    if said := _damage(arguments.model):
        os.write(1, f"refused {said}\n".encode())
        return 1
    worker = Worker(LoadedModel(arguments.model, arguments.threads), os.environ["RCL_HOST_NONCE"], stopping)
    heap.trim()
    listener = socket.socket(fileno=arguments.socket_fd)
    threading.Thread(target=_accept, args=(listener, worker, stopping), daemon=True).start()
    os.write(1, b"ready\n")
    threading.Thread(target=_report_load, args=(worker,), daemon=True).start()
    stopping.wait()
    # Take nothing more; answer what is here.
    deadline = time.monotonic() + _DRAIN_S
    while worker.requests and time.monotonic() < deadline:
        time.sleep(0.01)
    return 0


if __name__ == "__main__":
    sys.exit(main())
