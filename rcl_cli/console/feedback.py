"""What the page asks about pictures that models met at work: queued, judged, and on their way into the training set."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Mapping
from typing import Any

from rcl_cli.console.answering import routes_of
from rcl_cli.console.given import given_count, given_text, given_texts
from rcl_cli.context import Context
from rcl_cli.errors import InvalidParameter, RclError, ServiceError
from rcl_cli.local.events import Counted, Event
from rcl_cli.local.feedback.adding import Outcome, Request, add
from rcl_cli.local.feedback.overview import status
from rcl_cli.local.feedback.verifying import Queued, verify, waiting
from rcl_cli.local.models.judging import entries_of
from rcl_cli.operations.resources import find_project
from rcl_cli.status import FeedbackState

_MOST_AT_ONCE, _MOST_NAMED = 100, 5


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
        self.all = routes_of(context.layout.home, answers)

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
        with self._lock:
            if self._adding.get(project, {}).get("is_over") is False:
                raise InvalidParameter("Pictures are being added already: wait until these are there.")
            self._adding[project] = {"done": 0, "is_over": False}
        request = Request(project, tuple(sources))
        threading.Thread(target=self._work, args=(project, request), daemon=True).start()
        return {}

    def _work(self, project: str, request: Request) -> None:
        def tell(event: Event) -> None:
            if isinstance(event, Counted):
                self._adding[project] = {"done": event.done, "is_over": False}

        try:
            told = _outcome_json(add(self._context, request, tell))
        except Exception as error:  # noqa: BLE001 - whatever ends it must be told
            if not isinstance(error, (ServiceError, RclError, OSError)):
                traceback.print_exc()
            told = {"trouble": str(error)}
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
