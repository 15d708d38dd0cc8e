"""What the local extras need beyond the API: progress, logs, and a version by its short name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rcl_cli.errors import ResourceNotFound
from rcl_cli.inference.hosts import host_log
from rcl_cli.service.context import Context
from rcl_cli.service.settle import settle_versions
from rcl_cli.store import projects, versions
from rcl_cli.store.versions import Version


def training_progress(context: Context, version_arn: str) -> dict[str, Any] | None:
    """The structured progress of a running training."""
    with context.database.read() as db:
        version = versions.by_arn(db, version_arn)
    return version.progress if version else None


def named_version(context: Context, name: str) -> Version:
    """A version by ARN, or by `project/version`.

    Raises:
        ResourceNotFound: there is none.
    """
    settle_versions(context)
    with context.database.read() as db:
        if name.startswith("arn:"):
            version = versions.by_arn(db, name)
        else:
            project_name, _, version_name = name.partition("/")
            project = projects.by_name(db, project_name)
            version = versions.by_name(db, project.id, version_name) if project else None
    if version is None:
        raise ResourceNotFound(f"There is no version {name}: give its ARN, or PROJECT/VERSION.")
    return version


def log_of(context: Context, version: Version, *, host: bool) -> Path:
    return host_log(context.layout, version.id) if host else context.layout.training_log(version.id)
