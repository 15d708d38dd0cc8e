"""Making datasets: from a manifest, from another dataset, empty."""

from __future__ import annotations

import contextlib
import io
import sqlite3
from typing import Any, BinaryIO

from rcl_cli.buckets.base import NoSuchObjectError
from rcl_cli.context import Context
from rcl_cli.errors import InvalidParameter, InvalidS3Object, ResourceAlreadyExists
from rcl_cli.manifest import codes
from rcl_cli.manifest.apart import reader_of
from rcl_cli.manifest.reader import MAX_LABELS, MAX_MANIFEST_BYTES, TerminalManifestError
from rcl_cli.operations.resources import arn, find_dataset, find_project, unused_ms
from rcl_cli.status import COPYABLE, DatasetStatus
from rcl_cli.store import datasets, entries, tags
from rcl_cli.store.entries import Counts

CREATED_FROM_MANIFEST = "The dataset was successfully created from the manifest file."


def create_dataset(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    """The dataset is there, complete or failed, when this returns; a crash before that leaves nothing of it."""
    with context.database.read() as db:
        find_project(db, params["ProjectArn"])
    source = params.get("DatasetSource")
    if source is not None and ("GroundTruthManifest" in source) == ("DatasetArn" in source):
        raise InvalidParameter("DatasetSource needs exactly one of GroundTruthManifest and DatasetArn.")
    manifest = (source or {}).get("GroundTruthManifest")
    if manifest is not None and not {"Bucket", "Name"} <= manifest.get("S3Object", {}).keys():
        raise InvalidParameter("GroundTruthManifest needs S3Object with Bucket and Name.")
    with contextlib.ExitStack() as stack:
        # Fetched before the store is locked: a bucket may be far away.
        opened = _open_manifest(context, manifest["S3Object"], stack) if manifest else None
        db = stack.enter_context(context.database.write())
        project = find_project(db, params["ProjectArn"])
        if source and "DatasetArn" in source:
            copied = find_dataset(db, source["DatasetArn"])
            if copied.status not in COPYABLE:
                raise InvalidParameter(f"The dataset {copied.arn} can't be copied: its status is {copied.status}.")
        kind = params["DatasetType"]
        if any(d.type == kind for d in datasets.of_project(db, project.id)):
            raise ResourceAlreadyExists(f"The project {project.name} already has a {kind} dataset.")
        created_ms = unused_ms(context, db)
        dataset_arn = arn(context, f"project/{project.name}/dataset/{kind.lower()}/{created_ms}")
        dataset_id = datasets.insert(db, dataset_arn, project.id, kind, created_ms)
        if opened:
            _import(context, db, dataset_id, *opened)
        elif source:
            entries.copy(db, copied.id, dataset_id)
            message = "The dataset was successfully created."
            datasets.settle(
                db, dataset_id, DatasetStatus.CREATE_COMPLETE, message, "SUCCESS", context.now_ms(), copied.counts
            )
        tags.put(db, dataset_arn, params.get("Tags", {}))
    return {"DatasetArn": dataset_arn}


def _open_manifest(context: Context, s3_object: dict[str, str], stack: contextlib.ExitStack) -> tuple[BinaryIO, int]:
    """A manifest as a stream, closed with the stack, and its size in bytes.

    Raises:
        InvalidS3Object: it is not there.
    """
    bucket, key, version = s3_object["Bucket"], s3_object["Name"], s3_object.get("Version")
    try:
        place = context.buckets.get(bucket)
        size_bytes = place.size(key, version)
        if size_bytes > MAX_MANIFEST_BYTES:
            return io.BytesIO(), size_bytes
        return stack.enter_context(place.open(key, version)), size_bytes
    except NoSuchObjectError as error:
        raise InvalidS3Object(
            "Unable to get object metadata from S3. Check object key, region and/or access permissions. "
            f"(s3://{bucket}/{key})"
        ) from error


def _import(context: Context, db: sqlite3.Connection, dataset_id: int, stream: BinaryIO, size_bytes: int) -> None:
    """Read a manifest into a new dataset; what is wrong with the file ends up in the dataset's status."""
    db.execute("SAVEPOINT import")
    counts = Counts()
    try:
        reader = reader_of(stream, size_bytes)
        counts = entries.put(db, dataset_id, reader)
        reader.check()
        if entries.label_count(db, dataset_id) > MAX_LABELS:
            raise TerminalManifestError(codes.MANIFEST_TOO_MANY_LABELS)
        outcome = (DatasetStatus.CREATE_COMPLETE, CREATED_FROM_MANIFEST, "SUCCESS")
    except TerminalManifestError as error:
        db.execute("ROLLBACK TO import")
        counts = Counts()
        outcome = (DatasetStatus.CREATE_FAILED, error.code.message, "CLIENT_ERROR")
    db.execute("RELEASE import")
    datasets.settle(db, dataset_id, *outcome, context.now_ms(), counts)
