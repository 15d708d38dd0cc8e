"""A worker of a model host: decodes on connection threads, batches, and runs the model on one thread."""

from __future__ import annotations

import argparse
import contextlib
import errno
import hmac
import os
import queue
import signal
import socket
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcl_cli.backends.base import Predictor
from rcl_cli.backends.registry import load_predictor, read_card
from rcl_cli.config import cpu_cores
from rcl_cli.domain import Detection
from rcl_cli.errors import InternalServerError, ProvisionedThroughputExceeded, ServiceError
from rcl_cli.imaging.decode import decode
from rcl_cli.inference.protocol import ProtocolError, receive_frame, send_frame

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MAX_BATCH = 16
_QUEUE_LENGTH = 128
_DRAIN_S = 20.0
_IDLE_S = 300.0
_RETRY_S = 0.05
_DEFAULT_THRESHOLD = 0.5


class Batcher:
    """Groups waiting images into batches; one thread owns the model.

    The first image opens a batch and whatever waits already joins it, so a single request is never delayed.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._waiting: queue.Queue[tuple[NDArray[np.uint8], Future[list[Detection]]]] = queue.Queue(_QUEUE_LENGTH)
        threading.Thread(target=self._run, daemon=True).start()

    def submit(self, image: NDArray[np.uint8]) -> Future[list[Detection]]:
        """Queue a decoded image.

        Raises:
            ProvisionedThroughputExceeded: too many wait already.
        """
        future: Future[list[Detection]] = Future()
        try:
            self._waiting.put_nowait((image, future))
        except queue.Full as error:
            raise ProvisionedThroughputExceeded("The model has more requests than it can answer: try again.") from error
        return future

    def _run(self) -> None:
        while True:
            batch = [self._waiting.get()]
            with contextlib.suppress(queue.Empty):
                while len(batch) < _MAX_BATCH:
                    batch.append(self._waiting.get_nowait())
            try:
                results = self._predictor.predict([image for image, _ in batch])
            except Exception as error:  # noqa: BLE001 - the thread must live; callers get the error
                for _, future in batch:
                    future.set_exception(error)
                continue
            for (_, future), found in zip(batch, results, strict=True):
                future.set_result(found)


def custom_labels(
    found: list[Detection], thresholds: dict[str, float], min_confidence: float | None, max_results: int | None
) -> list[dict[str, Any]]:
    """CustomLabels of the API, best first.

    Args:
        min_confidence: 0..100 for all labels; None for each label's own threshold.
    """
    kept = [d for d in found if _is_shown(d, thresholds, min_confidence)]
    kept.sort(key=lambda d: -d.score)
    return [_as_label(d) for d in (kept if max_results is None else kept[:max_results])]


def _is_shown(detection: Detection, thresholds: dict[str, float], min_confidence: float | None) -> bool:
    if min_confidence is not None:
        return detection.score * 100 >= min_confidence
    return detection.score >= thresholds.get(detection.label, _DEFAULT_THRESHOLD)


def _as_label(detection: Detection) -> dict[str, Any]:
    label: dict[str, Any] = {"Name": detection.label, "Confidence": detection.score * 100}
    if detection.box is not None:
        box = detection.box
        label["Geometry"] = {
            "BoundingBox": {"Width": box.width, "Height": box.height, "Left": box.left, "Top": box.top}
        }
    return label


class Worker:
    """Answers connections."""

    def __init__(self, model_dir: Path, nonce: str, threads: int) -> None:
        _, extra = read_card(model_dir)
        device = _device(str(extra.get("device", "cpu")))
        self._thresholds: dict[str, float] = extra["thresholds"]
        self._nonce = nonce
        self._batcher = Batcher(load_predictor(model_dir, device, threads))
        self.busy = 0
        self._lock = threading.Lock()

    def serve(self, connection: socket.socket) -> None:
        """Answer one connection's requests until it closes."""
        with connection:
            while True:
                try:
                    frame = receive_frame(connection)
                except (ProtocolError, OSError):
                    return
                if frame is None:
                    return
                with self._lock:
                    self.busy += 1
                try:
                    send_frame(connection, self._answer(*frame))
                except OSError:
                    return
                finally:
                    with self._lock:
                        self.busy -= 1

    def _answer(self, header: dict[str, Any], body: bytes) -> dict[str, Any]:
        try:
            if not hmac.compare_digest(str(header.get("nonce")), self._nonce) or header.get("op") != "detect":
                raise InternalServerError("This host serves another model.")
            # Decoded here, on the connection's own thread: a bad image is answered before it meets others.
            found = self._batcher.submit(decode(body)).result()
            labels = custom_labels(found, self._thresholds, header.get("min_confidence"), header.get("max_results"))
        except ServiceError as error:
            return {"error": {"code": error.code, "message": error.message}}
        except Exception as error:  # noqa: BLE001 - a broken forward pass must not end the worker
            print(f"request failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            return {"error": {"code": "InternalServerError", "message": "The model failed on this image."}}
        return {"labels": labels}


def _device(evaluated_on: str) -> str:
    """The device to serve on: the one that the model was evaluated on, or the CPU where that is gone."""
    if evaluated_on == "cpu":
        return "cpu"
    import torch

    there = torch.cuda.is_available() if evaluated_on == "cuda" else torch.backends.mps.is_available()
    return evaluated_on if there else "cpu"


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


def _end_with_host(lifeline: int) -> None:
    """End when the host does: its side of the pipe closes."""
    os.read(lifeline, 1)
    os._exit(1)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--socket-fd", type=int, required=True)
    parser.add_argument("--lifeline-fd", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True)
    arguments = parser.parse_args()
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_host, args=(arguments.lifeline_fd,), daemon=True).start()
    threads = max(1, cpu_cores() // arguments.workers)
    worker = Worker(arguments.model, os.environ["RCL_HOST_NONCE"], threads)
    listener = socket.socket(fileno=arguments.socket_fd)
    threading.Thread(target=_accept, args=(listener, worker, stopping), daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    stopping.wait()
    # Take nothing more; answer what is here.
    deadline = time.monotonic() + _DRAIN_S
    while worker.busy and time.monotonic() < deadline:
        time.sleep(0.01)
    return 0


if __name__ == "__main__":
    sys.exit(main())
