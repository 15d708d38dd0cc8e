"""Pictures that people bring: checked, put into a bucket, and into a dataset."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence

from rcl_cli.buckets.base import BucketWriteError, NoSuchObjectError
from rcl_cli.context import Context
from rcl_cli.errors import AccessDenied, InvalidParameter, ResourceAlreadyExists, ResourceNotFound
from rcl_cli.imaging.decode import verify
from rcl_cli.local.putting import put, putting_alone
from rcl_cli.manifest.line import bucket_of, split_s3_url
from rcl_cli.operations.contents import reading
from rcl_cli.operations.entries import update
from rcl_cli.operations.resources import find_project
from rcl_cli.status import DatasetStatus
from rcl_cli.store import datasets, entries

BUCKET = "rcl-console"
_MOST_NAME_BYTES = 120
_SUFFIXES = ("jpg", "jpeg", "png")
_ODD = re.compile(r"[^\w.\-() ]+")


def store_picture(context: Context, project_arn: str, name: str, data: bytes, bucket_name: str = "") -> str:
    """Put a picture where those of a project lie.

    Args:
        name: of its file; a picture of the same name that is another one keeps its own.
        bucket_name: where to put it; empty for the bucket that the project's pictures are in.

    Returns:
        Its source-ref.

    Raises:
        InvalidImageFormat, ImageTooLarge, InvalidParameter: it is no picture that can be used.
        AccessDenied: the bucket can't be written.
        ResourceNotFound: there is no such project.
    """
    verify(data)
    with context.database.read() as db:
        project = find_project(db, project_arn)
        there = datasets.of_project(db, project.id)
    bucket_name = bucket_name or next(filter(None, (_bucket_in(context, dataset.arn) for dataset in there)), BUCKET)
    prefix = project.name if bucket_name == BUCKET else f"rcl-console/{project.name}"
    try:
        with putting_alone(context):
            key = put(context.buckets.for_output(bucket_name), f"{prefix}/{_plain(name)}", data)
    except (BucketWriteError, NoSuchObjectError) as error:
        raise AccessDenied(f"The picture can't be put into the bucket {bucket_name}: {error}.") from error
    return f"s3://{bucket_name}/{key}"


def _bucket_in(context: Context, dataset_arn: str) -> str:
    with reading(context, dataset_arn, lambda _: None) as (_, db):
        return bucket_of(entries.first_source_ref(db))


def _plain(name: str) -> str:
    """A name that every file system and every program can have."""
    plain = _ODD.sub("_", name.replace("\\", "/").rpartition("/")[2]).strip(". ")
    stem, _, suffix = plain.rpartition(".")
    stem, suffix = (stem, suffix) if stem else (suffix, "jpg")
    # As whoever looks for pictures in buckets knows them by their names.
    return f"{_cut(stem, _MOST_NAME_BYTES) or 'picture'}.{suffix if suffix.lower() in _SUFFIXES else 'jpg'}"


def _cut(text: str, most_bytes: int) -> str:
    return text.encode("utf-8", "replace")[:most_bytes].decode("utf-8", "ignore")


class _BroughtMeanwhileError(Exception):
    """Somebody else put one of the pictures into the dataset, perhaps with labels."""


def add_pictures(context: Context, project_arn: str, kind: str, source_refs: Sequence[str]) -> int:
    """Let a project's dataset have pictures, without labels; those that are in one of its datasets stay as they are.

    Args:
        kind: `TRAIN` or `TEST`; a dataset that is not there is made.

    Returns:
        How many are new.

    Raises:
        ServiceError: what CreateDataset and UpdateDatasetEntries raise.
    """
    from rcl_cli.operations.invoke import invoke

    with context.database.read() as db:
        there = datasets.of_project(db, find_project(db, project_arn).id)
    source_refs = list(dict.fromkeys(source_refs))
    new = source_refs
    for dataset in there:
        with reading(context, dataset.arn, lambda _: None) as (_, own):
            new = [ref for ref in new if not entries.has(own, ref)]
    arn = next((dataset.arn for dataset in there if dataset.type == kind), None)
    if arn is None:
        try:
            arn = str(invoke(context, "CreateDataset", {"ProjectArn": project_arn, "DatasetType": kind})["DatasetArn"])
        except ResourceAlreadyExists:
            # Somebody else made it just now.
            return add_pictures(context, project_arn, kind, source_refs)
    if new:
        lines = "".join(f"{json.dumps({'source-ref': ref}, ensure_ascii=False)}\n" for ref in new)

        def check(db: sqlite3.Connection) -> None:
            if any(entries.has(db, ref) for ref in new):
                raise _BroughtMeanwhileError

        try:
            state = update(context, arn, lines.encode(), check)
        except _BroughtMeanwhileError:
            return add_pictures(context, project_arn, kind, source_refs)
        if state.status == DatasetStatus.UPDATE_FAILED:
            raise InvalidParameter(state.message)
    return len(new)


def check_stored(context: Context, source_refs: Sequence[str]) -> None:
    """
    Raises:
        ResourceNotFound: one is no picture in a bucket.
    """
    for ref in source_refs:
        name, key = split_s3_url(ref) or ("", "")
        try:
            context.buckets.get(name).size(key)
        except NoSuchObjectError as error:
            raise ResourceNotFound(f"There is no picture {ref}.") from error
