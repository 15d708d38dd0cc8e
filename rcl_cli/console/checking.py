"""What the page asks about what is wrong with a project's images: looked for in the background, and mended."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

from rcl_cli.console.answering import routes_of
from rcl_cli.console.given import given_count, given_text
from rcl_cli.context import Context
from rcl_cli.errors import InvalidParameter, ResourceNotFound
from rcl_cli.local.datasets.checking.findings import Finding
from rcl_cli.local.datasets.checks import Request, check_images
from rcl_cli.local.datasets.mending import can_be_mended, entries_of, is_for_all, mend, way_of, whereabouts
from rcl_cli.local.events import Counted, Event
from rcl_cli.local.labelling.gallery import PARTS
from rcl_cli.local.works import trouble_of
from rcl_cli.manifest.line import parse_line
from rcl_cli.operations.resources import find_project
from rcl_cli.store import datasets

_MOST_SHOWN, _MOST_IMAGES = 200, 24


class _Check(NamedTuple):
    """A check of a project.

    Args:
        name: of this check; a later one has another.
        mended: numbers of findings about which something was done.
    """

    name: str
    done: int = 0
    is_over: bool = False
    trouble: str = ""
    findings: tuple[Finding, ...] = ()
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
            every = datasets.of_project(db, find_project(db, project).id)
        # By ARN: a name may be that of a folder, too.
        sources = tuple(one.arn for kind in PARTS for one in every if one.type == kind)
        if not sources:
            raise InvalidParameter("The project has no images yet.")
        with self._lock:
            if project in self._checks and not self._checks[project].is_over:
                return {}
            check = self._checks[project] = _Check(secrets.token_hex(8))
        threading.Thread(target=self._work, args=(project, sources, check), daemon=True).start()
        return {}

    def _work(self, project: str, sources: tuple[str, ...], check: _Check) -> None:
        def tell(event: Event) -> None:
            if isinstance(event, Counted):
                self._checks[project] = check._replace(done=event.done)

        try:
            check = check._replace(findings=tuple(check_images(self._context, Request(sources), tell)))
        except Exception as error:  # noqa: BLE001 - whatever ends it must be told
            check = check._replace(trouble=trouble_of(self._context, error))
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
                    "way": way_of(one) if can_be_mended(one, there) else "",
                    "is_mended": number in check.mended, "images": len(one.images),
                    "entries": [
                        {
                            "source_ref": parse_line(at.line).source_ref, "dataset": at.dataset_arn, "part": at.part,
                            "position": at.position,
                        }
                        for at in entries_of(_short(one), there)
                    ],
                }
                for number, one in zip(numbers, some, strict=True)
            ]
        }  # fmt: skip

    def _mend(self, given: Mapping[str, Any]) -> Any:
        """Do what can be done about findings: one by its number, or all that are open of a kind."""
        project, numbers = given_text(given.get("project")), self._wanted(given)
        check = self._named(given)
        found = mend(self._context, project, [check.findings[number] for number in numbers])
        mended = {number for place, number in enumerate(numbers) if place not in found.left}
        with self._lock:
            now = self._checks[project]
            if now.name == check.name:
                self._checks[project] = now._replace(mended=now.mended | mended)
        return {"removed": found.removed, "changed": found.changed, "left": len(found.left)}

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
        every = dict.fromkeys((at.dataset_arn, at.position) for one in wanted for at in entries_of(one, there))
        return {"entries": list(every)}

    def _wanted(self, given: Mapping[str, Any]) -> list[int]:
        """Numbers of the findings that are to be mended."""
        check, kind = self._named(given), given_text(given.get("kind"))
        of_kind = [number for number, one in enumerate(check.findings) if one.kind == kind]
        if given.get("number") is None:
            return [number for number in of_kind if number not in check.mended and is_for_all(check.findings[number])]
        number = given_count(given["number"])
        if number not in of_kind or not way_of(check.findings[number]):
            raise InvalidParameter("Somebody has to look at that.")
        return [number]

    def _named(self, given: Mapping[str, Any]) -> _Check:
        check = self._checks.get(given_text(given.get("project")))
        if check is None or not check.is_over or check.name != given_text(given.get("check")):
            raise ResourceNotFound("This check is not kept any more: check the images once more.")
        return check


def _short(finding: Finding) -> Finding:
    """With as many images as are shown."""
    return finding._replace(images=finding.images[:_MOST_IMAGES])


def _kind_json(kind: str, check: _Check) -> dict[str, Any]:
    """How many findings there are of a kind: all, those that were not mended here, and those that can be."""
    numbers = [number for number, one in enumerate(check.findings) if one.kind == kind]
    left = [number for number in numbers if number not in check.mended]
    first = check.findings[numbers[0]]
    return {
        "kind": kind, "severity": first.severity, "fix": first.fix, "count": len(numbers), "open": len(left),
        "way": way_of(first), "mendable": len(left) if is_for_all(first) else 0,
    }  # fmt: skip
