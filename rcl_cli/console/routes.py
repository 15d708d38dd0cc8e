"""What the page asks for: operations of the API, and flows of `local`; JSON in, JSON out, pictures beside.

Pictures and entries are named by dataset and position: no path and no URL of a picture is taken from a page.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route

from rcl_cli.api.model import load
from rcl_cli.buckets.base import NoSuchObjectError
from rcl_cli.console.answering import MAX_JSON_BYTES, as_json, body_of, guarded, missing, page, routes_of
from rcl_cli.console.bringing import BringingRoutes
from rcl_cli.console.checking import CheckingRoutes
from rcl_cli.console.feedback import FeedbackRoutes
from rcl_cli.console.given import (
    entry_json,
    given_count,
    given_flag,
    given_labelling,
    given_part,
    given_places,
    given_positions,
    given_text,
    given_texts,
    saved_json,
)
from rcl_cli.console.labels import LabelRoutes
from rcl_cli.console.modelling import ModelRoutes
from rcl_cli.context import Context
from rcl_cli.errors import InvalidParameter, ResourceInUse, ResourceNotFound, ServiceError, UnknownOperation
from rcl_cli.limits import limits
from rcl_cli.local.feedback.verifying import queued
from rcl_cli.local.home.overview import projects_of
from rcl_cli.local.labelling.adding import add_pictures, check_stored, store_picture
from rcl_cli.local.labelling.answers import Answers, Asking, disagreeing, least_sure
from rcl_cli.local.labelling.gallery import (
    PARTS,
    Gallery,
    Listing,
    Shown,
    index_of,
    lines_of,
    listing_of,
    next_unlabeled,
    shown,
)
from rcl_cli.local.labelling.many import change_many, labels_given
from rcl_cli.local.labelling.parts import move_entries, remove_entries, split
from rcl_cli.local.labelling.pictures import SIDES_PX, Pictures, upright_png
from rcl_cli.local.labelling.saving import ChangedMeanwhileError, restore, save
from rcl_cli.local.models.watching import named_version
from rcl_cli.manifest.line import parse_line
from rcl_cli.operations.contents import reading
from rcl_cli.operations.invoke import invoke
from rcl_cli.server import wire
from rcl_cli.store import entries
from rcl_cli.store.entries import EntryFilter

_MOST_AT_ONCE, _SOME, _MOST_SHOWN = 500, 500, 20_000
_CHANGED = "The images are others by now: look at them, and choose again."
_BY_ANSWERS = {"unsure": least_sure, "disagrees": disagreeing}


class Routes:
    """The routes of one home."""

    def __init__(self, context: Context) -> None:
        self._context = context._replace(names_files=False)
        self._gallery, self._pictures = Gallery(), Pictures(self._context)
        self._asking, self._bringing = Asking(self._context), BringingRoutes(self._context)
        self._models = ModelRoutes(self._context)
        # Of the entries that pages were last shown, by dataset and position: a thumbnail needs no look into the store.
        self._shown: OrderedDict[tuple[str, int], str] = OrderedDict()
        self._lock = threading.Lock()
        home = context.layout.home
        answers = {
            "projects": self._projects,
            "gallery": self._stretch,
            "queue": self._queue,
            "ask": self._ask,
            "asking": self._asking_now,
            "said": self._said,
            "choose": self._choose,
            "where": self._where,
            "next": self._next,
            "save": self._save,
            "assign": self._assign,
            "move": self._move,
            "remove": self._remove,
            "split": self._split,
            "add": self._add,
        }
        self.all = [
            Route("/", lambda _: page("index.html")),
            # What browsers ask for on pages that say nothing of it, as that of the token.
            Route("/favicon.ico", lambda _: page("icon.svg")),
            Route("/pages/{name}", lambda request: page(request.path_params["name"])),
            Route("/api/{operation}", self._operation, methods=["POST"]),
            Route("/local/manifest", self._manifest),
            Route("/local/picture", self._upload, methods=["POST"]),
            Route("/local/picture", self._picture),
            Route("/local/thumbnail", self._thumbnail),
            *routes_of(home, answers),
            *LabelRoutes(self._context).all,
            *self._bringing.all,
            *self._models.all,
            *FeedbackRoutes(self._context).all,
            *CheckingRoutes(self._context).all,
        ]

    def close(self) -> None:
        """End what works for it, and remove what was kept for it."""
        self._pictures.close()
        self._bringing.close()
        self._models.close()

    # --- the API ------------------------------------------------------------------------------------------------------

    async def _operation(self, request: Request) -> Response:
        name = request.path_params["operation"]

        def answer(body: bytes) -> Response:
            if name not in load().operations:
                raise UnknownOperation(f"There is no operation {name}.")
            params = wire.parse_request(load().operation(name).input, body)
            return Response(wire.response_body(invoke(self._context, name, params)), media_type="application/json")

        return await guarded(self._context.layout.home, answer, await body_of(request, MAX_JSON_BYTES))

    # --- what there is ------------------------------------------------------------------------------------------------

    def _projects(self, _given: Mapping[str, Any]) -> Any:
        return {"projects": [row.as_json() for row in projects_of(self._context)]}

    def _listing(self, given: Mapping[str, Any]) -> Listing:
        asked = given.get("filter") or {}
        if not isinstance(asked, dict):
            raise InvalidParameter("A filter is an object.")
        if "queue" in asked:
            return self._gallery.queued(given_text(asked["queue"]))
        conditions = EntryFilter(
            labels=tuple(given_texts(asked.get("labels", []))), is_labeled=given_flag(asked.get("labeled")),
            has_errors=bool(asked.get("errors")), source_ref_contains=given_text(asked.get("name", "")) or None,
        )  # fmt: skip
        types = tuple(kind for kind in PARTS if asked.get("part") in (None, kind))
        revision = given_text(given.get("revision", ""))
        project, by_name = given_text(given.get("project")), asked.get("sort") == "name"
        sort = given_text(asked.get("sort", ""))
        if sort not in _BY_ANSWERS:
            return self._gallery.listing(self._context, project, conditions, types, revision, by_name=by_name)
        if revision and (before := self._gallery.order_of_before(revision)) is not None:
            return before
        every = self._gallery.listing(self._context, project, conditions, types)
        version = named_version(self._context, given_text(asked.get("version")))
        answers, progress = Answers(self._context, version), self._asking.progress(version.arn)
        known = answers.count()
        if progress and not progress.is_over:
            # While more comes all the time, it is not worked out anew each time.
            known -= known % _SOME
        order = f"{sort} {version.arn} {known} {sorted(answers.thresholds.items())}"
        find = _BY_ANSWERS[sort]
        return self._gallery.ordered(every, order, lambda listing: find(self._context, listing, answers))

    def _stretch(self, given: Mapping[str, Any]) -> Any:
        listing = self._listing(given)
        offset, limit = given_count(given.get("offset", 0)), min(given_count(given.get("limit", 0)), _MOST_AT_ONCE)
        every = shown(self._context, listing, offset, limit)
        self._remember(every)
        return {
            "total": listing.total,
            "revision": listing.revision,
            "entries": [one and entry_json(one) for one in every],
        }

    def _remember(self, every: Sequence[Shown | None]) -> None:
        with self._lock:
            for one in every:
                if one is not None:
                    self._shown[one.dataset_arn, one.position] = one.source_ref
            while len(self._shown) > _MOST_SHOWN:
                self._shown.popitem(last=False)

    def _queue(self, given: Mapping[str, Any]) -> Any:
        """Entries in an order of the page's, [dataset, position] each, for a labeller to go through."""
        return {"queue": self._gallery.queue(listing_of(given_places(given.get("entries"))))}

    def _choose(self, given: Mapping[str, Any]) -> Any:
        """Keep what is chosen, for it to be fetched as a file."""
        chosen = self._chosen(given)
        return {"queue": self._gallery.queue(listing_of([(arn, one) for arn in chosen for one in chosen[arn]]))}

    async def _manifest(self, request: Request) -> Response:
        """The lines of what was chosen, as a manifest."""

        def answer(_: bytes) -> Response:
            lines = lines_of(self._context, self._gallery.queued(request.query_params.get("queue", "")))
            headers = {"content-disposition": 'attachment; filename="chosen.manifest"', "cache-control": "no-store"}
            return StreamingResponse(lines, media_type="application/jsonl", headers=headers)

        return await guarded(self._context.layout.home, answer, b"")

    # --- labels -------------------------------------------------------------------------------------------------------

    def _where(self, given: Mapping[str, Any]) -> Any:
        found = index_of(self._listing(given), given_text(given.get("dataset")), given_count(given.get("position")))
        return {"index": found}

    def _next(self, given: Mapping[str, Any]) -> Any:
        return {"index": next_unlabeled(self._context, self._listing(given), given_count(given.get("after")))}

    # --- what models say ----------------------------------------------------------------------------------------------

    def _ask(self, given: Mapping[str, Any]) -> Any:
        """Ask a running model about all images of a listing; or stop that."""
        version = named_version(self._context, given_text(given.get("version")))
        if given.get("stop") is True:
            self._asking.stop(version.arn)
        else:
            self._asking.begin(version, self._listing(given))
        return {}

    def _asking_now(self, given: Mapping[str, Any]) -> Any:
        version = named_version(self._context, given_text(given.get("version")))
        progress = self._asking.progress(version.arn)
        answers = Answers(self._context, version)
        return {"known": answers.count(), "thresholds": answers.thresholds, "progress": progress and progress._asdict()}

    def _said(self, given: Mapping[str, Any]) -> Any:
        """What a model says of an entry, [label, score, box] each; asked now where it is not known, and it runs."""
        version = named_version(self._context, given_text(given.get("version")))
        answers = Answers(self._context, version)
        line = self._line(given_text(given.get("dataset")), given_count(given.get("position")))
        ref = parse_line(line).source_ref
        if ref not in (known := answers.of([ref])):
            for answer in answers.ask([ref]):
                if answer.error is not None:
                    raise answer.error
            known = answers.of([ref])
        # A box without a side can't be accepted.
        found = [one for one in known.get(ref, ()) if one.box is None or min(one.box.width, one.box.height) > 0]
        return {"found": [(one.label, one.score, one.box) for one in found]}

    def _line(self, dataset_arn: str, position: int) -> str:
        with reading(self._context, dataset_arn, lambda _: None) as (_, db):
            found = entries.at(db, [position])
        if not found:
            raise ResourceNotFound("The image is not in the dataset any more.")
        return found[0].line

    # --- changing -----------------------------------------------------------------------------------------------------

    def _save(self, given: Mapping[str, Any]) -> Any:
        arn, source_ref, mark = (given_text(given.get(key)) for key in ("dataset", "source_ref", "mark"))
        try:
            if "line" in given:
                saved = restore(self._context, arn, source_ref, mark, given_text(given["line"]))
            else:
                saved = save(
                    self._context, arn, source_ref, mark, given_labelling(given), lambda: self._size(source_ref),
                    given_text(given.get("base", "")),
                )  # fmt: skip
        except ChangedMeanwhileError as error:
            return {"conflict": saved_json(error.now) if error.now else None}
        return saved_json(saved)

    def _size(self, source_ref: str) -> tuple[int, int]:
        """Of a picture whose entry is there."""
        try:
            return self._pictures.size(source_ref)
        except NoSuchObjectError as error:
            raise ResourceNotFound("The picture is not there any more, or can't be read.") from error

    def _assign(self, given: Mapping[str, Any]) -> Any:
        """Labels of entries."""
        chosen = self._chosen(given)
        add, remove = given_texts(given.get("add", [])), given_texts(given.get("remove", []))
        change = labels_given(add, remove)
        return {"changed": sum(change_many(self._context, arn, every, change) for arn, every in chosen.items())}

    def _chosen(self, given: Mapping[str, Any]) -> dict[str, list[int]]:
        """The entries that are named, {dataset: [positions]}, or all of a listing except some."""
        seen = given_text(given.get("revision", ""))
        if "entries" in given:
            now = self._gallery.listing(self._context, given_text(given.get("project"))).revision
            if seen and not _files_of(seen) <= _files_of(now):
                # Entries were taken out, and others may have their positions.
                raise ResourceInUse(_CHANGED)
            return given_positions(given["entries"])
        listing = self._listing(given)
        if seen and listing.revision != seen:
            raise ResourceInUse(_CHANGED)
        but = {arn: set(every) for arn, every in given_positions(given.get("except", {})).items()}
        return {
            arn: [position for position in every if position not in but.get(arn, ())]
            for arn, every in listing.positions().items()
        }

    def _move(self, given: Mapping[str, Any]) -> Any:
        project, part = given_text(given.get("project")), given_part(given.get("part"))
        return move_entries(self._context, project, self._chosen(given), part)._asdict()

    def _remove(self, given: Mapping[str, Any]) -> Any:
        return {"removed": remove_entries(self._context, given_text(given.get("project")), self._chosen(given))}

    def _split(self, given: Mapping[str, Any]) -> Any:
        return {"testing": split(self._context, given_text(given.get("project")))}

    def _add(self, given: Mapping[str, Any]) -> Any:
        refs = given_texts(given.get("source_refs"))
        check_stored(self._context, refs)
        kind = given_part(given.get("part"))
        return {"new": add_pictures(self._context, given_text(given.get("project")), kind, refs)}

    async def _upload(self, request: Request) -> Response:
        project, name = request.query_params.get("project", ""), request.query_params.get("name", "")

        def answer(body: bytes) -> Response:
            return as_json({"source_ref": store_picture(self._context, project, name, body)})

        return await guarded(self._context.layout.home, answer, await body_of(request, limits().file_bytes))

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
                return missing()
            headers = {"cache-control": "private, no-cache"}
            if turned is not None:
                return Response(turned, media_type="image/png", headers=headers)
            return FileResponse(path, media_type=kind, headers=headers)

        return await guarded(self._context.layout.home, answer, b"")

    async def _thumbnail(self, request: Request) -> Response:
        def answer(_: bytes) -> Response:
            side = request.query_params.get("side", "")
            if side not in map(str, SIDES_PX):
                raise InvalidParameter(f"A side is one of {', '.join(map(str, SIDES_PX))}.")
            source_ref = self._named(request)
            try:
                data = self._pictures.thumbnail(source_ref, int(side))
            except (NoSuchObjectError, ServiceError):
                return missing()
            return Response(data, media_type="image/jpeg", headers={"cache-control": "private, max-age=600"})

        return await guarded(self._context.layout.home, answer, b"")

    def _named(self, request: Request) -> str:
        """The source-ref of the entry that a picture's URL names, or of what waits in a project's queue."""
        if "project" in request.query_params:
            return queued(self._context, request.query_params["project"], request.query_params.get("of", "")).source_ref
        text = request.query_params.get("position", "")
        if not (text.isascii() and text.isdecimal() and len(text) < 16):
            raise InvalidParameter("A position is a number.")
        dataset, position = request.query_params.get("dataset", ""), int(text)
        with self._lock:
            known = self._shown.get((dataset, position))
        # What a page names is only held against what it was shown.
        if known is not None and known == request.query_params.get("of"):
            return known
        return parse_line(self._line(dataset, position)).source_ref


def _files_of(revision: str) -> set[str]:
    """The files of entries that a listing's revision is of."""
    return {part.partition(".")[0] for part in revision.split("-") if "." in part}
