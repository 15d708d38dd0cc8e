"""Datasets from and to another account: of Amazon, or of another `rcl serve`. Images travel through S3."""

from __future__ import annotations

import errno
import hashlib
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from rcl_cli.api.model import load as load_model
from rcl_cli.api.validate import validated
from rcl_cli.buckets.base import Bucket, BucketOutOfReachError, BucketWriteError, NoSuchObjectError
from rcl_cli.buckets.local import LocalBucket
from rcl_cli.buckets.resolve import local_file
from rcl_cli.buckets.s3 import S3Bucket
from rcl_cli.errors import RclError, ResourceNotFound
from rcl_cli.formats.record import Notes
from rcl_cli.imaging.limits import MAX_FILE_BYTES
from rcl_cli.manifest.document import SOURCE_REF, compact, load
from rcl_cli.manifest.line import split_s3_url
from rcl_cli.service.context import Context
from rcl_cli.service.labelled.imports import Called, check_free, make_datasets, undo
from rcl_cli.service.labelled.sources import PARTS, Step, named_datasets
from rcl_cli.store import entries
from rcl_cli.training.prepare import ImageFetcher

Call = Callable[[str, Mapping[str, Any]], dict[str, Any]]
S3 = Callable[[str], S3Bucket]
# What a transfer says that moved something.
_MOVED = "moved"
_TRANSFERS = 8
_PAGE = 100
_POLL_S = 1.0
# What is wrong with the disk, and will be with the next image too.
_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO})


class Remote(NamedTuple):
    """Another account.

    Args:
        call: its API.
        s3: a bucket of its, by name.
    """

    call: Call
    s3: S3


class Outcome(NamedTuple):
    """What a pull or push came to.

    Args:
        entries: by part.
        moved, kept: images that were transferred, and that were there already.
        called: calls that changed something.
    """

    entries: dict[str, int]
    moved: int
    kept: int
    called: list[Called]


# --- pull -------------------------------------------------------------------------------------------------------------


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


def pull(
    context: Context, remote: Remote, name: str, to: str, *, with_images: bool, notes: Notes, step: Step
) -> Outcome:
    """Bring a project's datasets, and their images, into the local store.

    Images keep their `s3://` URLs: they are put into local buckets of the same names, unless the config says that such
    a bucket is S3's. What is there already with the same size is not fetched again.

    Args:
        name: of the project there, or its ARN.
        to: the project's name here.
        notes: takes images that can't be had.

    Raises:
        RclError: the project here has such datasets already, or there is nothing there to bring.
        ServiceError: what the account there answers.
    """
    check_project_name(to)
    with tempfile.TemporaryDirectory(prefix="rcl-pull-") as folder:
        found = _Pulled(Path(folder))
        with _sense():
            arns = _remote_datasets(_remote_project(remote.call, name))
        check_free(context, arns, to)
        for part, arn in arns.items():
            with _sense():
                found.fetch(remote.call, part, arn, step)
        if not found.counts:
            raise RclError(f"{name} has no datasets with entries there.")
        moved, kept = _fetch_images(context, remote.s3, found.images, notes, step) if with_images else (0, 0)
        if with_images and not moved and not kept:
            reasons = "; ".join(notes.lines())
            raise RclError(f"None of the images can be had ({reasons}). --no-images brings only the entries.")
        return Outcome(found.counts, moved, kept, make_datasets(context, found, to, notes))


@contextmanager
def _sense() -> Iterator[None]:
    """Within, answers are taken apart that another service gave, whatever it is."""
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise RclError(
            f"The answer from there makes no sense ({type(error).__name__}: {error}): look at --endpoint-url."
        ) from error


def check_project_name(name: str) -> None:
    """Whether a project can have this name.

    Raises:
        ValidationError: it can't.
    """
    validated(load_model().operation("CreateProject"), {"ProjectName": name})


def _remote_project(call: Call, name: str) -> dict[str, Any]:
    """The description of a project, by its name or ARN.

    Raises:
        ResourceNotFound: there is none.
    """
    wanted = project_name_of(name)
    for project in call("DescribeProjects", {"ProjectNames": [wanted]}).get("ProjectDescriptions", []):
        arn = str(project["ProjectArn"])
        if arn == name or (not name.startswith("arn:") and project_name_of(arn) == wanted):
            described: dict[str, Any] = project
            return described
    raise ResourceNotFound(f"There is no project {name} there.")


def project_name_of(name: str) -> str:
    """The project in a name, `PROJECT/train`, or the ARN of a project or of what belongs to one."""
    if not name.startswith("arn:"):
        return name.partition("/")[0]
    return name.split("/")[1] if "/" in name else name


def region_of(arn: str) -> str | None:
    """The region of an ARN; None where it is none."""
    parts = arn.split(":")
    return parts[3] if arn.startswith("arn:") and len(parts) > 5 and parts[3] else None


def _remote_datasets(project: Mapping[str, Any]) -> dict[str, str]:
    """ARNs by part."""
    return {one["DatasetType"].lower(): one["DatasetArn"] for one in project.get("Datasets", [])}


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

    return _each(fetch, refs, notes, step)


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


def _each(transfer: Callable[[str], str], refs: Sequence[str], notes: Notes, step: Step) -> tuple[int, int]:
    """Transfer several at once; (how many were moved, how many were there already).

    Args:
        transfer: says what went wrong, `moved`, or nothing where there was nothing to do.
    """
    moved = kept = 0
    with ThreadPoolExecutor(_TRANSFERS) as pool:
        try:
            for number, (ref, said) in enumerate(_in_order(pool, transfer, refs), 1):
                moved += said == _MOVED
                kept += not said
                if said not in ("", _MOVED):
                    notes.add(said, ref)
                step(number)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return moved, kept


def _in_order(
    pool: ThreadPoolExecutor, transfer: Callable[[str], str], refs: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """What each transfer says, a few of them ahead: the pool's own `map` would hold all of them at once."""
    ahead: deque[tuple[str, Future[str]]] = deque()
    for ref in refs:
        ahead.append((ref, pool.submit(transfer, ref)))
        if len(ahead) > 2 * _TRANSFERS:
            first, future = ahead.popleft()
            yield first, future.result()
    for first, future in ahead:
        yield first, future.result()


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
        if (here := _size(target, key)) is not None:
            there = _size(source, key)
            return "" if there in (None, here) else "images are here already with another size, and were left"
        data = source.read(key, MAX_FILE_BYTES)
        if data is None:
            return "images are larger than 15 MB, and were left"
        target.write(key, data)
    except BucketOutOfReachError as error:
        raise _out_of_reach(bucket, error) from error
    except NoSuchObjectError:
        return "images are not there"
    except BucketWriteError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in _DISK_ERRORS:
            raise RclError(f"An image can't be written: {error}. What was fetched is kept.") from error
        return "images have keys that no file can have, and were left"
    return _MOVED


def _size(bucket: Bucket, key: str) -> int | None:
    """Bytes of an object; None where it is not there.

    Raises:
        BucketOutOfReachError: nobody can tell.
    """
    try:
        return bucket.size(key)
    except BucketOutOfReachError:
        raise
    except NoSuchObjectError:
        return None


# --- push -------------------------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """Where images and manifests go.

    Args:
        prefix: of all keys, empty or with a slash at its end.
    """

    bucket: str
    prefix: str


def push(
    context: Context, remote: Remote, source: str, to: str, place: Place, notes: Notes, step: Step
) -> Outcome:  # fmt: skip
    """Bring local datasets, and their images, into another account.

    Images that do not lie in the bucket there are put into it, by what they hold: a second push moves none twice.

    Args:
        source: a project's name, PROJECT/train, or a dataset's ARN.
        to: the project's name there; the project is made if need be.
        notes: takes images that can't be had; their entries are left out.

    Raises:
        ResourceNotFound: there is no such source.
        RclError: the project there has such datasets already, or they could not be made.
        ServiceError: what the account there answers.
    """
    check_project_name(to)
    local = named_datasets(context, source)
    with _sense():
        arn, there = _project_to_push_to(remote.call, to)
    if clash := [part for part in local if part in there]:
        raise RclError(
            f"The project {to} has a {clash[0]} dataset there already: choose another --to, or delete it there first."
        )
    bucket = remote.s3(place.bucket)
    counts: dict[str, int] = {}
    keys: dict[str, str] = {}
    moved = kept = 0
    with tempfile.TemporaryDirectory(prefix="rcl-push-") as folder:
        uploads = _Uploads(context, Path(folder) / "images", bucket, place)
        for part, dataset in local.items():
            with context.database.read() as db:
                refs = [_source_ref(line) for line in entries.all_lines(db, dataset.id)]
            one, other = _each(uploads.upload, refs, notes, step)
            moved, kept = moved + one, kept + other
            keys[part] = f"{place.prefix}{to}/{part}.manifest"
            counts[part] = _put_manifest(context, dataset.id, uploads, keys[part], Path(folder) / part)
            if not counts[part]:
                raise RclError(f"None of the images of the {part} dataset can be had: nothing was made there.")
    # Images and manifests are there now: what may still fail is the account's own affair.
    called = _make_there(remote.call, arn, to, place.bucket, keys, notes)
    return Outcome(counts, moved, kept, called)


def _put_manifest(context: Context, dataset_id: int, uploads: _Uploads, key: str, path: Path) -> int:
    """Write a dataset's manifest into the bucket there; returns how many entries it has.

    Raises:
        RclError: it can't be written.
    """
    count = 0
    with path.open("w", encoding="utf-8") as out, context.database.read() as db:
        for line in uploads.lines(entries.all_lines(db, dataset_id)):
            out.write(line + "\n")
            count += 1
    try:
        if count:
            uploads.bucket.write_file(key, path)
    except BucketWriteError as error:
        raise RclError(f"The manifest can't be written into the bucket: {error}") from error
    return count


def _make_there(
    call: Call, arn: str | None, name: str, bucket: str, keys: Mapping[str, str], notes: Notes
) -> list[Called]:
    """Make the project, if need be, and its datasets; all of them, or none.

    Args:
        arn: of the project where it is there.
        keys: of the manifests, by part.
    """
    called: list[Called] = []
    try:
        if arn is None:
            params: dict[str, object] = {"ProjectName": name}
            called.append(Called("CreateProject", params, call("CreateProject", params)))
            arn = str(called[0].result["ProjectArn"])
        for part, key in keys.items():
            source = {"GroundTruthManifest": {"S3Object": {"Bucket": bucket, "Name": key}}}
            params = {"ProjectArn": arn, "DatasetType": part.upper(), "DatasetSource": source}
            called.append(Called("CreateDataset", params, call("CreateDataset", params)))
            _wait_for(call, str(called[-1].result["DatasetArn"]), part, notes)
    except BaseException:
        undo(call, called)
        raise
    return called


def _wait_for(call: Call, arn: str, part: str, notes: Notes) -> None:
    """Wait until a dataset is made.

    Raises:
        RclError: it could not be.
    """
    while True:
        described = call("DescribeDataset", {"DatasetArn": arn})["DatasetDescription"]
        if not described["Status"].endswith("_IN_PROGRESS"):
            break
        time.sleep(_POLL_S)
    if described["Status"] == "CREATE_FAILED":
        raise RclError(f"The {part} dataset could not be made there: {described.get('StatusMessage', 'no reason')}")
    if errors := described.get("DatasetStats", {}).get("ErrorEntries"):
        notes.add("entries have errors there", part, errors)


def _project_to_push_to(call: Call, name: str) -> tuple[str | None, dict[str, str]]:
    """(ARN, ARNs of its datasets by part); None where it has to be made."""
    try:
        project = _remote_project(call, name)
    except ResourceNotFound:
        return None, {}
    return project["ProjectArn"], _remote_datasets(project)


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
            return "images are missing, or larger than 15 MB; their entries were left out"
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
        data = path.read_bytes()
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
        return _MOVED

    def _size_there(self, key: str) -> int | None:
        """Bytes of an object there; None where it is not there, or nobody may tell: it is written again then."""
        try:
            return _size(self.bucket, key)
        except BucketOutOfReachError:
            return None

    def _key(self, source_ref: str, data: bytes) -> str:
        """A name by what the image holds, which still says which image it is."""
        place = split_s3_url(source_ref)
        name = PurePosixPath(place[1] if place else str(local_file(source_ref))).name
        digest = hashlib.sha256(data).hexdigest()[:16]
        return f"{self._place.prefix}images/{digest}/{name}"

    def lines(self, lines: Iterable[str]) -> Iterator[str]:
        """Entries whose images are in the bucket, with their URLs there."""
        for line in lines:
            document = load(line) or {}
            url = self._urls.get(str(document.get(SOURCE_REF)))
            if url is not None:
                yield compact({**document, SOURCE_REF: url})
