"""Copying a model into another project."""

from __future__ import annotations

import sqlite3
from typing import Any

from rcl_cli.compute.places import making_of
from rcl_cli.context import Context
from rcl_cli.errors import InternalServerError, InvalidParameter, ResourceInUse
from rcl_cli.operations.outputs import check_output, making
from rcl_cli.operations.resources import arn, find_project, find_version, unused_ms
from rcl_cli.operations.settle import COPIER, begin, settle_versions
from rcl_cli.operations.tagging import given_tags
from rcl_cli.status import MAKING, WITHOUT_MODEL, VersionStatus
from rcl_cli.store import projects, tags, versions
from rcl_cli.store.versions import Version
from rcl_cli.training.job import CopyJob


def copy_project_version(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    """Remember the copy and start the process that makes it, which goes on when this returns."""
    settle_versions(context)
    name = params["VersionName"]
    with context.database.write() as db:
        destination, source = _checked(db, params)
        created_ms = unused_ms(context, db)
        version_arn = arn(context, f"project/{destination.name}/version/{name}/{created_ms}")
        request = params | {"SourceProjectVersionArn": source.arn}
        version_id = versions.insert(
            db, version_arn, destination.id, name, created_ms, request, status=VersionStatus.COPYING_IN_PROGRESS
        )
        tags.put(db, version_arn, given_tags(context, params))
        job = CopyJob(
            making(context, version_arn, destination.name, params), context.layout.model(source.id), source.result,
            source.ended_ms,
        )  # fmt: skip
        folder = making_of(context.layout, version_id)
        try:
            folder.prepare(job.as_json())
        except OSError as error:
            raise InternalServerError(f"The copy can't be begun: {error}.") from error
    begin(context, version_id, COPIER)
    return {"ProjectVersionArn": version_arn}


def _checked(db: sqlite3.Connection, params: dict[str, Any]) -> tuple[projects.Project, Version]:
    """The destination and the source of a copy that may go ahead."""
    origin = find_project(db, params["SourceProjectArn"])
    source = find_version(db, params["SourceProjectVersionArn"])
    destination = find_project(db, params["DestinationProjectArn"])
    if source.project_id != origin.id:
        raise InvalidParameter(f"The version {source.arn} is not one of the project {origin.arn}.")
    if origin.arn.split(":")[3] != destination.arn.split(":")[3]:
        raise InvalidParameter("A model can be copied within its region only.")
    check_output(destination.name, params)
    if source.status in WITHOUT_MODEL:
        raise InvalidParameter(f"The version {source.name} has no model to copy: its status is {source.status}.")
    if versions.by_name(db, destination.id, params["VersionName"]):
        raise ResourceInUse(f"The project {destination.name} already has a version named {params['VersionName']}.")
    if source.status in MAKING:
        raise ResourceInUse(f"The version {source.name} can't be copied: its status is {source.status}.")
    return destination, source
