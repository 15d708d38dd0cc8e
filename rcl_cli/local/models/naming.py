"""Resources by the names that people give them.

| resource | names |
|---|---|
| project | `circuits` |
| dataset | `circuits/train`, `circuits/test` |
| version | `circuits/v1`; `circuits/latest`: the newest that is trained |
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from rcl_cli.errors import ResourceNotFound
from rcl_cli.status import TRAINED
from rcl_cli.store import datasets, projects, versions
from rcl_cli.store.projects import Project
from rcl_cli.store.versions import Version

LATEST = "latest"
_MOST_VERSIONS = 100_000


def find_version(db: sqlite3.Connection, name: str) -> Version | None:
    """A version by ARN or name; a project's name alone is its latest."""
    if name.startswith("arn:"):
        return versions.by_arn(db, name)
    project_name, _, version_name = name.partition("/")
    project = projects.by_name(db, project_name)
    if project is None:
        return None
    if version_name and (found := versions.by_name(db, project.id, version_name)):
        return found
    if version_name not in ("", LATEST):
        return None
    newest_first = versions.page(db, project.id, None, None, _MOST_VERSIONS)
    return next((version for version in newest_first if version.status in TRAINED), None)


def find_project(db: sqlite3.Connection, name: str) -> Project:
    """A project by ARN or name.

    Raises:
        ResourceNotFound: there is none.
    """
    if found := projects.by_arn(db, name) if name.startswith("arn:") else projects.by_name(db, name):
        return found
    raise ResourceNotFound(f"There is no project {name}; rcl status lists them.")


def short_name(version_arn: str) -> str:
    """PROJECT/VERSION of a version's ARN."""
    return "/".join(version_arn.split(":")[5].split("/")[1:4:2])


def _project(db: sqlite3.Connection, name: str) -> str | None:
    project = projects.by_name(db, name)
    return project.arn if project else None


def _dataset(db: sqlite3.Connection, name: str) -> str | None:
    project_name, _, kind = name.partition("/")
    project = projects.by_name(db, project_name)
    every = datasets.of_project(db, project.id) if project else []
    return next((dataset.arn for dataset in every if dataset.type.lower() == kind.lower()), None)


def _version(db: sqlite3.Connection, name: str) -> str | None:
    found = find_version(db, name) if "/" in name else None
    return found.arn if found else None


def _any(db: sqlite3.Connection, name: str) -> str | None:
    return _project(db, name) or _version(db, name) or _dataset(db, name)


_FINDERS: dict[str, Callable[[sqlite3.Connection, str], str | None]] = {
    "ProjectArn": _project,
    "SourceProjectArn": _project,
    "DestinationProjectArn": _project,
    "DatasetArn": _dataset,
    "Arn": _dataset,
    "ProjectVersionArn": _version,
    "SourceProjectVersionArn": _version,
    "ResourceArn": _any,
}


def arn_of(db: sqlite3.Connection, member: str, name: str) -> str | None:
    """The ARN of the resource that a name means as a member of a request; None where there is no such resource.

    Args:
        member: as the API calls it: `ProjectArn`.
    """
    return _FINDERS[member](db, name) if member in _FINDERS else None


def is_name(member: str, value: object) -> bool:
    """Whether a member that wants an ARN was given something else."""
    return member in _FINDERS and isinstance(value, str) and not value.startswith("arn:")
