"""Bodies in, answers out: worked out on threads, errors as JSON, files of the page."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from rcl_cli.buckets.base import NoSuchObjectError
from rcl_cli.errors import (
    InternalServerError,
    InvalidParameter,
    RclError,
    ResourceNotFound,
    SerializationError,
    ServiceError,
    UsageError,
)
from rcl_cli.operations.resources import NOT_FOUND
from rcl_cli.render.page import finite
from rcl_cli.store.database import StoreGoneError
from rcl_cli.store.entry_files import EntriesGoneError
from rcl_cli.store.trouble import meaning

PAGES = Path(__file__).with_name("pages")
SHARED_PAGES = Path(__file__).parents[1] / "render" / "pages"
MAX_JSON_BYTES = 8 * 2**20
_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
Answer = Callable[[Mapping[str, Any]], Any]


def answered(home: Path, answer: Answer) -> Any:
    """A route that answers JSON with JSON."""

    def from_body(body: bytes) -> Response:
        try:
            given = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise SerializationError("The request is not JSON.") from error
        if not isinstance(given, dict):
            raise SerializationError("The request is not a JSON object.")
        return as_json(answer(given))

    async def route(request: Request) -> Response:
        return await guarded(home, from_body, await body_of(request, MAX_JSON_BYTES))

    return route


def routes_of(home: Path, answers: Mapping[str, Answer]) -> list[Route]:
    """Routes by name, each of which answers JSON with JSON."""
    return [Route(f"/local/{name}", answered(home, answer), methods=["POST"]) for name, answer in answers.items()]


async def body_of(request: Request, most_bytes: int) -> bytes | ServiceError:
    """The whole body, or why it is not taken."""
    body = io.BytesIO()
    return await taken(request, most_bytes, body) or body.getvalue()


async def taken(request: Request, most_bytes: int, to: IO[bytes]) -> ServiceError | None:
    """Write the whole body; returns why it is not taken, if it is not."""
    left = most_bytes
    try:
        async for chunk in request.stream():
            left -= len(chunk)
            if left < 0:
                return InvalidParameter(f"That is larger than {most_bytes // 2**20} MB.")
            to.write(chunk)
    except ClientDisconnect:
        return InvalidParameter("It broke off.")
    except OSError as error:
        return InternalServerError(f"There is no room for it: {error.strerror or error}.")
    return None


async def guarded(home: Path, answer: Callable[[bytes], Response], body: bytes | ServiceError) -> Response:
    """An answer that is worked out on a thread; errors as JSON."""
    if isinstance(body, ServiceError):
        return failed(body, close=True)
    try:
        return await run_in_threadpool(answer, body)
    except ServiceError as error:
        return failed(error)
    except NoSuchObjectError:
        return failed(ResourceNotFound("The picture is not there any more, or can't be read."), 404)
    except EntriesGoneError:
        return failed(ResourceNotFound(NOT_FOUND))
    except UsageError as error:
        return failed(InvalidParameter(str(error)))
    except (RclError, StoreGoneError) as error:
        return failed(ServiceError(str(error)), 500)
    except (sqlite3.DatabaseError, OSError) as error:
        return failed(ServiceError(f"{meaning(error, home)}."), 500)


def failed(error: ServiceError, status: int = 0, *, close: bool = False) -> Response:
    headers = {"cache-control": "no-store", **({"connection": "close"} if close else {})}
    body = {"error": {"code": error.code, "message": error.message}}
    return JSONResponse(body, status or error.http_status, headers=headers)


def as_json(value: Any) -> Response:
    return JSONResponse(finite(value), headers={"cache-control": "no-store"})


def missing() -> Response:
    """In the place of a picture that is not there: the page goes on around it."""
    return FileResponse(PAGES / "missing.svg", media_type=_KINDS[".svg"], headers={"cache-control": "no-store"})


def page(name: str) -> Response:
    """A file of the page; there are no others in its folders, and no folders."""
    for folder in (PAGES, SHARED_PAGES):
        path = folder / name
        if path.name == name and path.suffix in _KINDS and path.is_file():
            # Asked for again each time: after an upgrade the page is the new one's, whole.
            return FileResponse(path, media_type=_KINDS[path.suffix], headers={"cache-control": "no-cache"})
    return Response(status_code=404)
