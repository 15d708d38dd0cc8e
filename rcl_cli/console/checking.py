"""What the page asks about what is wrong with a project's images: looked for in the background, and mended."""

from __future__ import annotations

import secrets
import threading
import traceback
from collections.abc import Mapping
from typing import Any, NamedTuple

from rcl_cli.console.answering import routes_of
from rcl_cli.console.given import given_count, given_text
from rcl_cli.context import Context
from rcl_cli.errors import InvalidParameter, RclError, ResourceNotFound, ServiceError
from rcl_cli.local.datasets.checking.findings import Finding
from rcl_cli.local.datasets.checks import Request, check_images
from rcl_cli.local.datasets.mending import Where, mend, ref_of, ways_of, whereabouts
from rcl_cli.local.events import Counted, Event
from rcl_cli.operations.resources import find_project

_MOST_SHOWN, _MOST_IMAGES = 200, 24


class _Check(NamedTuple):
    """A check of a project.

    Args:
        name: of this check; a later one has another.
        ways: what can be done about each finding, without looking.
        mended: numbers of findings about which that was done.
    """

    name: str
    done: int = 0
    is_over: bool = False
    trouble: str = ""
    findings: tuple[Finding, ...] = ()
    ways: tuple[str, ...] = ()
    mended: frozenset[int] = frozenset()


class CheckingRoutes:
    """The routes of checks."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._checks: dict[str, _Check] = {}
        self._lock = threading.Lock()
        answers = {
            "check": self._begin, "checked": self._standing, "findings": self._findings, "mend": self._mend,
            "queue-findings": self._places,
        }  # fmt: skip
        self.all = routes_of(context.layout.home, answers)

    def _begin(self, given: Mapping[str, Any]) -> Any:
        """Begin to look; one check of a project at a time."""
        project = given_text(given.get("project"))
        with self._context.database.read() as db:
            name = find_project(db, project).name
        with self._lock:
            if project in self._checks and not self._checks[project].is_over:
                return {}
            check = self._checks[project] = _Check(secrets.token_hex(8))
        threading.Thread(target=self._work, args=(project, name, check), daemon=True).start()
        return {}

    def _work(self, project: str, name: str, check: _Check) -> None:
        def tell(event: Event) -> None:
            if isinstance(event, Counted):
                self._checks[project] = check._replace(done=event.done)

        try:
            found = tuple(check_images(self._context, Request((name,)), tell))
            check = check._replace(findings=found, ways=tuple(ways_of(found)))
        except Exception as error:  # noqa: BLE001 - whatever ends it must be told
            if not isinstance(error, (ServiceError, RclError, OSError)):
                traceback.print_exc()
            check = check._replace(trouble=str(error))
        self._checks[project] = check._replace(done=self._checks[project].done, is_over=True)

    def _standing(self, given: Mapping[str, Any]) -> Any:
        """Where the last check stands, and how many findings there are of each kind, the worst first."""
        check = self._checks.get(given_text(given.get("project")))
        if check is None:
            return {"check": None}
        return {
            "check": check.name, "done": check.done, "is_over": check.is_over, "trouble": check.trouble,
            "kinds": [_kind_json(kind, check) for kind in dict.fromkeys(one.kind for one in check.findings)],
        }  # fmt: skip

    def _findings(self, given: Mapping[str, Any]) -> Any:
        """Some findings of a kind, with the entries of their images as they are now."""
        check, kind = self._named(given), given_text(given.get("kind"))
        offset, limit = given_count(given.get("offset", 0)), min(given_count(given.get("limit", 0)), _MOST_SHOWN)
        numbers = [number for number, one in enumerate(check.findings) if one.kind == kind][offset : offset + limit]
        some = [check.findings[number] for number in numbers]
        there = whereabouts(self._context, given_text(given.get("project")), [_short(one) for one in some])
        return {
            "findings": [
                {
                    "number": number, "detail": one.detail, "part": one.part, "labels": one.labels,
                    "way": check.ways[number], "is_mended": number in check.mended, "images": len(one.images),
                    "entries": [
                        {"source_ref": ref, "dataset": at.dataset_arn, "part": at.part, "position": at.position}
                        for ref, at in _entries_of(_short(one), there)
                    ],
                }
                for number, one in zip(numbers, some, strict=True)
            ]
        }  # fmt: skip

    def _mend(self, given: Mapping[str, Any]) -> Any:
        """Do what can be done about findings: one by its number, or all that are open of a kind."""
        project, numbers = given_text(given.get("project")), self._wanted(given)
        check = self._named(given)
        mended = mend(self._context, project, [check.findings[number] for number in numbers])
        with self._lock:
            now = self._checks[project]
            if now.name == check.name:
                self._checks[project] = now._replace(mended=now.mended | set(numbers))
        return mended._asdict()

    def _places(self, given: Mapping[str, Any]) -> Any:
        """The entries of findings, [dataset, position] each, for somebody to look at."""
        check = self._named(given)
        kind = given_text(given.get("kind"))
        number = given.get("number")
        wanted = [
            one for at, one in enumerate(check.findings)
            if one.kind == kind and at not in check.mended and number in (None, at)
        ]  # fmt: skip
        there = whereabouts(self._context, given_text(given.get("project")), wanted)
        every = dict.fromkeys(at for one in wanted for _, at in _entries_of(one, there))
        return {"entries": [[at.dataset_arn, at.position] for at in every]}

    def _wanted(self, given: Mapping[str, Any]) -> list[int]:
        check, kind = self._named(given), given_text(given.get("kind"))
        can = [number for number, one in enumerate(check.findings) if one.kind == kind and check.ways[number]]
        if given.get("number") is not None:
            number = given_count(given["number"])
            if number not in can:
                raise InvalidParameter("Somebody has to look at that.")
            return [number]
        return [number for number in can if number not in check.mended]

    def _named(self, given: Mapping[str, Any]) -> _Check:
        check = self._checks.get(given_text(given.get("project")))
        if check is None or not check.is_over or check.name != given_text(given.get("check")):
            raise ResourceNotFound("This check is not kept any more: check the images once more.")
        return check


def _short(finding: Finding) -> Finding:
    """With as many images as are shown."""
    return finding._replace(images=finding.images[:_MOST_IMAGES])


def _entries_of(finding: Finding, there: Mapping[str, list[Where]]) -> list[tuple[str, Where]]:
    """The entries that a finding is about, each with its source-ref."""
    return [
        (ref, at)
        for ref in map(ref_of, finding.images)
        for at in there.get(ref, [])
        if finding.part.upper() in ("", at.part)
    ]


def _kind_json(kind: str, check: _Check) -> dict[str, Any]:
    """How many findings there are of a kind: all, those that were not mended here, and those that can be."""
    numbers = [number for number, one in enumerate(check.findings) if one.kind == kind]
    left = [number for number in numbers if number not in check.mended]
    first = check.findings[numbers[0]]
    return {
        "kind": kind, "severity": first.severity, "fix": first.fix, "count": len(numbers), "open": len(left),
        "way": next(filter(None, (check.ways[number] for number in numbers)), ""),
        "mendable": sum(1 for number in left if check.ways[number]),
    }  # fmt: skip
