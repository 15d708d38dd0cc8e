"""What the page asks about pictures that models met at work: queued, judged, and on their way into the training set."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import PurePath
from typing import Any

from starlette.requests import Request as WebRequest
from starlette.responses import Response
from starlette.routing import Route

from rcl_cli.console.answering import as_json, body_of, guarded, routes_of
from rcl_cli.console.given import given_count, given_text, given_texts
from rcl_cli.context import Context
from rcl_cli.errors import InvalidParameter
from rcl_cli.local.events import Counted, Event
from rcl_cli.local.feedback.adding import Outcome, Request, add
from rcl_cli.local.feedback.overview import status
from rcl_cli.local.feedback.verifying import Queued, verify, waiting
from rcl_cli.local.models.judging import entries_of
from rcl_cli.local.works import trouble_of
from rcl_cli.operations.resources import find_project
from rcl_cli.scratch import scratch
from rcl_cli.status import FeedbackState

_MOST_AT_ONCE, _MOST_NAMED = 100, 5
_MOST_LIST_BYTES = 2**26


class FeedbackRoutes:
    """The routes of the feedback loop."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._adding: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        answers = {
            "feedback": self._queue, "feedback-add": self._add, "feedback-adding": self._progress,
            "feedback-verify": self._verify,
        }  # fmt: skip
        self.all = [
            Route("/local/feedback-list", self._list, methods=["POST"]), *routes_of(context.layout.home, answers)
        ]  # fmt: skip

    def _queue(self, given: Mapping[str, Any]) -> Any:
        """How many there are of each state, and some of one."""
        project, state = given_text(given.get("project")), given_text(given.get("state", FeedbackState.WAITING))
        limit = min(given_count(given.get("limit", 0)), _MOST_AT_ONCE)
        found = waiting(self._context, project, given_count(given.get("offset", 0)), limit, state)
        counts = status(self._context, project)[0].counts
        return {
            "counts": {name.upper(): getattr(counts, name) for name in ("waiting", "right", "wrong", "corrected")},
            "share_right": counts.share_right,
            "items": [_item_json(one) for one in found],
        }

    def _add(self, given: Mapping[str, Any]) -> Any:
        """Begin to ask about pictures, in buckets only; one such work a project at a time."""
        project, sources = given_text(given.get("project")), given_texts(given.get("sources"))
        if not sources or not all(one.startswith("s3://") for one in sources):
            raise InvalidParameter("Name pictures in buckets: s3://BUCKET/PREFIX.")
        self._claim(project)
        self._begin(Request(project, tuple(sources)), ExitStack())
        return {}

    async def _list(self, request: WebRequest) -> Response:
        """Begin to take in a list that is sent: lines with source-refs, and answers where `rcl detect` wrote them."""

        def begin(body: bytes) -> Response:
            given = request.query_params
            name = PurePath(given_text(given.get("name", ""))).name or "list"
            with ExitStack() as stack:
                path = stack.enter_context(scratch("list")) / "list"
                path.write_bytes(body)
                asked = Request(given.get("project", ""), (), brought=((name, path),))
                self._claim(asked.project)
                self._begin(asked, stack.pop_all())
            return as_json({})

        return await guarded(self._context.layout.home, begin, await body_of(request, _MOST_LIST_BYTES))

    def _claim(self, project: str) -> None:
        """
        Raises:
            InvalidParameter: others are being added to its queue.
        """
        with self._lock:
            if self._adding.get(project, {}).get("is_over") is False:
                raise InvalidParameter("Pictures are being added already: wait until these are there.")
            self._adding[project] = {"done": 0, "is_over": False}

    def _begin(self, request: Request, kept: ExitStack) -> None:
        """
        Args:
            kept: what is needed until it is over.
        """
        threading.Thread(target=self._work, args=(request, kept), daemon=True).start()

    def _work(self, request: Request, kept: ExitStack) -> None:
        project = request.project

        def tell(event: Event) -> None:
            if isinstance(event, Counted):
                self._adding[project] = {"done": event.done, "is_over": False}

        try:
            with kept:
                told = _outcome_json(add(self._context, request, tell))
        except Exception as error:  # noqa: BLE001 - whatever ends it must be told
            told = {"trouble": trouble_of(self._context, error)}
        self._adding[project] = {**told, "is_over": True}

    def _progress(self, given: Mapping[str, Any]) -> Any:
        return self._adding.get(given_text(given.get("project")), {"done": 0, "is_over": True})

    def _verify(self, given: Mapping[str, Any]) -> Any:
        """Say a verdict; where it became an entry, which one that is."""
        project, ref = given_text(given.get("project")), given_text(given.get("source_ref"))
        verdict, seen = given_text(given.get("verdict")), given_text(given.get("seen"))
        verified = verify(self._context, project, ref, verdict, seen=seen)
        if verified.source_ref is None:
            return {"state": verified.state, "entry": None}
        with self._context.database.read() as db:
            project_id = find_project(db, project).id
        where = entries_of(self._context, project_id, [verified.source_ref]).get(verified.source_ref)
        entry = where and {"dataset": where.dataset_arn, "position": where.position}
        return {"state": verified.state, "entry": entry}


def _item_json(one: Queued) -> dict[str, Any]:
    boxes = [{"label": box.label, "box": list(box.box)} for box in one.labelling.boxes]
    return {
        "source_ref": one.source_ref, "origin": one.origin, "version": one.version,
        "version_arn": one.version_arn, "unsureness": one.unsureness,
        "state": one.state, "labels": list(one.labelling.labels), "boxes": boxes,
        "scores": [[answer["Name"], answer["Confidence"] / 100] for answer in one.answers],
    }  # fmt: skip


def _outcome_json(found: Outcome) -> dict[str, Any]:
    return {
        "version": found.version, "added": found.added, "replaced": found.replaced, "in_queue": found.in_queue,
        "in_datasets": found.in_datasets, "left_out": len(found.left_out),
        "first_left_out": [f"{one.where}: {one.why}" for one in found.left_out[:_MOST_NAMED]],
    }  # fmt: skip
