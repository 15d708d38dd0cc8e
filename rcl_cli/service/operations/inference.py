"""Running models: start, stop, detect."""

from __future__ import annotations

from typing import Any

from rcl_cli.buckets.base import NoSuchObjectError
from rcl_cli.errors import (
    ImageTooLarge,
    InternalServerError,
    InvalidParameter,
    InvalidS3Object,
    LimitExceeded,
    ResourceInUse,
    ResourceNotReady,
)
from rcl_cli.inference import client, hosts
from rcl_cli.service.context import Context
from rcl_cli.service.resources import find_version
from rcl_cli.service.settle import settle_versions
from rcl_cli.store import versions
from rcl_cli.store.liveness import identify, this_process
from rcl_cli.store.versions import Version

_STARTABLE = ("TRAINING_COMPLETED", "STOPPED", "COPYING_COMPLETED", "FAILED")
_NEVER = ("TRAINING_FAILED", "COPYING_FAILED")
_MAX_IMAGE_BYTES = 4 * 2**20
_MAX_S3_IMAGE_BYTES = 15 * 2**20
MAX_UNITS = 64
_NO_OBJECT = "Unable to get object metadata from S3. Check object key, region and/or access permissions."


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
    nonce = context.new_nonce()
    with context.database.write() as db:
        version = find_version(db, params["ProjectVersionArn"])
        if version.status in _NEVER:
            raise InvalidParameter(f"The version {version.name} can't be started: its status is {version.status}.")
        if not versions.move(db, version.id, _STARTABLE, "STARTING", "The model is being started."):
            raise ResourceInUse(f"The version {version.name} can't be started: its status is {version.status}.")
        versions.set_units(db, version.id, units, most)
        address = hosts.socket_address(context.layout, version.id, nonce)
        versions.assign(db, version.id, nonce, this_process(), address)
    try:
        pid = hosts.launch_host(context.layout, version.id, nonce, units)
    except OSError as error:
        with context.database.write() as db:
            versions.move(db, version.id, ("STARTING",), "FAILED", f"The model's host can't be started: {error}.")
            versions.release(db, version.id)
        raise InternalServerError(f"The model's host can't be started: {error}.") from error
    with context.database.write() as db:
        versions.claim(db, version.id, nonce, identify(pid))
    return {"Status": "STARTING"}


def stop_project_version(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    """Ask the host to end; the version is STOPPED once it has answered what it had taken."""
    settle_versions(context)
    with context.database.write() as db:
        version = find_version(db, params["ProjectVersionArn"])
        if version.status in ("STARTING", "STOPPING"):
            raise ResourceInUse(f"The version {version.name} can't be stopped: its status is {version.status}.")
        if not versions.move(db, version.id, ("RUNNING",), "STOPPING", "The model is being stopped."):
            raise InvalidParameter(f"The version {version.name} is not running: its status is {version.status}.")
        worker = versions.worker_of(db, version.id)
    if worker is not None:
        hosts.ask_to_stop(worker, context.layout, version.id)
    return {"Status": "STOPPING"}


def _image(context: Context, image: dict[str, Any]) -> bytes:
    """The image's bytes.

    Raises:
        InvalidParameter, InvalidS3Object, ImageTooLarge: see the contract's §7.
    """
    if ("Bytes" in image) == ("S3Object" in image):
        raise InvalidParameter("Request has invalid parameters: Image needs exactly one of Bytes and S3Object.")
    if "Bytes" in image:
        data = bytes(image["Bytes"])
        if len(data) > _MAX_IMAGE_BYTES:
            raise ImageTooLarge("The image is larger than 4 MB: pass it as an S3 object, which may have 15 MB.")
        return data
    s3_object = image["S3Object"]
    if not {"Bucket", "Name"} <= s3_object.keys():
        raise InvalidParameter("Request has invalid parameters: S3Object needs Bucket and Name.")
    try:
        bucket, key, version = context.buckets.get(s3_object["Bucket"]), s3_object["Name"], s3_object.get("Version")
        if bucket.size(key, version) > _MAX_S3_IMAGE_BYTES:
            raise ImageTooLarge("The image is larger than 15 MB.")
        with bucket.open(key, version) as stream:
            return stream.read()
    except NoSuchObjectError as error:
        raise InvalidS3Object(_NO_OBJECT) from error


def detect_custom_labels(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    version, worker = _running(context, params["ProjectVersionArn"])
    data = _image(context, params["Image"])
    if version is None or worker is None or worker.address is None:
        raise ResourceNotReady("The model is not running: start it, and wait until its status is RUNNING.")
    try:
        found = client.detect(worker.address, worker.nonce, data, params.get("MinConfidence"), params.get("MaxResults"))
    except ResourceNotReady:
        settle_versions(context)
        raise
    return {"CustomLabels": found}


def _running(context: Context, version_arn: str) -> tuple[Version | None, versions.Worker | None]:
    with context.database.read() as db:
        version = find_version(db, version_arn)
        if version.status != "RUNNING":
            return None, None
        return version, versions.worker_of(db, version.id)
