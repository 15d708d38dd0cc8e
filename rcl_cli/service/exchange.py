"""Datasets from and to another account: of Amazon, or of another `rcl serve`. Images travel through S3."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from rcl_cli.buckets.base import Bucket, BucketOutOfReachError, BucketWriteError, NoSuchObjectError
from rcl_cli.buckets.local import LocalBucket
from rcl_cli.buckets.resolve import local_file
from rcl_cli.errors import RclError, ResourceNotFound
from rcl_cli.formats.record import Notes
from rcl_cli.imaging.limits import MAX_FILE_BYTES
from rcl_cli.manifest.document import SOURCE_REF, compact, load
from rcl_cli.manifest.line import split_s3_url
from rcl_cli.service.context import Context
from rcl_cli.service.labelled.imports import Called, check_free, make_datasets
from rcl_cli.service.labelled.sources import PARTS, Step, named_datasets
from rcl_cli.store import entries
from rcl_cli.training.prepare import ImageFetcher

Call = Callable[[str, Mapping[str, Any]], dict[str, Any]]
S3 = Callable[[str], Bucket]
# What a transfer says that moved something.
_MOVED = "moved"
_TRANSFERS = 8
_PAGE = 100
_POLL_S = 1.0


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
        target.write_bytes((self._folder / part).read_bytes())

    def fetch(self, call: Call, part: str, arn: str, step: Step) -> None:
        """All entries of a dataset."""
        with (self._folder / part).open("w", encoding="utf-8") as out:
            token: dict[str, Any] = {}
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
    with tempfile.TemporaryDirectory(prefix="rcl-pull-") as folder:
        found = _Pulled(Path(folder))
        project = _remote_project(remote.call, name)
        arns = _remote_datasets(project)
        check_free(context, arns, to)
        for part, arn in arns.items():
            found.fetch(remote.call, part, arn, step)
        if not found.counts:
            raise RclError(f"{name} has no datasets with entries there.")
        moved, kept = _fetch_images(context, remote.s3, found.images, notes, step) if with_images else (0, 0)
        return Outcome(found.counts, moved, kept, make_datasets(context, found, to, notes))


def _remote_project(call: Call, name: str) -> dict[str, Any]:
    """The description of a project, by its name or ARN.

    Raises:
        ResourceNotFound: there is none.
    """
    wanted = name.split("/")[1] if name.startswith("arn:") and name.count("/") > 1 else name
    for project in call("DescribeProjects", {"ProjectNames": [wanted]}).get("ProjectDescriptions", []):
        if project["ProjectArn"].split("/")[1] == wanted:
            described: dict[str, Any] = project
            return described
    raise ResourceNotFound(f"There is no project {wanted} there.")


def _remote_datasets(project: Mapping[str, Any]) -> dict[str, str]:
    """ARNs by part."""
    return {one["DatasetType"].lower(): one["DatasetArn"] for one in project.get("Datasets", [])}


def _fetch_images(context: Context, s3: S3, source_refs: Iterable[str], notes: Notes, step: Step) -> tuple[int, int]:
    """(how many were fetched, how many were there already).

    Raises:
        RclError: a bucket is out of reach.
    """
    routes: dict[str, tuple[Bucket, LocalBucket] | None] = {}
    refs = list(source_refs)
    for place in filter(None, map(split_s3_url, refs)):
        if place[0] not in routes:
            routes[place[0]] = _route(context, s3, *place)

    def fetch(source_ref: str) -> str:
        place = split_s3_url(source_ref)
        if place is None:
            return "images are in no S3 bucket, and were left"
        route = routes[place[0]]
        return _fetched(*route, place[1]) if route else ""

    return _each(fetch, refs, notes, step)


def _route(context: Context, s3: S3, bucket: str, key: str) -> tuple[Bucket, LocalBucket] | None:
    """From where to where a bucket's images go; None where they are reached without.

    Args:
        key: of an image in it.

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
        raise RclError(
            f"The images in the bucket {bucket} can't be read: {error}. Look at the credentials, --region and "
            "--s3-endpoint-url; --no-images brings only the entries."
        ) from error
    except NoSuchObjectError:
        pass
    return source, target


def _each(transfer: Callable[[str], str], refs: list[str], notes: Notes, step: Step) -> tuple[int, int]:
    """Transfer several at once; (how many were moved, how many were there already).

    Args:
        transfer: says what went wrong, `moved`, or nothing where there was nothing to do.
    """
    moved = kept = 0
    with ThreadPoolExecutor(_TRANSFERS) as pool:
        try:
            for number, (ref, said) in enumerate(zip(refs, pool.map(transfer, refs), strict=True), 1):
                moved += said == _MOVED
                kept += not said
                if said not in ("", _MOVED):
                    notes.add(said, ref)
                step(number)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return moved, kept


def _local_bucket(context: Context, name: str) -> LocalBucket | None:
    """The folder of a bucket, made if need be; None where the config says that it is S3's."""
    if context.config.buckets.get(name) == "s3":
        return None
    local = context._replace(config=context.config._replace(s3_fallback=False))
    try:
        found = local.buckets.for_output(name)
    except NoSuchObjectError as error:
        raise RclError(f"No folder can be made for the bucket {name}: {error}") from error
    return found if isinstance(found, LocalBucket) else None


def _fetched(source: Bucket, target: LocalBucket, key: str) -> str:
    try:
        size = source.size(key)
        if size > MAX_FILE_BYTES:
            return "images are larger than 15 MB, and were left"
        try:
            return "" if target.size(key) == size else "images are here already with another size, and were left"
        except NoSuchObjectError:
            pass
        with source.open(key) as stream:
            target.write(key, stream.read(MAX_FILE_BYTES + 1))
    except NoSuchObjectError:
        return "images are not there, or may not be read"
    except BucketWriteError as error:
        if isinstance(error.__cause__, OSError):
            # A full disk: there is no use in trying the others.
            raise RclError(f"An image can't be written: {error}") from error
        return "images have keys that lead out of their bucket, and were left"
    return _MOVED


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
    local = named_datasets(context, source)
    arn, there = _project_to_push_to(remote.call, to)
    if clash := [part for part in local if part in there]:
        raise RclError(
            f"The project {to} has a {clash[0]} dataset there already: choose another --to, or delete it there first."
        )
    bucket, counts, called = remote.s3(place.bucket), dict[str, int](), list[Called]()
    moved = kept = 0
    with tempfile.TemporaryDirectory(prefix="rcl-push-") as folder:
        fetcher = ImageFetcher(context.buckets, Path(folder) / "images")
        uploads = _Uploads(fetcher, bucket, place)
        for part, dataset in local.items():
            with context.database.read() as db:
                refs = [_source_ref(line) for line in entries.all_lines(db, dataset.id)]
            one, other = _each(uploads.upload, refs, notes, step)
            moved, kept = moved + one, kept + other
            with context.database.read() as db:
                lines = list(uploads.lines(entries.all_lines(db, dataset.id)))
            if not lines:
                raise RclError(f"None of the images of the {part} dataset can be had: there is nothing to push.")
            counts[part] = len(lines)
            key = f"{place.prefix}{to}/{part}.manifest"
            try:
                bucket.write(key, "".join(line + "\n" for line in lines).encode())
            except BucketWriteError as error:
                raise RclError(f"s3://{place.bucket}/{key} can't be written: {error}") from error
            if arn is None:
                params = {"ProjectName": to}
                result = remote.call("CreateProject", params)
                called.append(Called("CreateProject", dict(params), result))
                arn = str(result["ProjectArn"])
            called.append(_create_dataset(remote.call, arn, part, place.bucket, key))
    return Outcome(counts, moved, kept, called)


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
        place: where they go, below `images/`.
    """

    def __init__(self, fetcher: ImageFetcher, bucket: Bucket, place: Place) -> None:
        self._fetcher, self._bucket, self._place = fetcher, bucket, place
        self._urls: dict[str, str] = {}

    def upload(self, source_ref: str) -> str:
        found = split_s3_url(source_ref)
        if found is not None and found[0] == self._place.bucket and self._is_there(found[1]):
            self._urls[source_ref] = source_ref
            return ""
        try:
            data = self._fetcher.fetch(source_ref).read_bytes()
        except (NoSuchObjectError, OSError):
            return "images are missing; their entries were left out"
        key = self._key(source_ref, data)
        self._urls[source_ref] = f"s3://{self._place.bucket}/{key}"
        if self._is_there(key, len(data)):
            return ""
        try:
            self._bucket.write(key, data)
        except BucketWriteError as error:
            raise RclError(f"s3://{self._place.bucket}/{key} can't be written: {error}") from error
        return _MOVED

    def _key(self, source_ref: str, data: bytes) -> str:
        """A name by what the image holds, which still says which image it is."""
        path = local_file(source_ref)
        name = PurePosixPath(path.as_posix() if path else urlsplit(source_ref).path).name
        digest = hashlib.sha256(data).hexdigest()[:16]
        return f"{self._place.prefix}images/{digest}/{name}"

    def _is_there(self, key: str, size_bytes: int | None = None) -> bool:
        try:
            found = self._bucket.size(key)
        except NoSuchObjectError:
            return False
        return size_bytes is None or found == size_bytes

    def lines(self, lines: Iterable[str]) -> Iterator[str]:
        """Entries whose images are in the bucket, with their URLs there."""
        for line in lines:
            document = load(line) or {}
            url = self._urls.get(str(document.get(SOURCE_REF)))
            if url is not None:
                yield compact({**document, SOURCE_REF: url})


def _create_dataset(call: Call, project_arn: str, part: str, bucket: str, key: str) -> Called:
    """Make a dataset there, and wait until it is done.

    Raises:
        RclError: it could not be made; nothing of it is left.
    """
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": bucket, "Name": key}}}
    params: dict[str, object] = {"ProjectArn": project_arn, "DatasetType": part.upper(), "DatasetSource": source}
    result = call("CreateDataset", params)
    arn = result["DatasetArn"]
    while True:
        described = call("DescribeDataset", {"DatasetArn": arn})["DatasetDescription"]
        if not described["Status"].endswith("_IN_PROGRESS"):
            break
        time.sleep(_POLL_S)
    if described["Status"] == "CREATE_FAILED":
        call("DeleteDataset", {"DatasetArn": arn})
        raise RclError(f"The {part} dataset could not be made there: {described['StatusMessage']}")
    return Called("CreateDataset", params, result)
