"""`rcl serve`: the application on uvicorn, from a socket to a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import resource
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol, cast

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from rcl_cli import heap
from rcl_cli.cli.terminal import Stderr, say
from rcl_cli.errors import ConfigError, UsageError
from rcl_cli.server.application import PEER
from rcl_cli.server.peers import Peer

_HEAD_TIMEOUT_S = 20.0
_READ_TIMEOUT_S = 60.0
_KEEP_ALIVE_S = 75
_MAX_CONNECTIONS = 1000
_DRAIN_S = 60


class Joining:
    """A transport that sends an answer's head with the first piece of its body: each write may wake the client.

    Args:
        state: where the conversation stands.
    """

    def __init__(self, transport: asyncio.Transport, state: h11.Connection) -> None:
        self._transport, self._state = transport, state
        self._held, self._is_in_body = b"", False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        was_in_body, self._is_in_body = self._is_in_body, self._state.our_state is h11.SEND_BODY
        self._held += data
        # A body that comes in pieces goes as it comes: only the transport knows whether the client keeps up.
        if was_in_body or not self._is_in_body:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        held, self._held = self._held, b""
        if held:
            self._transport.write(held)


class Connection(H11Protocol):
    """A connection whose requests must begin in time, whose answers must be read, and of which there are only so many.

    uvicorn waits for ever for the rest of a request's head, for the rest of a body that has been answered already, and
    for a client to read.
    """

    _timer: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None
    _unread_bytes = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(cast(asyncio.Transport, Joining(transport, self.conn)))
        self.app_state = {**self.app_state, PEER: Peer(self.client, self.server)}
        if len(self.connections) > _MAX_CONNECTIONS:
            transport.abort()
            return
        # Tells of every byte that waits for the client.
        transport.set_write_buffer_limits(0)
        self._arm()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.IDLE or self._body_is_useless():
            self._arm()
        else:
            self._disarm()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._disarm()
        if self._body_is_useless():
            self._arm()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; it may be the body of a request that is being answered, or has been."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()
            return
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:
            # The answer to a HEAD has no room for words.
            self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unwatch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._unwatch()
        super().connection_lost(exc)
        # uvicorn lets it run on where a client broke off, and with it keeps the connection in memory.
        self._unset_keepalive_if_required()

    def _body_is_useless(self) -> bool:
        return self.conn.their_state is h11.SEND_BODY and self.cycle.response_complete

    def _arm(self) -> None:
        # Not again with every byte: the whole head has this long.
        if self._timer is None:
            self._timer = self.loop.call_later(_HEAD_TIMEOUT_S, self.transport.abort)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self) -> None:
        self._unread_bytes = self.transport.get_write_buffer_size()
        self._stall = self.loop.call_later(_READ_TIMEOUT_S, self._check_reading)

    def _unwatch(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _check_reading(self) -> None:
        if self.transport.get_write_buffer_size() < self._unread_bytes:
            self._watch()
        else:
            self.transport.abort()


class Server(uvicorn.Server):
    """Says when it accepts."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            # Asked twice: not even threads at work are waited for. The store outlives being killed.
            os._exit(128 + sig)
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        UsageError: the address is taken, or none of this machine.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        bound = socket.create_server(address[:2], family=family, backlog=512)
    # A host that can't be a name at all is no OSError.
    except (OSError, UnicodeError) as error:
        said = isinstance(error, OSError) and error.strerror
        raise UsageError(f"--host {host} --port {port}: {said or error}") from error
    # Connections inherit it. Without it an answer's body waits for the client to acknowledge its head, which many put
    # off for 40 ms; asyncio sets it only on sockets that know themselves to be TCP's, and these do not.
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return bound


def is_loopback(bound: socket.socket) -> bool:
    return ipaddress.ip_address(bound.getsockname()[0].partition("%")[0]).is_loopback


def url_of(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _more_descriptors() -> None:
    """Room for all connections and for what answering them opens; many systems start with 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * _MAX_CONNECTIONS
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


def _return_memory() -> None:
    """Let glibc give memory back to the system.

    Left alone it keeps large bodies for later, in a heap a thread. And bodies that lie in a heap at all leave holes
    between what lives longer, of sizes that the next ones do not fit: with a threshold of 1 MiB the heap grew by 0.6 MB
    every thousand requests although what was in use did not.
    """
    heap.tune(mmap_threshold_bytes=2**16, heaps=2)


class Served(Protocol):
    """An ASGI application that may have threads at work."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    def is_busy(self) -> bool:
        """Whether threads are still at work."""
        ...


def serve(application: Served, bound: socket.socket, announce: Callable[[], None], *, debug: bool = False) -> None:
    """Answer until SIGTERM or SIGINT; what was begun is finished first.

    Args:
        announce: called when it accepts.

    Raises:
        ConfigError: the server can't run.
    """
    _more_descriptors()
    _return_memory()
    logging.basicConfig(stream=Stderr(), level=logging.DEBUG if debug else logging.CRITICAL)
    config = uvicorn.Config(
        application,
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_DRAIN_S,
    )
    server = Server(config, announce)
    # uvicorn raises the signal that ended it once more when it is done; SIGTERM is then no failure.
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        server.run(sockets=[bound])
    except SystemExit as error:
        raise ConfigError("The server could not start.") from error
    finally:
        signal.signal(signal.SIGTERM, before)
        if application.is_busy():
            # Python would wait for the threads without end.
            say(f"Requests were still at work after {_DRAIN_S} s; they are broken off.", err=True)
            os._exit(1)
