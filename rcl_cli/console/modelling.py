"""What the page asks about models: trained, judged, compared, their thresholds set."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from rcl_cli.backends.exports.names import FORMS
from rcl_cli.console.answering import guarded, routes_of
from rcl_cli.console.given import given_numbers, given_text
from rcl_cli.context import Context
from rcl_cli.errors import InvalidParameter, RclError, UsageError
from rcl_cli.evaluation.evidence import Judged
from rcl_cli.local.home.overview import versions_of
from rcl_cli.local.models.comparison import compare, page_data
from rcl_cli.local.models.foresight import Foreseer, foresee
from rcl_cli.local.models.judging import entries_of, judging_of
from rcl_cli.local.models.packing import Exports
from rcl_cli.local.models.thresholds import reset_thresholds, set_thresholds
from rcl_cli.local.models.training import begin_training
from rcl_cli.local.models.watching import (
    log_of,
    named_version,
    stop_training,
    training_curve,
    training_progress,
)
from rcl_cli.operations.progress import message_of
from rcl_cli.status import MAKING
from rcl_cli.training.options import TRAINING_OPTIONS, resolve_options

_MOST_LOG_CHARS = 50_000


class ModelRoutes:
    """The routes of models."""

    def __init__(self, context: Context) -> None:
        self._context = context
        answers = {
            "versions": self._versions, "options": self._options, "plan": self._plan, "train": self._train,
            "training": self._training, "stop-training": self._stop_training, "judging": self._judging,
            "thresholds": self._thresholds, "comparison": self._comparison, "export": self._export,
            "exported": self._exported,
        }  # fmt: skip
        self._exports, self._lock = Exports(context), threading.Lock()
        self._planning: dict[str, Foreseer] = {}
        self.all = [Route("/local/export-file", self._file), *routes_of(context.layout.home, answers)]

    def close(self) -> None:
        """End exports, and remove them; end what plans."""
        self._exports.close()
        with self._lock:
            planning, self._planning = self._planning, {}
        for process in planning.values():
            process.kill()

    def _versions(self, given: Mapping[str, Any]) -> Any:
        rows = versions_of(self._context, given_text(given.get("project")))
        made = [row.arn for row in rows if row.status in MAKING]
        progress = {arn: training_progress(self._context, arn) for arn in made}
        return {"versions": [{**row._asdict(), "progress": progress.get(row.arn)} for row in rows]}

    def _options(self, _given: Mapping[str, Any]) -> Any:
        return {"options": TRAINING_OPTIONS}

    def _plan(self, given: Mapping[str, Any]) -> Any:
        """What a training would be like, and why; a newer question about a project ends an older one."""
        project, own = given_text(given.get("project")), list[Foreseer]()

        def begun(process: Foreseer) -> None:
            own.append(process)
            with self._lock:
                before = self._planning.get(project)
                self._planning[project] = process
            if before is not None:
                before.kill()

        try:
            found = foresee(self._context, project, _given_options(given), begun)
        except RclError:
            if own and self._planning.get(project) is not own[0]:
                # Nobody waits for it any more.
                return {"trouble": "", "choices": []}
            raise
        return {"trouble": found.trouble, "choices": [one._asdict() for one in found.choices]}

    def _train(self, given: Mapping[str, Any]) -> Any:
        options = _given_options(given)
        return {"version": begin_training(self._context, given_text(given.get("project")), options, lambda _: None)}

    def _training(self, given: Mapping[str, Any]) -> Any:
        """How a training goes, or went."""
        version = named_version(self._context, given_text(given.get("version")))
        try:
            log = "".join(log_of(self._context, version.arn, host=False))
        except UsageError:
            log = ""
        return {
            "arn": version.arn, "status": version.status, "message": message_of(self._context, version),
            "progress": training_progress(self._context, version.arn),
            "curve": [one._asdict() for one in training_curve(self._context, version)], "log": log[-_MOST_LOG_CHARS:],
        }  # fmt: skip

    def _stop_training(self, given: Mapping[str, Any]) -> Any:
        stop_training(self._context, given_text(given.get("version")))
        return {}

    def _judging(self, given: Mapping[str, Any]) -> Any:
        return judging_of(self._context, named_version(self._context, given_text(given.get("version"))))

    def _thresholds(self, given: Mapping[str, Any]) -> Any:
        """Set those of some labels; without any, all go back to the assumed ones."""
        version = named_version(self._context, given_text(given.get("version")))
        if values := given_numbers(given.get("values")):
            set_thresholds(self._context, version, values)
        else:
            reset_thresholds(self._context, version, ())
        return {}

    def _comparison(self, given: Mapping[str, Any]) -> Any:
        first, second = (named_version(self._context, given_text(given.get(side))) for side in ("first", "second"))
        if first.project_id != second.project_id:
            raise InvalidParameter("Two versions of one project are compared here.")
        found = compare(self._context, first, second)
        refs = [one.images[0].source_ref for one in (*found.better, *found.worse)]
        where = entries_of(self._context, first.project_id, refs)

        def picture(image: Judged) -> dict[str, Any]:
            entry = where.get(image.source_ref)
            return {
                "name": image.source_ref, "truth": image.truth, "size": [image.width, image.height],
                "entry": entry and {"dataset": entry.dataset_arn, "position": entry.position},
            }  # fmt: skip

        return page_data(found, picture)

    def _export(self, given: Mapping[str, Any]) -> Any:
        """Begin to export a version; without a form, which forms there are."""
        form = given_text(given.get("form", ""))
        if form:
            self._exports.begin(named_version(self._context, given_text(given.get("version"))), form)
        return {"forms": FORMS}

    def _exported(self, given: Mapping[str, Any]) -> Any:
        version = named_version(self._context, given_text(given.get("version")))
        return self._exports.standing(version, given_text(given.get("form")))._asdict()

    async def _file(self, request: Request) -> Response:
        def answer(_: bytes) -> Response:
            version = named_version(self._context, request.query_params.get("version", ""))
            path, name = self._exports.file(version, request.query_params.get("form", ""))
            return FileResponse(
                path, media_type="application/zip", filename=name, headers={"cache-control": "no-store"}
            )

        return await guarded(self._context.layout.home, answer, b"")


def _given_options(given: Mapping[str, Any]) -> dict[str, str]:
    """Training options that a page may choose.

    Raises:
        InvalidParameter: one does not exist, can't have its value, or would name a file.
    """
    options = given.get("options", {})
    if not isinstance(options, dict):
        raise InvalidParameter("Options are an object.")
    found = {given_text(name): given_text(value) for name, value in options.items()}
    resolve_options(found)
    if found.get("weights", "auto") not in ("auto", "none"):
        raise InvalidParameter("Weights in a file are chosen by rcl train --set weights=FILE, or in config.yaml.")
    return found
