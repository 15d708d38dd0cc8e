"""What local commands need to know of a version: by its short name, its progress, its logs, its evaluation."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from rcl_cli.buckets.base import NoSuchObjectError
from rcl_cli.compute.launcher import launcher
from rcl_cli.compute.places import host_of, making_of
from rcl_cli.context import Context
from rcl_cli.errors import RclError, ResourceNotFound, ResourceNotReady, UsageError
from rcl_cli.local.models.naming import find_version
from rcl_cli.operations.progress import progress_of
from rcl_cli.operations.settle import settle_versions
from rcl_cli.status import VersionStatus
from rcl_cli.store import versions
from rcl_cli.store.versions import Version

_POLL_S = 0.3
_BEGINNING = (VersionStatus.TRAINING_IN_PROGRESS, VersionStatus.STARTING)


def training_progress(context: Context, version_arn: str) -> dict[str, Any] | None:
    """The structured progress of a running training."""
    with context.database.read() as db:
        version = versions.by_arn(db, version_arn)
    return progress_of(context, version) if version else None


class Epoch(NamedTuple):
    """What a training said after an epoch.

    Args:
        metric: what `value` is: `AP50`, or `accuracy`.
    """

    epoch: int
    loss: float | None
    metric: str | None
    value: float | None


def training_curve(context: Context, version: Version) -> list[Epoch]:
    """What a training that runs has said of its epochs so far; what it did again counts as it was the last time."""
    found: dict[int, Epoch] = {}
    for event in making_of(context.layout, version.id).events():
        told = event.get("progress", {})
        if told.get("stage") == "training" and (told.get("loss") is not None or told.get("value") is not None):
            found[told["step"]] = Epoch(told["step"], told.get("loss"), told.get("metric"), told.get("value"))
    return [found[epoch] for epoch in sorted(found)]


def stop_training(context: Context, version_arn: str) -> None:
    """Ask a training to end; it fails then, and says why.

    Raises:
        ResourceNotFound: there is no such version.
        ResourceNotReady: it is not being trained.
    """
    version = named_version(context, version_arn)
    if version.status != VersionStatus.TRAINING_IN_PROGRESS:
        raise ResourceNotReady(f"{version.name} is not being trained: its status is {version.status}.")
    folder = making_of(context.layout, version.id)
    # First: who sees it end must see why.
    folder.cancel()
    launcher().stop(folder)


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


def log_of(context: Context, name: str, *, host: bool, follow: bool = False) -> Iterator[str]:
    """The log of a version's training or host, piece by piece.

    Args:
        name: ARN, PROJECT/VERSION, or a PROJECT.
        host: its host's, not its training's.
        follow: go on until the training has ended, or the host is up.

    Raises:
        ResourceNotFound: there is no such version.
        UsageError: there is no log yet.
    """
    version = named_version(context, name)
    path = (host_of if host else making_of)(context.layout, version.id).log
    if not path.exists():
        raise UsageError(f"There is no log of {name} yet.")
    with path.open(encoding="utf-8", errors="replace") as log:
        while True:
            # First: what is written before it ends is read after.
            goes_on = follow and version.status in _BEGINNING
            while chunk := log.read(1 << 16):
                yield chunk
            if not goes_on:
                return
            time.sleep(_POLL_S)
            version = named_version(context, version.arn)


def evaluation_of(context: Context, version_arn: str) -> dict[str, Any]:
    """The evaluation summary of a trained version.

    Raises:
        RclError: it has none, or it is gone.
    """
    with context.database.read() as db:
        version = versions.by_arn(db, version_arn)
    if version is None or "EvaluationResult" not in version.result:
        raise RclError(f"{version_arn} has no evaluation: it is not trained.")
    place = version.result["EvaluationResult"]["Summary"]["S3Object"]
    try:
        with context.buckets.get(place["Bucket"]).open(place["Name"]) as stream:
            found: dict[str, Any] = json.load(stream)
    except (NoSuchObjectError, OSError, ValueError) as error:
        raise RclError(f"The evaluation summary s3://{place['Bucket']}/{place['Name']} can't be read.") from error
    return found
