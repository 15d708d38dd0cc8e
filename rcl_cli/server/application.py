"""The ASGI application: AWS JSON 1.1 on the service's one door."""

from __future__ import annotations

import asyncio
import time
import traceback
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from rcl_cli import __version__
from rcl_cli.api.model import load
from rcl_cli.cli.terminal import say
from rcl_cli.context import Context, in_region
from rcl_cli.errors import (
    AccessDenied,
    InternalServerError,
    SerializationError,
    ServiceError,
    UnknownOperation,
    ValidationError,
)
from rcl_cli.operations.invoke import invoke
from rcl_cli.server import cors, others, signature, wire
from rcl_cli.server.lanes import Lane, Memory

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

MAX_BODY_BYTES = 8 * 2**20
# A body that is too large is read to its end, so that the client sees the answer; but not for ever.
_MAX_DISCARDED_BYTES = 64 * 2**20
_MAX_HELD_BYTES = 256 * 2**20
_BODY_TIMEOUT_S, _BODY_GRACE_S = 60.0, 5.0
_LEAST_BODY_BYTES_S = 64 * 2**10
# In the state of a connection: see `peers.Peer`.
PEER = "peer"


class RequestTimeout(ServiceError):
    code = "RequestTimeoutException"
    http_status = 408


class MethodNotAllowed(UnknownOperation):
    http_status = 405


class ClientGone(Exception):
    """Nobody waits for the answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer and what the access log says of it."""

    status: int
    body: bytes
    operation: str = "-"
    error: str = "-"
    close: bool = False
    content_type: str = wire.CONTENT_TYPE


@dataclass(frozen=True)
class Limits:
    """How much work is taken on.

    Args:
        threads: API operations done at once, except detections.
        detections: detections waited for at once; the model hosts do the work.
        waiting: requests of each kind that may wait for a thread.
        body_timeout_s: seconds in which a request's body must arrive.
    """

    threads: int = 16
    detections: int = 64
    waiting: int = 256
    body_timeout_s: float = _BODY_TIMEOUT_S


class Application:
    """Answers AWS clients.

    Args:
        access_keys: who may come in, access key id to secret; None lets everybody who can connect.
        access_log: gets a line a request; None for no log.
        owner: the user id whose processes are answered; None for everybody's.
        origins: of the web pages that may ask.
    """

    def __init__(
        self,
        context: Context,
        access_keys: Mapping[str, str] | None = None,
        access_log: Callable[[str], None] | None = None,
        limits: Limits | None = None,
        owner: int | None = None,
        origins: frozenset[str] = frozenset(),
    ) -> None:
        self._owner, self._origins = owner, origins
        self._context, self._keys, self._log = context._replace(names_files=False), access_keys, access_log
        self._limits = limits or Limits()
        self._lane = Lane("operation", self._limits.threads, self._limits.waiting)
        self._detections = Lane("detection", self._limits.detections, self._limits.waiting)
        # Supervisors must hear from a server that has much to do.
        self._health_lane = Lane("health", threads=1, waiting=15)
        self._memory = Memory(_MAX_HELD_BYTES)

    def is_busy(self) -> bool:
        """Whether threads are still at work."""
        return self._lane.is_busy() or self._detections.is_busy()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                for lane in (self._lane, self._detections, self._health_lane):
                    lane.close()
                return

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, request_id = time.monotonic(), str(uuid.uuid4())
        asked = _joined(scope["headers"])
        try:
            reply = await self._reply(scope, asked, receive, request_id)
        except ClientGone:
            return
        headers = [
            (b"content-type", reply.content_type.encode()),
            (b"content-length", str(len(reply.body)).encode()),
            (b"x-amzn-requestid", request_id.encode()),
            *cors.permission(asked, self._origins),
        ]
        if reply.close:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else reply.body})
        if self._log:
            client = scope["client"][0] if scope.get("client") else "-"
            milliseconds = (time.monotonic() - began) * 1000
            self._log(
                f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {client} {reply.operation} {reply.status} {reply.error} "
                f"{milliseconds:.0f}ms {len(reply.body)}B {request_id}"
            )

    async def _reply(self, scope: Scope, headers: Mapping[str, str], receive: Receive, request_id: str) -> Reply:
        if scope["method"] in ("GET", "HEAD") and scope["path"] == "/health":
            return await self._health()
        if cors.is_preflight(scope["method"], headers) and headers.get("origin") in self._origins:
            return Reply(200, b"", close=True)
        query = scope["query_string"].decode("latin-1")
        other = others.meant_for_others(scope["method"], scope["path"], query, headers, request_id)
        if other is not None:
            return Reply(other.status, other.body, "-", other.code, close=True, content_type=other.content_type)
        name = wire.operation_name(headers.get("x-amz-target"))
        known = name if name in load().operations else "-"
        arrived = False
        try:
            if scope["method"] != "POST":
                raise MethodNotAllowed("The API is answered to POST, and GET /health says whether it is.")
            # Before the body, which takes room and may be long in coming.
            _check_framing(scope, headers)
            _refuse_browsers(headers, self._origins)
            self._refuse_strangers(scope)
            claim = signature.claimed(headers, self._keys, datetime.now(UTC)) if self._keys is not None else None
            body = await self._body(receive)
            arrived = True
            try:
                if claim is not None:
                    signature.verify(_signed(scope, headers, body), claim)
                if name is None or known == "-":
                    raise UnknownOperation(f"X-Amz-Target names no operation of this service: {name}.")
                answer = await self._invoke(name, headers, body)
            finally:
                self._memory.give_back(len(body))
        except ServiceError as error:
            # What is left of a body that was not read would keep the connection, or be taken for the next request.
            return Reply(error.http_status, wire.error_body(error, request_id), known, error.code, close=not arrived)
        except ClientGone:
            raise
        except Exception:  # noqa: BLE001 - a client must get an answer, and the log the reason
            say(f"rcl serve: request {request_id}, {known}:\n{traceback.format_exc()}", err=True, end="")
            failure = InternalServerError(f"Internal error; the server's log has it under request {request_id}.")
            return Reply(
                failure.http_status, wire.error_body(failure, request_id), known, failure.code, close=not arrived
            )
        return Reply(200, answer, known)

    async def _health(self) -> Reply:
        """Whether the store can be read; for supervisors, without a signature."""
        try:
            await self._health_lane.run(partial(_read_a_page, self._context))
        except Exception as error:  # noqa: BLE001 - whatever it is, this is what the question was about
            body = wire.response_body({"status": "failing", "reason": type(error).__name__})
            return Reply(503, body, "health", close=True, content_type="application/json")
        body = wire.response_body({"status": "ok", "version": __version__})
        # A body, if there is one, was not read: the connection must not wait for it.
        return Reply(200, body, "health", close=True, content_type="application/json")

    async def _body(self, receive: Receive) -> bytes:
        """The whole body.

        Raises:
            ServiceError: too large, too slow, or no room.
            ClientGone: it broke off.
        """
        body = bytearray()
        try:
            async with asyncio.timeout(None) as limit:
                began, most_s = asyncio.get_running_loop().time(), self._limits.body_timeout_s
                while True:
                    # Many that come byte by byte would hold all the room there is.
                    limit.reschedule(began + min(most_s, _BODY_GRACE_S + len(body) / _LEAST_BODY_BYTES_S))
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGone
                    chunk = message.get("body", b"")
                    if len(body) + len(chunk) > MAX_BODY_BYTES:
                        await _discard(receive, message)
                        raise ValidationError(f"The request is larger than {MAX_BODY_BYTES} bytes.")
                    self._memory.take(len(chunk))
                    body += chunk
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError as error:
            self._memory.give_back(len(body))
            raise RequestTimeout("The request did not arrive in time.") from error
        except (ServiceError, ClientGone):
            self._memory.give_back(len(body))
            raise

    def _refuse_strangers(self, scope: Scope) -> None:
        """Other users of this machine have no part in what is this user's.

        Raises:
            AccessDenied: it is another's process, or that can't be told.
        """
        if self._owner is None:
            return
        peer = scope.get("state", {}).get(PEER)
        if peer is None or peer.uid != self._owner:
            raise AccessDenied(
                "Only programs of the user who started this server are answered: start rcl serve with --anyone-local, "
                "or with --access-key-file and sign requests."
            )

    async def _invoke(self, name: str, headers: Mapping[str, str], body: bytes) -> bytes:
        region = signature.scope_region(headers.get("authorization"))
        context = in_region(self._context, region) if region else self._context
        lane = self._detections if name == "DetectCustomLabels" else self._lane
        answer: bytes = await lane.run(partial(_answer, context, name, body))
        return answer


def _read_a_page(context: Context) -> None:
    with context.database.read() as db:
        db.execute("SELECT COUNT(*) FROM projects").fetchone()


def _answer(context: Context, name: str, body: bytes) -> bytes:
    """One operation, from bytes to bytes; runs on a lane's thread."""
    params = wire.parse_request(load().operation(name).input, body)
    try:
        return wire.response_body(invoke(context, name, params))
    except RecursionError as error:
        raise SerializationError("The request is nested too deeply.") from error


def _joined(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _signed(scope: Scope, headers: Mapping[str, str], body: bytes) -> signature.Request:
    path, query = scope.get("raw_path", b"/").decode("ascii"), scope["query_string"].decode("ascii")
    return signature.Request(scope["method"], path, query, headers, body)


def _check_framing(scope: Scope, headers: Mapping[str, str]) -> None:
    """A request whose length is told in two ways may be two requests to a proxy in front (RFC 9112, 6.1).

    Raises:
        ValidationError: it is, or its version of HTTP has no such way.
    """
    if "transfer-encoding" in headers and ("content-length" in headers or scope.get("http_version") == "1.0"):
        raise ValidationError("Transfer-Encoding goes with neither Content-Length nor HTTP/1.0.")


def _refuse_browsers(headers: Mapping[str, str], allowed: frozenset[str]) -> None:
    """No web page may use a server of the machine that it is shown on, unless its origin is allowed.

    No AWS client but a browser's sends an Origin.

    Raises:
        AccessDenied: a browser asks for a page.
    """
    if "origin" in headers and headers["origin"] not in allowed:
        raise AccessDenied("Requests of web pages are not answered, but of those that --allow-origin names.")


async def _discard(receive: Receive, message: dict[str, Any]) -> None:
    """Read on to the end of a body that will not be used."""
    discarded = 0
    while message.get("more_body", False) and discarded < _MAX_DISCARDED_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        discarded += len(message.get("body", b""))
