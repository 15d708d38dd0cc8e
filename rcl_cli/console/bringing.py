"""What the page asks while somebody brings labelled images: file by file, looked at, imported."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from tempfile import SpooledTemporaryFile
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rcl_cli.console.answering import as_json, guarded, routes_of, taken
from rcl_cli.console.given import given_text
from rcl_cli.context import Context
from rcl_cli.formats.registry import FORMATS
from rcl_cli.local.datasets.bringing import PLAIN, Bringing
from rcl_cli.local.datasets.sources import Count

# Annotations of a million boxes are some hundred megabytes.
_MOST_BYTES, _IN_MEMORY_BYTES = 2**30, 2**21
_MOST_LABELS = 100


class BringingRoutes:
    """The routes of what is dropped as a whole."""

    def __init__(self, context: Context) -> None:
        self._home, self._cache, self._bringing = context.layout.home, context.layout.cache, Bringing(context)
        answers = {
            "bring": self._begin, "bring-look": self._look, "bring-import": self._import,
            "bring-progress": self._progress, "bring-end": self._end,
        }  # fmt: skip
        self.all = [Route("/local/bring-file", self._file, methods=["POST"]), *routes_of(self._home, answers)]

    def close(self) -> None:
        """Remove what was brought."""
        self._bringing.close()

    def _begin(self, _given: Mapping[str, Any]) -> Any:
        formats = [{"name": name, "summary": one.summary} for name, one in FORMATS.items()]
        return {"folder": self._bringing.begin(), "formats": formats, "plain": PLAIN}

    async def _file(self, request: Request) -> Response:
        """Keep a file, whole or not at all."""
        folder, path = request.query_params.get("folder", ""), request.query_params.get("path", "")

        def check(_: bytes) -> Response:
            self._bringing.check(folder)
            return as_json({})

        answer = await guarded(self._home, check, b"")
        if answer.status_code != HTTPStatus.OK:
            # Before the body, which may be long.
            answer.headers["connection"] = "close"
            return answer
        with SpooledTemporaryFile[bytes](_IN_MEMORY_BYTES, dir=str(self._cache)) as body:

            def keep(_: bytes) -> Response:
                body.seek(0)
                self._bringing.keep(folder, given_text(path), body)
                return as_json({})

            refusal = await taken(request, _MOST_BYTES, body)
            return await guarded(self._home, keep, refusal or b"")

    def _look(self, given: Mapping[str, Any]) -> Any:
        found = self._bringing.look(given_text(given.get("folder")), given_text(given.get("format", "")) or None)
        return {
            "format": found.form, "trouble": found.trouble, "pictures": found.pictures, "notes": found.notes,
            "parts": {part: _count_json(count) for part, count in found.parts.items()},
        }  # fmt: skip

    def _import(self, given: Mapping[str, Any]) -> Any:
        folder, project = given_text(given.get("folder")), given_text(given.get("project"))
        self._bringing.begin_import(folder, project, given_text(given.get("format")))
        return {}

    def _progress(self, given: Mapping[str, Any]) -> Any:
        work = self._bringing.progress(given_text(given.get("folder")))
        return work and work._asdict()

    def _end(self, given: Mapping[str, Any]) -> Any:
        self._bringing.end(given_text(given.get("folder")))
        return {}


def _count_json(count: Count) -> dict[str, Any]:
    """How much there is, and of the commonest labels how many images and boxes."""
    return {
        "images": count.images, "unlabelled": count.unlabelled, "boxes": count.boxes.total(),
        "labels": [[name, images, count.boxes[name]] for name, images in count.labels.most_common(_MOST_LABELS)],
        "all_labels": len(count.labels),
    }  # fmt: skip
