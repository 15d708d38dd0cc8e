"""Making datasets: from a manifest, from another dataset, empty."""

from __future__ import annotations

import contextlib
import io
import sqlite3
from typing import Any, BinaryIO

from rcl_cli.buckets.base import NoSuchObjectError
from rcl_cli.context import Context
from rcl_cli.errors import InvalidParameter, InvalidS3Object, ResourceAlreadyExists
from rcl_cli.limits import limits
from rcl_cli.manifest import codes
from rcl_cli.manifest.apart import reader_of
from rcl_cli.manifest.reader import MAX_MANIFEST_BYTES, TerminalManifestError
from rcl_cli.operations.contents import discard_orphans, reading
from rcl_cli.operations.resources import arn, find_project, unused_ms
from rcl_cli.operations.tagging import given_tags
from rcl_cli.status import COPYABLE, DatasetStatus
from rcl_cli.store import datasets, entries, entry_changes, tags
from rcl_cli.store.datasets import Dataset
from rcl_cli.store.entries import Counts
from rcl_cli.store.entry_files import Draft
from rcl_cli.store.projects import Project

CREATED_FROM_MANIFEST = "The dataset was successfully created from the manifest file."
_CREATED = (DatasetStatus.CREATE_COMPLETE, "The dataset was successfully created.", "SUCCESS")


def create_dataset(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    """The dataset is there, complete or failed, when this returns; a crash before that leaves nothing of it."""
    kind, source, began_ms = params["DatasetType"], params.get("DatasetSource"), context.now_ms()
    with context.database.read() as db:
        find_project(db, params["ProjectArn"])
    if source is not None and ("GroundTruthManifest" in source) == ("DatasetArn" in source):
        raise InvalidParameter("DatasetSource needs exactly one of GroundTruthManifest and DatasetArn.")
    manifest = (source or {}).get("GroundTruthManifest")
    if manifest is not None and not {"Bucket", "Name"} <= manifest.get("S3Object", {}).keys():
        raise InvalidParameter("GroundTruthManifest needs S3Object with Bucket and Name.")
    with contextlib.ExitStack() as stack:
        opened = _open_manifest(context, manifest["S3Object"], stack) if manifest else None
        with context.database.read() as db:
            _project_for(db, params["ProjectArn"], kind)
        # Others go on with the store until all of it is there.
        made = stack.enter_context(context.entry_files.draft(context.new_nonce()))
        if opened:
            outcome = _import(made, *opened, takes_files=context.names_files)
        elif source:
            outcome = (*_CREATED, _copy(context, source["DatasetArn"], made))
        else:
            outcome = (*_CREATED, Counts())
        state = entry_changes.settle(made.db, *outcome[:-1], context.now_ms(), outcome[-1])
        made.finish()
        with context.database.write() as db:
            project = _project_for(db, params["ProjectArn"], kind)
            created_ms = unused_ms(context, db, began_ms)
            dataset_arn = arn(context, f"project/{project.name}/dataset/{kind.lower()}/{created_ms}")
            datasets.insert(db, dataset_arn, project.id, kind, created_ms, made.keep(), state)
            tags.put(db, dataset_arn, given_tags(context, params))
    discard_orphans(context)
    return {"DatasetArn": dataset_arn}


def _project_for(db: sqlite3.Connection, project_arn: str, kind: str) -> Project:
    """The project that a dataset is for.

    Raises:
        ResourceNotFound: there is none.
        ResourceAlreadyExists: it has such a dataset.
    """
    project = find_project(db, project_arn)
    if any(dataset.type == kind for dataset in datasets.of_project(db, project.id)):
        raise ResourceAlreadyExists(f"The project {project.name} already has a {kind} dataset.")
    return project


def _copy(context: Context, dataset_arn: str, made: Draft) -> Counts:
    """Take over the entries of another dataset; returns how many there are."""
    with reading(context, dataset_arn, _check_copyable) as (copied, db):
        made.replace_by(db)
        return copied.state.counts


def _check_copyable(dataset: Dataset) -> None:
    if dataset.state.status not in COPYABLE:
        raise InvalidParameter(f"The dataset {dataset.arn} can't be copied: its status is {dataset.state.status}.")


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


def _import(made: Draft, stream: BinaryIO, size_bytes: int, *, takes_files: bool) -> tuple[str, str, str, Counts]:
    """Read a manifest into a new dataset; what is wrong with the file ends up in the dataset's status."""
    try:
        reader = reader_of(stream, size_bytes, takes_files=takes_files)
        counts = entry_changes.put(made.db, reader)
        reader.check()
        if entries.label_count(made.db) > limits().labels:
            raise TerminalManifestError(codes.MANIFEST_TOO_MANY_LABELS)
    except TerminalManifestError as error:
        made.empty()
        return DatasetStatus.CREATE_FAILED, error.code.message, "CLIENT_ERROR", Counts()
    return DatasetStatus.CREATE_COMPLETE, CREATED_FROM_MANIFEST, "SUCCESS", counts
