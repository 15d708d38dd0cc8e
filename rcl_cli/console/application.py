"""The console as one application: the door, and the routes behind it."""

from __future__ import annotations

import os
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rcl_cli.cli.terminal import say
from rcl_cli.console.door import Door, Receive, Scope, Send
from rcl_cli.console.routes import Routes
from rcl_cli.context import Context
from rcl_cli.durable import new_file, replace_durably
from rcl_cli.errors import ConfigError

KEY_FILE, _KEY_BYTES = "console-key", 32


class Console:
    """Answers the browsers of one person.

    Args:
        hosts: what browsers may call this server, with its port.
        opened: told that a browser came in, with the token for the next one.

    Raises:
        ConfigError: the home can't be written.
    """

    def __init__(self, context: Context, hosts: frozenset[str], port: int, opened: Callable[[str], None]) -> None:
        routes = Routes(context)

        @asynccontextmanager
        async def open_(_: Starlette) -> AsyncIterator[None]:
            yield
            routes.close()

        inside = Starlette(routes=routes.all, exception_handlers={Exception: _broken}, lifespan=open_)
        self._door, self._answering = Door(inside, hosts, port, _key(context), opened), 0

    @property
    def token(self) -> str:
        """What lets the next browser in."""
        return self._door.token

    def is_busy(self) -> bool:
        """Whether a request is being answered."""
        return self._answering > 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._answering += scope["type"] == "http"
        try:
            await self._door(scope, receive, send)
        finally:
            self._answering -= scope["type"] == "http"


def _key(context: Context) -> bytes:
    """What cookies of a home are signed with; for its owner only.

    Raises:
        ConfigError: it can't be kept.
    """
    path = context.layout.home / KEY_FILE
    try:
        with suppress(FileNotFoundError):
            key = path.read_bytes()
            if len(key) == _KEY_BYTES:
                return key
        with new_file(path.parent) as part:
            part.write_bytes(os.urandom(_KEY_BYTES))
            replace_durably(part, path)
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}.") from error


async def _broken(request: Request, error: Exception) -> Response:
    """A browser must get an answer, and the terminal the reason."""
    told = "".join(traceback.format_exception(error))
    say(f"rcl console: {request.url.path}:\n{told}", err=True, end="")
    failure = {"code": "InternalServerError", "message": "Something went wrong: the terminal of rcl console says what."}
    return JSONResponse({"error": failure}, 500)
