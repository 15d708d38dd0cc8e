"""What the local extras need beyond the API: progress, logs, and a version by its short name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rcl_cli.compute.places import host_of, making_of
from rcl_cli.context import Context
from rcl_cli.errors import ResourceNotFound
from rcl_cli.local.models.naming import find_version
from rcl_cli.operations.progress import progress_of
from rcl_cli.operations.settle import settle_versions
from rcl_cli.store import versions
from rcl_cli.store.versions import Version


def training_progress(context: Context, version_arn: str) -> dict[str, Any] | None:
    """The structured progress of a running training."""
    with context.database.read() as db:
        version = versions.by_arn(db, version_arn)
    return progress_of(context, version) if version else None


def named_version(context: Context, name: str) -> Version:
    """A version by ARN, `project/version`, `project/latest`, or `project` alone, which is its latest.

    Raises:
        ResourceNotFound: there is none.
    """
    settle_versions(context)
    with context.database.read() as db:
        version = find_version(db, name)
    if version is None:
        raise ResourceNotFound(
            f"There is no version {name}: give its ARN, PROJECT/VERSION, or a PROJECT with a trained one; rcl status "
            "lists what there is."
        )
    return version


def log_of(context: Context, version: Version, *, host: bool) -> Path:
    return (host_of if host else making_of)(context.layout, version.id).log
