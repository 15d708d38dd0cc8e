"""The thin client of a model host, stdlib only."""

from __future__ import annotations

import socket
import threading
import time
from types import TracebackType
from typing import Any

from rcl_cli.compute.folder import WorkFolder
from rcl_cli.errors import InternalServerError, ResourceNotReady, service_error
from rcl_cli.inference.protocol import ProtocolError, receive_frame, send_frame

# The host gives a request up a little earlier than its client, which then hears why.
_TIMEOUT_S, _HOST_TIMEOUT_S = 120.0, 110.0
# A worker waits five minutes for the next request.
_REQUESTS, _IDLE_S, _MOST_IDLE = 64, 60.0, 64
_GONE = "The model is not running: its host has gone."


class HostConnection:
    """A connection to a host, for one request after the other.

    Args:
        address: path of its socket.
        nonce: proves that the host is the one that the store means.

    Raises:
        ResourceNotReady: nobody listens.
        InternalServerError: it can't be reached otherwise.
    """

    def __init__(self, address: str, nonce: str) -> None:
        self._address, self._nonce = address, nonce
        self._socket: socket.socket | None = self._connected()

    def _connected(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.settimeout(_TIMEOUT_S)
        try:
            made.connect(self._address)
        except (ConnectionError, FileNotFoundError) as error:
            made.close()
            raise ResourceNotReady(_GONE) from error
        except OSError as error:
            made.close()
            raise InternalServerError(f"The model host does not answer: {error}.") from error
        return made

    def __enter__(self) -> HostConnection:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def detect(self, image: bytes, min_confidence: float | None, max_results: int | None) -> list[dict[str, Any]]:
        """CustomLabels of an image, as the API returns them; see `ask`."""
        labels: list[dict[str, Any]] = self.ask(image, min_confidence, max_results)["labels"]
        return labels

    def ask(
        self, image: bytes, min_confidence: float | None, max_results: int | None, *, sized: bool = False
    ) -> dict[str, Any]:
        """`labels`: CustomLabels of an image; with `sized` also its upright `width` and `height` in pixels.

        Args:
            min_confidence: 0..100, None for the assumed thresholds.

        Raises:
            ResourceNotReady: the host has gone.
            ServiceError: what the host answered.
        """
        header = {
            "op": "detect", "nonce": self._nonce, "timeout_s": _HOST_TIMEOUT_S,
            "min_confidence": min_confidence, "max_results": max_results, "sized": sized,
        }  # fmt: skip
        try:
            reply = self._exchange(header, image)
            if reply is None:
                # One worker of several has ended, as they do when there is little to do; the host may well be there.
                reply = self._exchange(header, image)
        except (OSError, ProtocolError) as error:
            # What comes later on this connection would be taken for the answer to the next request.
            self.close()
            raise InternalServerError(f"The model host does not answer: {error}.") from error
        if reply is None:
            raise ResourceNotReady(_GONE)
        if "error" in reply:
            raise service_error(reply["error"]["code"], reply["error"]["message"])
        return reply

    def _exchange(self, header: dict[str, Any], image: bytes) -> dict[str, Any] | None:
        """What is answered, None where the other side has gone."""
        if self._socket is None:
            self._socket = self._connected()
        try:
            send_frame(self._socket, header, image)
            answer = receive_frame(self._socket)
        except ConnectionError:
            answer = None
        if answer is None:
            self.close()
            return None
        return answer[0]


def place_of(folder: WorkFolder) -> tuple[str, str] | None:
    """(address, nonce) of the host that was started in a folder; None where none was, or only in another home."""
    try:
        if folder.is_copied:
            return None
        request = folder.request()
        return str(request["address"]), str(request["nonce"])
    except (OSError, ValueError, KeyError):
        return None


def _answered(
    connection: HostConnection, image: bytes, min_confidence: float | None, max_results: int | None
) -> list[dict[str, Any]]:
    """What a connection answers; it is closed where that fails."""
    try:
        return connection.detect(image, min_confidence, max_results)
    except BaseException:
        connection.close()
        raise


class HostPool:
    """Connections to hosts that are kept between requests: each costs the host a thread, and its image's way a copy.

    Now and then a connection is given up, so that new workers get some.
    """

    def __init__(self) -> None:
        self._idle: dict[tuple[str, str], list[tuple[HostConnection, int, float]]] = {}
        self._lock = threading.Lock()

    def detect(
        self, address: str, nonce: str, image: bytes, min_confidence: float | None, max_results: int | None
    ) -> list[dict[str, Any]]:
        """CustomLabels of an image; see `HostConnection`."""
        host = (address, nonce)
        kept = self._taken(host)
        connection, left = kept or (HostConnection(address, nonce), _REQUESTS)
        try:
            labels = _answered(connection, image, min_confidence, max_results)
        except ResourceNotReady:
            if kept is None:
                raise
            # What was kept says nothing about now.
            connection, left = HostConnection(address, nonce), _REQUESTS
            labels = _answered(connection, image, min_confidence, max_results)
        self._give_back(host, connection, left - 1)
        return labels

    def _taken(self, host: tuple[str, str]) -> tuple[HostConnection, int] | None:
        with self._lock:
            idle = self._idle.get(host)
            if not idle:
                return None
            connection, left, _ = idle.pop()
            return connection, left

    def _give_back(self, host: tuple[str, str], connection: HostConnection, left: int) -> None:
        now, closed = time.monotonic(), [connection] if left <= 0 else []
        with self._lock:
            if left > 0:
                self._idle.setdefault(host, []).append((connection, left, now))
            for other, idle in list(self._idle.items()):
                # The oldest come first; hosts that were stopped are among them.
                while idle and (now - idle[0][2] > _IDLE_S or len(idle) > _MOST_IDLE):
                    closed.append(idle.pop(0)[0])
                if not idle:
                    del self._idle[other]
        for one in closed:
            one.close()


POOL = HostPool()


def detect(
    address: str, nonce: str, image: bytes, min_confidence: float | None, max_results: int | None
) -> list[dict[str, Any]]:
    """Ask a host once; see `HostConnection`."""
    return POOL.detect(address, nonce, image, min_confidence, max_results)
