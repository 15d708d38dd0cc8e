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
        request = folder.own_request()
        return None if request is None else (str(request["address"]), str(request["nonce"]))
    except (OSError, ValueError, KeyError):
        return None


class HostPool:
    """Connections to a host that are kept between requests: each costs the host a thread.

    Now and then one is given up, so that new workers get some.

    Args:
        address, nonce: as in `HostConnection`.
    """

    def __init__(self, address: str, nonce: str) -> None:
        self._host = (address, nonce)
        self._idle: list[tuple[HostConnection, int, float]] = []
        self._lock, self._is_closed, self._used = threading.Lock(), False, time.monotonic()

    def ask(
        self, image: bytes, min_confidence: float | None, max_results: int | None, *, sized: bool = False
    ) -> dict[str, Any]:
        """See `HostConnection.ask`; from as many threads as there are."""
        kept = self._taken()
        connection, left = kept or (HostConnection(*self._host), _REQUESTS)
        try:
            reply = connection.ask(image, min_confidence, max_results, sized=sized)
        except ResourceNotReady:
            connection.close()
            if kept is None:
                raise
            # What was kept says nothing about now.
            return self.ask(image, min_confidence, max_results, sized=sized)
        except BaseException:
            connection.close()
            raise
        self._give_back(connection, left - 1)
        return reply

    def _taken(self) -> tuple[HostConnection, int] | None:
        with self._lock:
            return self._idle.pop()[:2] if self._idle else None

    def _give_back(self, connection: HostConnection, left: int) -> None:
        now, given_up = time.monotonic(), []
        with self._lock:
            if left > 0 and not self._is_closed:
                self._idle.append((connection, left, now))
            else:
                given_up.append(connection)
            # The oldest come first.
            while self._idle and (now - self._idle[0][2] > _IDLE_S or len(self._idle) > _MOST_IDLE):
                given_up.append(self._idle.pop(0)[0])
            self._used = now
        for one in given_up:
            one.close()

    def is_unused(self) -> bool:
        """Whether nobody has asked for as long as connections are kept."""
        return time.monotonic() - self._used > _IDLE_S

    def close(self) -> None:
        """Close what is not asked just now, and the rest when it has answered."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for connection, _, _ in idle:
            connection.close()


_POOLS: dict[tuple[str, str], HostPool] = {}
_POOLS_LOCK = threading.Lock()


def pool_of(address: str, nonce: str) -> HostPool:
    """This process's connections to a host; those of hosts that nobody asks any more go when another one is asked."""
    with _POOLS_LOCK:
        if (address, nonce) not in _POOLS:
            for host in [host for host, pool in _POOLS.items() if pool.is_unused()]:
                _POOLS.pop(host).close()
            _POOLS[address, nonce] = HostPool(address, nonce)
        return _POOLS[address, nonce]


def detect(
    address: str, nonce: str, image: bytes, min_confidence: float | None, max_results: int | None
) -> list[dict[str, Any]]:
    """CustomLabels of an image; see `HostConnection.ask`."""
    labels: list[dict[str, Any]] = pool_of(address, nonce).ask(image, min_confidence, max_results)["labels"]
    return labels
