"""Detecting labels with a running model; imports little, as scripts call it once an image."""

from __future__ import annotations

from typing import Any

from rcl_cli.compute.places import host_of
from rcl_cli.context import Context
from rcl_cli.errors import ImageTooLarge, InvalidParameter, InvalidS3Object, ResourceNotReady
from rcl_cli.inference import client
from rcl_cli.limits import limits
from rcl_cli.operations.resources import find_version
from rcl_cli.status import VersionStatus

_MAX_IMAGE_BYTES = 4 * 2**20
_NO_OBJECT = "Unable to get object metadata from S3. Check object key, region and/or access permissions."


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
            most = limits().file_bytes // 2**20
            raise ImageTooLarge(f"The image is larger than 4 MB: pass it as an S3 object, which may have {most} MB.")
        return data
    s3_object = image["S3Object"]
    if not {"Bucket", "Name"} <= s3_object.keys():
        raise InvalidParameter("Request has invalid parameters: S3Object needs Bucket and Name.")
    from rcl_cli.buckets.base import NoSuchObjectError

    try:
        bucket, key, version = context.buckets.get(s3_object["Bucket"]), s3_object["Name"], s3_object.get("Version")
        if bucket.size(key, version) > limits().file_bytes:
            raise ImageTooLarge(f"The image is larger than {limits().file_bytes // 2**20} MB.")
        with bucket.open(key, version) as stream:
            return stream.read()
    except NoSuchObjectError as error:
        raise InvalidS3Object(_NO_OBJECT) from error


def detect_custom_labels(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    place = _running(context, params["ProjectVersionArn"])
    data = _image(context, params["Image"])
    if place is None:
        raise ResourceNotReady("The model is not running: start it, and wait until its status is RUNNING.")
    try:
        found = client.detect(*place, data, params.get("MinConfidence"), params.get("MaxResults"))
    except ResourceNotReady:
        from rcl_cli.operations.settle import settle_versions

        settle_versions(context)
        raise
    return {"CustomLabels": found}


def _running(context: Context, version_arn: str) -> tuple[str, str] | None:
    """Address and nonce of a version's host; None where it is not running."""
    with context.database.read() as db:
        version = find_version(db, version_arn)
    if version.status == VersionStatus.STARTING:
        # Nobody may have looked since it runs.
        from rcl_cli.operations.settle import settle_versions

        settle_versions(context)
        with context.database.read() as db:
            version = find_version(db, version_arn)
    return client.place_of(host_of(context.layout, version.id)) if version.status == VersionStatus.RUNNING else None
