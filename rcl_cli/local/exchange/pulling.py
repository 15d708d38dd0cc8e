"""Datasets from another account."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from rcl_cli.buckets.base import BucketOutOfReachError, BucketWriteError, NoSuchObjectError
from rcl_cli.buckets.local import LocalBucket
from rcl_cli.buckets.s3 import S3Bucket
from rcl_cli.context import Context
from rcl_cli.errors import RclError
from rcl_cli.formats.record import Notes
from rcl_cli.limits import limits
from rcl_cli.local.datasets.imports import check_free, check_project_name, make_datasets
from rcl_cli.local.datasets.sources import PARTS, Step
from rcl_cli.local.events import Moved, Noted, Tell, counter
from rcl_cli.local.exchange.remote import (
    MOVED,
    S3,
    Remote,
    each,
    project_name_of,
    remote_datasets,
    remote_project,
    sense,
    size_of,
)
from rcl_cli.local.making import Call
from rcl_cli.manifest.document import SOURCE_REF, compact, load
from rcl_cli.manifest.line import split_s3_url
from rcl_cli.scratch import scratch

_PAGE = 100
# What is wrong with the disk, and will be with the next image too.
_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO})


class _Pulled:
    """Manifests of the datasets of a project elsewhere, as files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.counts: dict[str, int] = {}
        self.images: dict[str, None] = {}

    def parts(self) -> Collection[str]:
        return [part for part in PARTS if part in self.counts]

    def write(self, part: str, target: Path) -> None:
        shutil.copyfile(self._folder / part, target)

    def fetch(self, call: Call, part: str, arn: str, step: Step) -> None:
        """All entries of a dataset."""
        with (self._folder / part).open("w", encoding="utf-8") as out:
            token: dict[str, Any] = {}
            seen: set[str] = set()
            while True:
                page = call("ListDatasetEntries", {"DatasetArn": arn, "MaxResults": _PAGE, **token})
                for line in page["DatasetEntries"]:
                    document = load(line) or {}
                    self.images[str(document.get(SOURCE_REF))] = None
                    out.write(compact(document) + "\n")
                    self.counts[part] = self.counts.get(part, 0) + 1
                step(len(self.images))
                if not page.get("NextToken"):
                    return
                token = {"NextToken": page["NextToken"]}
                if token["NextToken"] in seen:
                    raise RclError("The service there gives the same page again and again.")
                seen.add(token["NextToken"])


def pull(context: Context, remote: Remote, name: str, to: str | None, *, with_images: bool, tell: Tell) -> str:
    """Bring a project's datasets, and their images, into the local store.

    Images keep their `s3://` URLs: they are put into local buckets of the same names, unless the config says that such
    a bucket is S3's. What is there already with the same size is not fetched again.

    Args:
        name: of the project there, or its ARN.
        to: the project's name here; None for the same one.

    Returns:
        The project's name here.

    Raises:
        RclError: the project here has such datasets already, or there is nothing there to bring.
        ServiceError: what the account there answers.
    """
    to = to or project_name_of(name)
    check_project_name(to)
    notes = Notes()
    step = counter("images", tell)
    with scratch("pull") as folder:
        found = _Pulled(folder)
        with sense():
            arns = remote_datasets(remote_project(remote.call, name))
        check_free(context, arns, to)
        for part, arn in arns.items():
            with sense():
                found.fetch(remote.call, part, arn, step)
        if not found.counts:
            raise RclError(f"{name} has no datasets with entries there.")
        moved, kept = _fetch_images(context, remote.s3, found.images, notes, step) if with_images else (0, 0)
        if with_images and not moved and not kept:
            reasons = "; ".join(notes.lines())
            raise RclError(f"None of the images can be had ({reasons}). --no-images brings only the entries.")
        making = make_datasets(context, found, to, notes)
        with making.or_undone():
            for one in making.called:
                tell(one)
            tell(Moved(found.counts, moved, kept, is_elsewhere=False))
            tell(Noted(tuple(notes.lines())))
    return to


def _fetch_images(context: Context, s3: S3, source_refs: Iterable[str], notes: Notes, step: Step) -> tuple[int, int]:
    """(how many were fetched, how many were there already).

    Raises:
        RclError: a bucket is out of reach.
    """
    routes: dict[str, tuple[S3Bucket, LocalBucket] | None] = {}
    refs = list(source_refs)
    for bucket, key in filter(None, map(split_s3_url, refs)):
        if bucket not in routes:
            routes[bucket] = _route(context, s3, bucket, key)

    def fetch(source_ref: str) -> str:
        place = split_s3_url(source_ref)
        if place is None:
            return "images are in no S3 bucket, and were left"
        route = routes[place[0]]
        return _fetched(*route, *place) if route else ""

    return each(fetch, refs, notes, step)


def _route(context: Context, s3: S3, bucket: str, key: str) -> tuple[S3Bucket, LocalBucket] | None:
    """From where to where a bucket's images go; None where they are reached without.

    Args:
        key: of an image in it: who may only read objects is not told whether another one is there.

    Raises:
        RclError: it is out of reach.
    """
    target = _local_bucket(context, bucket)
    if target is None:
        return None
    source = s3(bucket)
    try:
        source.size(key)
    except BucketOutOfReachError as error:
        raise _out_of_reach(bucket, error) from error
    except NoSuchObjectError:
        pass
    return source, target


def _out_of_reach(bucket: str, error: Exception) -> RclError:
    return RclError(
        f"The images in the bucket {bucket} can't be read: {error}. Look at the credentials, --region and "
        "--s3-endpoint-url; --no-images brings only the entries. What was fetched is kept for the next time."
    )


def _local_bucket(context: Context, name: str) -> LocalBucket | None:
    """The folder of a bucket, which the first image makes; None where rcl reads the bucket from S3 anyway.

    Raises:
        RclError: no folder can have the bucket's name.
    """
    if context.config.buckets.get(name) == "s3":
        return None
    local = context._replace(config=context.config._replace(s3_fallback=False)).buckets
    try:
        found = local.get(name)
    except NoSuchObjectError:
        # A folder would hide what is not fetched from every project that reads it from S3.
        if context.config.s3_fallback:
            return None
        try:
            return LocalBucket(local.new_folder(name))
        except NoSuchObjectError as error:
            raise RclError(f"No folder can have the name of the bucket {name!r}.") from error
    return found if isinstance(found, LocalBucket) else None


def _fetched(source: S3Bucket, target: LocalBucket, bucket: str, key: str) -> str:
    try:
        if (here := size_of(target, key)) is not None:
            there = size_of(source, key)
            return "" if there in (None, here) else "images are here already with another size, and were left"
        data = source.read(key, limits().file_bytes)
        if data is None:
            return f"images are larger than {limits().file_bytes // 2**20} MB, and were left"
        target.write(key, data)
    except BucketOutOfReachError as error:
        raise _out_of_reach(bucket, error) from error
    except NoSuchObjectError:
        return "images are not there"
    except BucketWriteError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in _DISK_ERRORS:
            raise RclError(f"An image can't be written: {error}. What was fetched is kept.") from error
        return "images have keys that no file can have, and were left"
    return MOVED
