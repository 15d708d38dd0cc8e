"""What the page asks for: operations of the API, and flows of `local`; JSON in, JSON out, pictures beside.

Pictures and entries are named by dataset and position: no path and no URL of a picture is taken from a page.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from rcl_cli.api.model import load
from rcl_cli.buckets.base import NoSuchObjectError
from rcl_cli.context import Context
from rcl_cli.domain import Box
from rcl_cli.errors import (
    InvalidParameter,
    RclError,
    ResourceNotFound,
    SerializationError,
    ServiceError,
    UnknownOperation,
    UsageError,
)
from rcl_cli.imaging.limits import MAX_FILE_BYTES
from rcl_cli.local.home.overview import projects_of, versions_of
from rcl_cli.local.labelling.adding import add_pictures, check_stored, store_picture
from rcl_cli.local.labelling.gallery import PARTS, Gallery, Listing, Shown, index_of, labels_of, next_unlabeled, shown
from rcl_cli.local.labelling.lines import Drawn, Labelling, labelling_of
from rcl_cli.local.labelling.many import change_many, labels_given, rename_label
from rcl_cli.local.labelling.pictures import SIDES_PX, Pictures, upright_png
from rcl_cli.local.labelling.saving import ChangedMeanwhileError, Saved, restore, save
from rcl_cli.local.models.training import begin_training
from rcl_cli.local.models.watching import training_progress
from rcl_cli.manifest.line import parse_line
from rcl_cli.operations.contents import reading
from rcl_cli.operations.invoke import invoke
from rcl_cli.operations.resources import NOT_FOUND
from rcl_cli.server import wire
from rcl_cli.status import MAKING
from rcl_cli.store import entries
from rcl_cli.store.database import StoreGoneError
from rcl_cli.store.entries import EntryFilter
from rcl_cli.store.entry_files import EntriesGoneError
from rcl_cli.store.trouble import meaning
from rcl_cli.training.options import resolve_options

PAGES = Path(__file__).with_name("pages")
SHARED_PAGES = Path(__file__).parents[1] / "render" / "pages"
_MAX_JSON_BYTES = 8 * 2**20
_MOST_AT_ONCE = 500
_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
Answer = Callable[[Mapping[str, Any]], Any]


class Routes:
    """The routes of one home."""

    def __init__(self, context: Context) -> None:
        self._context = context._replace(names_files=False)
        self._gallery, self._pictures = Gallery(), Pictures(self._context)
        self.all = [
            Route("/", lambda _: _page("index.html")),
            # What browsers ask for on pages that say nothing of it, as that of the token.
            Route("/favicon.ico", lambda _: _page("icon.svg")),
            Route("/pages/{name}", lambda request: _page(request.path_params["name"])),
            Route("/api/{operation}", self._operation, methods=["POST"]),
            Route("/local/projects", self._answered(self._projects), methods=["POST"]),
            Route("/local/gallery", self._answered(self._stretch), methods=["POST"]),
            Route("/local/versions", self._answered(self._versions), methods=["POST"]),
            Route("/local/train", self._answered(self._train), methods=["POST"]),
            Route("/local/labels", self._answered(self._labels), methods=["POST"]),
            Route("/local/where", self._answered(self._where), methods=["POST"]),
            Route("/local/next", self._answered(self._next), methods=["POST"]),
            Route("/local/save", self._answered(self._save), methods=["POST"]),
            Route("/local/assign", self._answered(self._assign), methods=["POST"]),
            Route("/local/rename", self._answered(self._rename), methods=["POST"]),
            Route("/local/add", self._answered(self._add), methods=["POST"]),
            Route("/local/picture", self._upload, methods=["POST"]),
            Route("/local/picture", self._picture),
            Route("/local/thumbnail", self._thumbnail),
        ]

    # --- the API ------------------------------------------------------------------------------------------------------

    async def _operation(self, request: Request) -> Response:
        name = request.path_params["operation"]

        def answer(body: bytes) -> Response:
            if name not in load().operations:
                raise UnknownOperation(f"There is no operation {name}.")
            params = wire.parse_request(load().operation(name).input, body)
            return Response(wire.response_body(invoke(self._context, name, params)), media_type="application/json")

        return await _guarded(self._context.layout.home, answer, await _body(request, _MAX_JSON_BYTES))

    # --- what there is ------------------------------------------------------------------------------------------------

    def _answered(self, answer: Answer) -> Any:
        """A route that answers JSON with JSON."""

        def from_body(body: bytes) -> Response:
            try:
                given = json.loads(body)
            except (ValueError, RecursionError) as error:
                raise SerializationError("The request is not JSON.") from error
            if not isinstance(given, dict):
                raise SerializationError("The request is not a JSON object.")
            return _json(answer(given))

        async def route(request: Request) -> Response:
            return await _guarded(self._context.layout.home, from_body, await _body(request, _MAX_JSON_BYTES))

        return route

    def _projects(self, _given: Mapping[str, Any]) -> Any:
        return {"projects": [row.as_json() for row in projects_of(self._context)]}

    def _listing(self, given: Mapping[str, Any]) -> Listing:
        asked = given.get("filter") or {}
        if not isinstance(asked, dict):
            raise InvalidParameter("A filter is an object.")
        conditions = EntryFilter(
            labels=tuple(_texts(asked.get("labels", []))), is_labeled=_flag(asked.get("labeled")),
            has_errors=bool(asked.get("errors")), source_ref_contains=_text(asked.get("name", "")) or None,
        )  # fmt: skip
        types = tuple(kind for kind in PARTS if asked.get("part") in (None, kind))
        revision = _text(given.get("revision", ""))
        return self._gallery.listing(self._context, _text(given.get("project")), conditions, types, revision)

    def _stretch(self, given: Mapping[str, Any]) -> Any:
        listing = self._listing(given)
        offset, limit = _count(given.get("offset", 0)), min(_count(given.get("limit", 0)), _MOST_AT_ONCE)
        return {
            "total": listing.total,
            "revision": listing.revision,
            "entries": [one and _entry_json(one) for one in shown(self._context, listing, offset, limit)],
        }

    # --- models -------------------------------------------------------------------------------------------------------

    def _versions(self, given: Mapping[str, Any]) -> Any:
        rows = versions_of(self._context, _text(given.get("project")))
        made = [row.arn for row in rows if row.status in MAKING]
        progress = {arn: training_progress(self._context, arn) for arn in made}
        return {"versions": [{**row._asdict(), "progress": progress.get(row.arn)} for row in rows]}

    def _train(self, given: Mapping[str, Any]) -> Any:
        options = given.get("options", {})
        if not isinstance(options, dict):
            raise InvalidParameter("Options are an object.")
        resolve_options({_text(name): _text(value) for name, value in options.items()})
        return {"version": begin_training(self._context, _text(given.get("project")), options, lambda _: None)}

    # --- labels -------------------------------------------------------------------------------------------------------

    def _labels(self, given: Mapping[str, Any]) -> Any:
        return {"labels": [one._asdict() for one in labels_of(self._context, _text(given.get("project")))]}

    def _where(self, given: Mapping[str, Any]) -> Any:
        found = index_of(self._listing(given), _text(given.get("dataset")), _count(given.get("position")))
        return {"index": found}

    def _next(self, given: Mapping[str, Any]) -> Any:
        return {"index": next_unlabeled(self._context, self._listing(given), _count(given.get("after")))}

    def _line(self, dataset_arn: str, position: int) -> str:
        with reading(self._context, dataset_arn, lambda _: None) as (_, db):
            found = entries.at(db, [position])
        if not found:
            raise ResourceNotFound("The image is not in the dataset any more.")
        return found[0].line

    # --- changing -----------------------------------------------------------------------------------------------------

    def _save(self, given: Mapping[str, Any]) -> Any:
        arn, source_ref, mark = (_text(given.get(key)) for key in ("dataset", "source_ref", "mark"))
        try:
            if "line" in given:
                saved = restore(self._context, arn, source_ref, mark, _text(given["line"]))
            else:
                saved = save(
                    self._context, arn, source_ref, mark, _labelling(given), lambda: self._size(source_ref),
                    _text(given.get("base", "")),
                )  # fmt: skip
        except ChangedMeanwhileError as error:
            return {"conflict": _saved_json(error.now) if error.now else None}
        return _saved_json(saved)

    def _size(self, source_ref: str) -> tuple[int, int]:
        """Of a picture whose entry is there."""
        try:
            return self._pictures.size(source_ref)
        except NoSuchObjectError as error:
            raise ResourceNotFound("The picture is not there any more, or can't be read.") from error

    def _assign(self, given: Mapping[str, Any]) -> Any:
        """Labels of the entries that are named, {dataset: [positions]}, or of all of a listing except some."""
        if "entries" in given:
            chosen = _positions(given["entries"])
        else:
            but = {arn: set(every) for arn, every in _positions(given.get("except", {})).items()}
            chosen = {
                one.arn: [position for position in one.positions if position not in but.get(one.arn, ())]
                for one in self._listing(given).stretches
            }
        add, remove = _texts(given.get("add", [])), _texts(given.get("remove", []))
        change = labels_given(add, remove)
        return {"changed": sum(change_many(self._context, arn, every, change) for arn, every in chosen.items())}

    def _rename(self, given: Mapping[str, Any]) -> Any:
        to = given.get("to")
        project, label = _text(given.get("project")), _text(given.get("label"))
        return {"changed": rename_label(self._context, project, label, None if to is None else _text(to).strip())}

    def _add(self, given: Mapping[str, Any]) -> Any:
        refs = _texts(given.get("source_refs"))
        check_stored(self._context, refs)
        kind = _text(given.get("part"))
        if kind not in PARTS:
            raise InvalidParameter("The part is TRAIN or TEST.")
        return {"new": add_pictures(self._context, _text(given.get("project")), kind, refs)}

    async def _upload(self, request: Request) -> Response:
        project, name = request.query_params.get("project", ""), request.query_params.get("name", "")

        def answer(body: bytes) -> Response:
            return _json({"source_ref": store_picture(self._context, project, name, body)})

        return await _guarded(self._context.layout.home, answer, await _body(request, MAX_FILE_BYTES))

    # --- pictures -----------------------------------------------------------------------------------------------------

    async def _picture(self, request: Request) -> Response:
        def answer(_: bytes) -> Response:
            source_ref = self._named(request)
            try:
                path = self._pictures.file(source_ref)
                turned = upright_png(path)
                with path.open("rb") as file:
                    kind = "image/png" if file.read(4) == b"\x89PNG" else "image/jpeg"
            except (NoSuchObjectError, ServiceError, OSError):
                return _missing()
            headers = {"cache-control": "private, no-cache"}
            if turned is not None:
                return Response(turned, media_type="image/png", headers=headers)
            return FileResponse(path, media_type=kind, headers=headers)

        return await _guarded(self._context.layout.home, answer, b"")

    async def _thumbnail(self, request: Request) -> Response:
        def answer(_: bytes) -> Response:
            side = request.query_params.get("side", "")
            if side not in map(str, SIDES_PX):
                raise InvalidParameter(f"A side is one of {', '.join(map(str, SIDES_PX))}.")
            source_ref = self._named(request)
            try:
                data = self._pictures.thumbnail(source_ref, int(side))
            except (NoSuchObjectError, ServiceError):
                return _missing()
            return Response(data, media_type="image/jpeg", headers={"cache-control": "private, max-age=600"})

        return await _guarded(self._context.layout.home, answer, b"")

    def _named(self, request: Request) -> str:
        """The source-ref of the entry that a picture's URL names."""
        text = request.query_params.get("position", "")
        if not (text.isascii() and text.isdecimal() and len(text) < 16):
            raise InvalidParameter("A position is a number.")
        return parse_line(self._line(request.query_params.get("dataset", ""), int(text))).source_ref


# --- in and out -------------------------------------------------------------------------------------------------------


async def _body(request: Request, most_bytes: int) -> bytes | ServiceError:
    """The whole body, or why it is not taken."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > most_bytes:
                return InvalidParameter(f"That is larger than {most_bytes // 2**20} MB.")
    except ClientDisconnect:
        return InvalidParameter("It broke off.")
    return bytes(body)


async def _guarded(home: Path, answer: Callable[[bytes], Response], body: bytes | ServiceError) -> Response:
    """An answer that is worked out on a thread; errors as JSON."""
    if isinstance(body, ServiceError):
        return _failed(body, close=True)
    try:
        return await run_in_threadpool(answer, body)
    except ServiceError as error:
        return _failed(error)
    except NoSuchObjectError:
        return _failed(ResourceNotFound("The picture is not there any more, or can't be read."), 404)
    except EntriesGoneError:
        return _failed(ResourceNotFound(NOT_FOUND))
    except UsageError as error:
        return _failed(InvalidParameter(str(error)))
    except (RclError, StoreGoneError) as error:
        return _failed(ServiceError(str(error)), 500)
    except (sqlite3.DatabaseError, OSError) as error:
        return _failed(ServiceError(f"{meaning(error, home)}."), 500)


def _failed(error: ServiceError, status: int = 0, *, close: bool = False) -> Response:
    headers = {"cache-control": "no-store", **({"connection": "close"} if close else {})}
    body = {"error": {"code": error.code, "message": error.message}}
    return JSONResponse(body, status or error.http_status, headers=headers)


def _json(value: Any) -> Response:
    return JSONResponse(value, headers={"cache-control": "no-store"})


def _missing() -> Response:
    """In the place of a picture that is not there: the page goes on around it."""
    return FileResponse(PAGES / "missing.svg", media_type=_KINDS[".svg"], headers={"cache-control": "no-store"})


def _page(name: str) -> Response:
    """A file of the page; there are no others in its folders, and no folders."""
    for folder in (PAGES, SHARED_PAGES):
        path = folder / name
        if path.name == name and path.suffix in _KINDS and path.is_file():
            # Asked for again each time: after an upgrade the page is the new one's, whole.
            return FileResponse(path, media_type=_KINDS[path.suffix], headers={"cache-control": "no-cache"})
    return Response(status_code=404)


def _entry_json(entry: Shown) -> dict[str, Any]:
    return {
        "dataset": entry.dataset_arn, "part": entry.part, "position": entry.position,
        "source_ref": entry.source_ref, "is_labeled": entry.is_labeled, "has_errors": entry.has_errors,
        "line": entry.saved.line, "mark": entry.saved.mark, **_labelling_json(entry.labelling),
    }  # fmt: skip


def _saved_json(saved: Saved) -> dict[str, Any]:
    return {"line": saved.line, "mark": saved.mark, **_labelling_json(labelling_of(saved.line))}


def _labelling_json(labelling: Labelling) -> dict[str, Any]:
    boxes = [{"label": one.label, "box": list(one.box), "place": one.place} for one in labelling.boxes]
    return {"labels": list(labelling.labels), "boxes": boxes}


def _labelling(given: Mapping[str, Any]) -> Labelling:
    boxes = given.get("boxes")
    if not isinstance(boxes, list):
        raise InvalidParameter("There are no boxes.")
    drawn = []
    for one in boxes:
        sides = one.get("box") if isinstance(one, dict) else None
        if not isinstance(sides, list) or len(sides) != 4 or not all(map(_is_number, sides)):
            raise InvalidParameter("A box has four numbers.")
        place = one.get("place")
        drawn.append(Drawn(_text(one.get("label")), Box(*sides), None if place is None else _count(place)))
    return Labelling(tuple(_texts(given.get("labels"))), tuple(drawn))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9


def _text(value: Any) -> str:
    if not isinstance(value, str) or any("\ud800" <= one <= "\udfff" for one in value):
        raise InvalidParameter("A text is missing, or is none.")
    return value


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise InvalidParameter("A list of texts is missing.")
    return [_text(one) for one in value]


def _positions(value: Any) -> dict[str, list[int]]:
    if not isinstance(value, dict) or not all(isinstance(every, list) for every in value.values()):
        raise InvalidParameter("Entries are positions by dataset.")
    return {_text(arn): [_count(position) for position in every] for arn, every in value.items()}


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise InvalidParameter("A whole number is missing.")
    return value
