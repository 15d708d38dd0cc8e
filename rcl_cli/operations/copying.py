"""Copying a model into another project."""

from __future__ import annotations

import sqlite3
from typing import Any

from rcl_cli.compute import job
from rcl_cli.context import Context
from rcl_cli.errors import InternalServerError, InvalidParameter, ResourceInUse
from rcl_cli.operations.outputs import check_output
from rcl_cli.operations.resources import arn, find_project, find_version, unused_ms
from rcl_cli.operations.settle import settle_versions
from rcl_cli.status import MAKING, WITHOUT_MODEL, VersionStatus
from rcl_cli.store import projects, tags, versions
from rcl_cli.store.liveness import this_process
from rcl_cli.store.versions import Version


def copy_project_version(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    """Remember the copy and start the process that makes it, which goes on when this returns."""
    settle_versions(context)
    nonce = context.new_nonce()
    with context.database.write() as db:
        destination, source = _checked(db, params)
        name = params["VersionName"]
        created_ms = unused_ms(context, db)
        version_arn = arn(context, f"project/{destination.name}/version/{name}/{created_ms}")
        request = params | {"SourceProjectVersionArn": source.arn}
        version_id = versions.insert(
            db, version_arn, destination.id, name, created_ms, request, status=VersionStatus.COPYING_IN_PROGRESS
        )
        tags.put(db, version_arn, params.get("Tags", {}))
        # Until the copier has its place, this process answers for the version.
        versions.assign(db, version_id, nonce, this_process())
    try:
        pid = job.launch_copier(context.layout, version_id, nonce)
    except OSError as error:
        message = f"The process that copies can't be started: {error}."
        with context.database.write() as db:
            job.end_copy(db, context.layout, version_id, message)
        raise InternalServerError(message) from error
    with context.database.write() as db:
        job.hand_over(db, version_id, nonce, pid)
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
