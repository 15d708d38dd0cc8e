"""Running models: start and stop."""

from __future__ import annotations

from typing import Any

from rcl_cli.compute.folder import WorkFolder
from rcl_cli.compute.launcher import launcher
from rcl_cli.compute.places import host_of
from rcl_cli.context import Context
from rcl_cli.errors import (
    InternalServerError,
    InvalidParameter,
    LimitExceeded,
    ResourceInUse,
)
from rcl_cli.inference.address import socket_address
from rcl_cli.operations.resources import find_version
from rcl_cli.operations.settle import HOST, settle_versions
from rcl_cli.status import STARTABLE, WITHOUT_MODEL, VersionStatus
from rcl_cli.store import versions
from rcl_cli.store.trouble import reason

MAX_UNITS = 64


def start_project_version(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    """Start a host; the version is RUNNING once the host has loaded the model."""
    units, most = params["MinInferenceUnits"], params.get("MaxInferenceUnits")
    with context.database.read() as db:
        find_version(db, params["ProjectVersionArn"])
    if most is not None and most < units:
        raise InvalidParameter("MaxInferenceUnits must not be less than MinInferenceUnits.")
    if units > MAX_UNITS:
        raise LimitExceeded(f"MinInferenceUnits can't be more than {MAX_UNITS}: each is a process with its own model.")
    settle_versions(context)
    with context.database.read() as db:
        version = find_version(db, params["ProjectVersionArn"])
    folder = host_of(context.layout, version.id)
    # Before the store says so: whoever looks must not take a host that is about to start for one that died.
    claim = launcher().claim(folder)
    try:
        _begin(context, params, folder, claim is not None, most)
        if claim is not None:
            claim.start(HOST)
    except OSError as error:
        message = f"The model's host can't be started: {reason(error, context.layout.home)}."
        with context.database.write() as db:
            versions.move(db, version.id, (VersionStatus.STARTING,), VersionStatus.FAILED, message)
        raise InternalServerError(message) from error
    finally:
        if claim is not None:
            claim.release()
    return {"Status": VersionStatus.STARTING}


def _begin(context: Context, params: dict[str, Any], folder: WorkFolder, is_free: bool, most: int | None) -> None:
    """Say that a version starts, and what its host has to know.

    Raises:
        InvalidParameter, ResourceInUse: it can't be started.
        OSError: the disk is full.
    """
    units, nonce = params["MinInferenceUnits"], context.new_nonce()
    with context.database.write() as db:
        version = find_version(db, params["ProjectVersionArn"])
        if version.status in WITHOUT_MODEL:
            raise InvalidParameter(f"The version {version.name} can't be started: its status is {version.status}.")
        if not versions.move(db, version.id, STARTABLE, VersionStatus.STARTING, "The model is being started."):
            raise ResourceInUse(f"The version {version.name} can't be started: its status is {version.status}.")
        if not is_free:
            raise ResourceInUse(f"The version {version.name} can't be started: its last host is still ending.")
        versions.set_units(db, version.id, units, most)
        folder.prepare({
            "model": str(context.layout.model(version.id)), "work_dir": str(context.layout.home / "cache"),
            "address": socket_address(folder.path, nonce), "nonce": nonce,
            "least": units, "most": min(most or units, MAX_UNITS),
        })  # fmt: skip


def stop_project_version(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    """Ask the host to end; the version is STOPPED once it has answered what it had taken."""
    settle_versions(context)
    with context.database.write() as db:
        version = find_version(db, params["ProjectVersionArn"])
        if version.status in (VersionStatus.STARTING, VersionStatus.STOPPING):
            raise ResourceInUse(f"The version {version.name} can't be stopped: its status is {version.status}.")
        if not versions.move(
            db, version.id, (VersionStatus.RUNNING,), VersionStatus.STOPPING, "The model is being stopped."
        ):
            raise InvalidParameter(f"The version {version.name} is not running: its status is {version.status}.")
    launcher().stop(host_of(context.layout, version.id))
    return {"Status": VersionStatus.STOPPING}
