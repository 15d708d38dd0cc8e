"""Datasets into another account."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rcl_cli.buckets.base import BucketOutOfReachError, BucketWriteError, NoSuchObjectError
from rcl_cli.buckets.fetch import ImageFetcher
from rcl_cli.buckets.resolve import local_file
from rcl_cli.buckets.s3 import S3Bucket
from rcl_cli.context import Context
from rcl_cli.errors import RclError, ResourceNotFound, UsageError
from rcl_cli.formats.record import Notes
from rcl_cli.limits import limits
from rcl_cli.local.datasets.imports import check_project_name
from rcl_cli.local.datasets.sources import lines_of, named_datasets
from rcl_cli.local.events import Called, Moved, Noted, Tell, Warned, counter
from rcl_cli.local.exchange.remote import (
    MOVED,
    Remote,
    each,
    project_name_of,
    remote_datasets,
    remote_project,
    sense,
    size_of,
)
from rcl_cli.local.making import Call, Making
from rcl_cli.manifest.document import SOURCE_REF, compact, load
from rcl_cli.manifest.line import split_s3_url
from rcl_cli.regular import read_bytes
from rcl_cli.scratch import scratch
from rcl_cli.status import DatasetStatus
from rcl_cli.store.datasets import Dataset

_POLL_S = 1.0
_LONGEST_S = 4 * 3600
# What a service is just making can't be deleted at once.
_UNDOING_S = 60.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where images and manifests go.

    Args:
        prefix: of all keys; slashes around it don't matter.
    """

    bucket: str
    prefix: str = ""

    def __post_init__(self) -> None:
        """Whether it makes sense.

        Raises:
            UsageError: there is no name of a bucket.
        """
        if not self.bucket.strip():
            raise UsageError("--bucket needs the name of an S3 bucket.")

    def key(self, rest: str) -> str:
        """The key of something that goes there."""
        return "/".join(filter(None, (self.prefix.strip("/"), rest)))


def push(context: Context, remote: Remote, source: str, to: str | None, place: Place, tell: Tell) -> None:
    """Bring local datasets, and their images, into another account.

    Images that do not lie in the bucket there are put into it, by what they hold: a second push moves none twice.
    Entries of images that can't be had are left out.

    Args:
        source: a project's name, PROJECT/train, or a dataset's ARN.
        to: the project's name there, None for the same one; the project is made if need be.

    Raises:
        ResourceNotFound: there is no such source.
        RclError: the project there has such datasets already, or they could not be made.
        ServiceError: what the account there answers.
    """
    to = to or project_name_of(source)
    check_project_name(to)
    notes = Notes()
    step = counter("images", tell)
    local = named_datasets(context, source)
    with sense():
        arn, there = _project_to_push_to(remote.call, to)
    if clash := [part for part in local if part in there]:
        raise RclError(
            f"The project {to} has a {clash[0]} dataset there already: choose another --to, or delete it there first."
        )
    bucket = remote.s3(place.bucket)
    counts: dict[str, int] = {}
    keys: dict[str, str] = {}
    moved = kept = 0
    with scratch("push") as folder:
        uploads = _Uploads(context, folder / "images", bucket, place)
        for part, dataset in local.items():
            refs = [_source_ref(line) for line in lines_of(context, dataset)]
            one, other = each(uploads.upload, refs, notes, step)
            moved, kept = moved + one, kept + other
            keys[part] = place.key(f"{to}/{part}.manifest")
            counts[part] = _put_manifest(context, dataset, uploads, keys[part], Path(folder) / part)
            if not counts[part]:
                raise RclError(f"None of the images of the {part} dataset can be had: nothing was made there.")
    # Images and manifests are there now: what may still fail is the account's own affair.
    for called in _make_there(remote.call, arn, to, place.bucket, keys, notes, tell):
        tell(called)
    tell(Moved(counts, moved, kept, is_elsewhere=True))
    tell(Noted(tuple(notes.lines())))


def _put_manifest(context: Context, dataset: Dataset, uploads: _Uploads, key: str, path: Path) -> int:
    """Write a dataset's manifest into the bucket there; returns how many entries it has.

    Raises:
        RclError: it can't be written.
    """
    count = 0
    with path.open("w", encoding="utf-8") as out:
        for line in uploads.lines(lines_of(context, dataset)):
            out.write(line + "\n")
            count += 1
    try:
        if count:
            uploads.bucket.write_file(key, path)
    except BucketWriteError as error:
        raise RclError(f"The manifest can't be written into the bucket: {error}") from error
    return count


def _make_there(
    call: Call, arn: str | None, name: str, bucket: str, keys: Mapping[str, str], notes: Notes, tell: Tell
) -> list[Called]:
    """Make the project, if need be, and its datasets; all of them, or none.

    Args:
        arn: of the project where it is there.
        keys: of the manifests, by part.
    """
    making = Making(call, is_elsewhere=True, patience_s=_UNDOING_S)
    try:
        with sense():
            if arn is None:
                arn = str(making("CreateProject", ProjectName=name)["ProjectArn"])
            for part, key in keys.items():
                source = {"GroundTruthManifest": {"S3Object": {"Bucket": bucket, "Name": key}}}
                made = making("CreateDataset", ProjectArn=arn, DatasetType=part.upper(), DatasetSource=source)
                _wait_for(call, str(made["DatasetArn"]), part, notes)
    except BaseException as error:
        if making.called:
            tell(Warned("What was made there is deleted again, which may take a minute."))
        for left in making.undo(error):
            tell(Warned(f"{left} was made there, and could not be deleted again: delete it by hand."))
        raise
    return making.called


def _wait_for(call: Call, arn: str, part: str, notes: Notes) -> None:
    """Wait until a dataset is made.

    Raises:
        RclError: it could not be, or takes too long.
    """
    deadline = time.monotonic() + _LONGEST_S
    while True:
        described = call("DescribeDataset", {"DatasetArn": arn})["DatasetDescription"]
        if not described["Status"].endswith("_IN_PROGRESS"):
            break
        if time.monotonic() > deadline:
            raise RclError(f"The {part} dataset is not made there after {_LONGEST_S // 3600} hours.")
        time.sleep(_POLL_S)
    if described["Status"] == DatasetStatus.CREATE_FAILED:
        raise RclError(f"The {part} dataset could not be made there: {described.get('StatusMessage', 'no reason')}")
    if errors := described.get("DatasetStats", {}).get("ErrorEntries"):
        notes.add("entries have errors there", part, errors)


def _project_to_push_to(call: Call, name: str) -> tuple[str | None, dict[str, str]]:
    """(ARN, ARNs of its datasets by part); None where it has to be made."""
    try:
        project = remote_project(call, name)
    except ResourceNotFound:
        return None, {}
    return project["ProjectArn"], remote_datasets(project)


def _source_ref(line: str) -> str:
    return str((load(line) or {}).get(SOURCE_REF))


class _Uploads:
    """Images on their way into a bucket.

    Args:
        cache: for images that are S3's themselves.
        place: where they go, below `images/`.
    """

    def __init__(self, context: Context, cache: Path, bucket: S3Bucket, place: Place) -> None:
        self._buckets, self._cache = context.buckets, cache
        self._fetcher = ImageFetcher(context.buckets, cache)
        self.bucket, self._place = bucket, place
        self._urls: dict[str, str] = {}

    def upload(self, source_ref: str) -> str:
        """Put an image into the bucket; says what went wrong, `moved`, or nothing where it was there."""
        try:
            if self._is_the_same_there(source_ref):
                self._urls[source_ref] = source_ref
                return ""
            return self._upload(source_ref, self._fetcher.fetch(source_ref))
        except BucketOutOfReachError as error:
            raise RclError(f"{source_ref} can't be read: {error}") from error
        except NoSuchObjectError:
            return f"images are missing, or larger than {limits().file_bytes // 2**20} MB; their entries were left out"
        except OSError as error:
            raise RclError(f"{error.filename or source_ref}: {error.strerror or error}") from error

    def _is_the_same_there(self, source_ref: str) -> bool:
        """Whether an entry says already where its image lies there."""
        found = split_s3_url(source_ref)
        if found is None or found[0] != self._place.bucket:
            return False
        there = self._size_there(found[1])
        try:
            local = self._buckets.get(found[0]).local_path(found[1])
        except NoSuchObjectError:
            local = None
        # A local bucket may have the same name, and other images.
        return there is not None and (local is None or local.stat().st_size == there)

    def _upload(self, source_ref: str, path: Path) -> str:
        data = read_bytes(path)
        if path.is_relative_to(self._cache):
            path.unlink(missing_ok=True)
        key = self._key(source_ref, data)
        self._urls[source_ref] = f"s3://{self._place.bucket}/{key}"
        if self._size_there(key) == len(data):
            return ""
        try:
            self.bucket.write(key, data)
        except BucketWriteError as error:
            raise RclError(
                f"s3://{self._place.bucket}/{key} can't be written: {error}. Look at the bucket's name, the "
                "credentials and --region."
            ) from error
        return MOVED

    def _size_there(self, key: str) -> int | None:
        """Bytes of an object there; None where it is not there, or nobody may tell: it is written again then."""
        try:
            return size_of(self.bucket, key)
        except BucketOutOfReachError:
            return None

    def _key(self, source_ref: str, data: bytes) -> str:
        """A name by what the image holds, which still says which image it is."""
        place = split_s3_url(source_ref)
        name = PurePosixPath(place[1] if place else str(local_file(source_ref))).name
        digest = hashlib.sha256(data).hexdigest()[:16]
        return self._place.key(f"images/{digest}/{name}")

    def lines(self, lines: Iterable[str]) -> Iterator[str]:
        """Entries whose images are in the bucket, with their URLs there."""
        for line in lines:
            document = load(line) or {}
            url = self._urls.get(str(document.get(SOURCE_REF)))
            if url is not None:
                yield compact({**document, SOURCE_REF: url})
