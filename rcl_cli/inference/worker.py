"""A worker of a model host: decodes on the connections' threads, and runs the model on one of its own."""

from __future__ import annotations

import argparse
import contextlib
import errno
import hmac
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rcl_cli.backends.registry import load_predictor, read_card
from rcl_cli.config import cpu_cores
from rcl_cli.domain import Detection
from rcl_cli.errors import InternalServerError, ProvisionedThroughputExceeded, ServiceError
from rcl_cli.inference.batching import DEFAULT_BATCH, Batcher
from rcl_cli.inference.protocol import ProtocolError, receive_frame, send_frame

_MOST_REQUESTS = 128
_DRAIN_S = 20.0
_IDLE_S = 300.0
_RETRY_S = 0.05
_REPORT_S = 0.25
_DEFAULT_THRESHOLD = 0.5
_DEFAULT_TIMEOUT_S = 60.0
_ROUNDING = 1e-6
_BUSY = "The model has more requests than it can answer: try again."


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
        self._predictor = load_predictor(model_dir, device, threads)
        self._batcher = Batcher(self._predictor.forward, int(extra.get("batch", DEFAULT_BATCH)))
        # Decoding more images at once than there are cores makes all of them late.
        self._cores = threading.BoundedSemaphore(max(2, cpu_cores()))
        self._lock = threading.Lock()
        self.requests = 0

    def serve(self, connection: socket.socket) -> None:
        """Answer one connection's requests until it closes."""
        with connection:
            while True:
                try:
                    frame = receive_frame(connection)
                    if frame is None:
                        return
                    with self._counted():
                        send_frame(connection, self._answer(*frame))
                except (ProtocolError, OSError):
                    return

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self.requests += 1
        try:
            yield
        finally:
            with self._lock:
                self.requests -= 1

    def _answer(self, header: dict[str, Any], body: bytes) -> dict[str, Any]:
        try:
            if not hmac.compare_digest(str(header.get("nonce")), self._nonce) or header.get("op") != "detect":
                raise InternalServerError("This host serves another model.")
            if self.requests > _MOST_REQUESTS:
                raise ProvisionedThroughputExceeded(_BUSY)
            return {"labels": self._labels(header, body)}
        except ServiceError as error:
            return {"error": {"code": error.code, "message": error.message}}
        except Exception as error:  # noqa: BLE001 - a broken forward pass must not end the worker
            print(f"request failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            return {"error": {"code": "InternalServerError", "message": "The model failed on this image."}}

    def _labels(self, header: dict[str, Any], body: bytes) -> list[dict[str, Any]]:
        """CustomLabels of one image.

        Raises:
            ServiceError: the image can't be used, or there is too much to do.
        """
        deadline = time.monotonic() + float(header.get("timeout_s") or _DEFAULT_TIMEOUT_S)
        min_confidence, max_results = header.get("min_confidence"), header.get("max_results")
        floor = min(self._thresholds.values(), default=0.0) if min_confidence is None else min_confidence / 100
        if not self._cores.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise ProvisionedThroughputExceeded(_BUSY)
        try:
            # A bad image is answered here, before it meets others in a batch.
            prepared = self._predictor.prepare(body)
        finally:
            self._cores.release()
        output = self._batcher.submit(prepared.pixels, deadline).result()
        # Rounding must not lose what lies on the floor; `custom_labels` looks again.
        found = self._predictor.read(output, prepared, floor - _ROUNDING)
        return custom_labels(found, self._thresholds, min_confidence, max_results)


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


def _report_load(worker: Worker) -> None:
    """Tell the host how many requests are here, whenever that changes."""
    told = 0
    while True:
        time.sleep(_REPORT_S)
        if worker.requests != told:
            told = worker.requests
            with contextlib.suppress(OSError):
                os.write(1, b"load %d\n" % told)


def _end_with_host(lifeline: int) -> None:
    """End when the host does: its side of the pipe closes."""
    os.read(lifeline, 1)
    os._exit(1)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--socket-fd", type=int, required=True)
    parser.add_argument("--lifeline-fd", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_host, args=(arguments.lifeline_fd,), daemon=True).start()
    worker = Worker(arguments.model, os.environ["RCL_HOST_NONCE"], arguments.threads)
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
