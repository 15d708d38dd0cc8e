"""Detection over many images: finding them, asking a model about all of them at once, and writing down what it said."""

from __future__ import annotations

import glob
import json
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol, TextIO

from rcl_cli.buckets.base import Bucket, NoSuchObjectError
from rcl_cli.buckets.resolve import local_file
from rcl_cli.config import cpu_cores
from rcl_cli.errors import (
    ImageTooLarge,
    InvalidS3Object,
    ProvisionedThroughputExceeded,
    ResourceNotReady,
    ServiceError,
    UsageError,
)
from rcl_cli.manifest.document import COMPUTED_KEYS, SOURCE_REF
from rcl_cli.service.context import Context
from rcl_cli.store import versions
from rcl_cli.store.versions import Version

_IMAGE_NAMES = (".jpg", ".jpeg", ".png")
_LIST_NAMES = (".jsonl", ".manifest")
_MAX_IMAGE_BYTES = 15 * 2**20
_TIMEOUT_S = 110.0
_RETRY_S = 0.05
_REQUESTS = 64


# --- images -----------------------------------------------------------------------------------------------------------


def find_images(context: Context, sources: Sequence[str]) -> Iterator[str]:
    """Source-refs of images, each once, in the order of the sources and sorted within one.

    Args:
        sources: files, folders (with everything below them), patterns, `s3://` keys and prefixes, and lists: files of
            JSON lines with a `source-ref`.

    Raises:
        UsageError: a source is nothing of that, or there is nothing in it.
    """
    seen: set[str] = set()
    for source in sources:
        found = False
        try:
            for ref in _images_of(context, source):
                found = True
                if ref not in seen:
                    seen.add(ref)
                    yield ref
        except OSError as error:
            raise UsageError(f"{source} can't be looked through: {error.strerror or error}.") from error
        if not found:
            raise UsageError(f"There are no images in {source}.")


def _images_of(context: Context, source: str) -> Iterator[str]:
    if source.startswith("s3://"):
        return _of_bucket(context, source)
    if source.startswith("file:///"):
        return iter([source])
    path = Path(source)
    if path.is_dir():
        return (_uri(one) for one in sorted(path.rglob("*")) if _is_image(one.name) and one.is_file())
    if path.is_file():
        return _of_list(path) if path.suffix.lower() in _LIST_NAMES else iter([_uri(path)])
    matches = sorted(glob.glob(source, recursive=True))  # noqa: PTH207 - the pattern may be absolute
    if not matches:
        raise UsageError(f"{source} is no file, folder, pattern with a match, s3:// URL or list.")
    return (_uri(Path(one)) for one in matches if _is_image(one) and Path(one).is_file())


def _uri(path: Path) -> str:
    return Path(os.path.abspath(path)).as_uri()  # noqa: PTH100 - links stay as they are


def _is_image(name: str) -> bool:
    return name.lower().endswith(_IMAGE_NAMES)


def _of_list(path: Path) -> Iterator[str]:
    number = 0
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for text in lines:
                number += 1
                if text.strip():
                    ref = str(json.loads(text)["source-ref"])
                    ref.encode()  # half of a surrogate pair names nothing
                    yield ref
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}, line {number}: needs a JSON object with a source-ref, in UTF-8.") from error


def _of_bucket(context: Context, url: str) -> Iterator[str]:
    name, _, prefix = url.removeprefix("s3://").partition("/")
    try:
        for key in _keys(context.buckets.get(name), prefix):
            if _is_image(key):
                yield f"s3://{name}/{key}"
    except NoSuchObjectError as error:
        raise UsageError(f"The bucket of {url} is out of reach.") from error


def _keys(bucket: Bucket, prefix: str) -> Iterator[str]:
    for key in bucket.children(prefix):
        if key.endswith("/"):
            yield from _keys(bucket, key)
        else:
            yield key


def read_image(context: Context, source_ref: str) -> bytes:
    """An image's bytes.

    Raises:
        InvalidS3Object: it is not there.
        ImageTooLarge: over 15 MB.
    """
    stream: BinaryIO
    try:
        if path := local_file(source_ref):
            if not path.is_file():
                raise NoSuchObjectError(source_ref)
            size_bytes, stream = path.stat().st_size, path.open("rb")
        else:
            name, _, key = source_ref.removeprefix("s3://").partition("/")
            bucket = context.buckets.get(name)
            size_bytes, stream = bucket.size(key), bucket.open(key)
        with stream:
            if size_bytes > _MAX_IMAGE_BYTES:
                raise ImageTooLarge("The image is larger than 15 MB.")
            return stream.read(_MAX_IMAGE_BYTES)
    except (NoSuchObjectError, OSError, ValueError) as error:
        raise InvalidS3Object(f"{source_ref} can't be read.") from error


# --- models -----------------------------------------------------------------------------------------------------------


class Found(NamedTuple):
    """What a model says about an image, and the image's upright size in pixels."""

    labels: list[dict[str, Any]]
    width: int
    height: int


class Detector(Protocol):
    """A model to ask, from several threads."""

    def __call__(self, image: bytes, min_confidence: float | None, max_results: int | None) -> Found:
        """Find labels.

        Raises:
            ServiceError: the image can't be used, or the model is gone.
        """
        ...


class HostDetector:
    """A running model's host; a connection a thread, now and then a new one, so that new workers get some."""

    def __init__(self, worker: versions.Worker) -> None:
        self._worker = worker
        self._local = threading.local()

    def __call__(self, image: bytes, min_confidence: float | None, max_results: int | None) -> Found:
        from rcl_cli.inference.client import HostConnection

        mine = self._local
        if getattr(mine, "left", 0) == 0:
            if hasattr(mine, "connection"):
                mine.connection.close()
            mine.connection, mine.left = HostConnection(self._worker.address or "", self._worker.nonce), _REQUESTS
        mine.left -= 1
        reply = mine.connection.ask(image, min_confidence, max_results, sized=True)
        return Found(reply["labels"], reply["width"], reply["height"])


class OwnDetector:
    """A model loaded into this process."""

    def __init__(self, folder: Path) -> None:
        from rcl_cli.inference.model import LoadedModel

        self._model = LoadedModel(folder, cpu_cores())

    def __call__(self, image: bytes, min_confidence: float | None, max_results: int | None) -> Found:
        from rcl_cli.imaging.decode import read_header

        labels = self._model.detect(image, min_confidence, max_results, _TIMEOUT_S)
        header = read_header(image)
        return Found(labels, header.width, header.height)


def detector_of(context: Context, version: Version, *, once: bool) -> Detector:
    """A version's model.

    Args:
        once: load it into this process, whether it is running or not.

    Raises:
        ResourceNotReady: it is not running, or there is no model.
    """
    if once:
        folder = context.layout.model(version.id)
        if not folder.is_dir():
            raise ResourceNotReady(f"The version {version.name} has no model: its status is {version.status}.")
        return OwnDetector(folder)
    with context.database.read() as db:
        worker = versions.worker_of(db, version.id)
    if version.status != "RUNNING" or worker is None or worker.address is None:
        raise ResourceNotReady(
            f"The version {version.name} is not running ({version.status}): start it, or add --once to load it here."
        )
    return HostDetector(worker)


# --- asking -----------------------------------------------------------------------------------------------------------


class Answer(NamedTuple):
    """What came of one image: what was found, or why nothing could be."""

    source_ref: str
    found: Found | None = None
    error: ServiceError | None = None


def detect_all(
    context: Context,
    detector: Detector,
    source_refs: Iterable[str],
    min_confidence: float | None,
    max_results: int | None,
    threads: int,
) -> Iterator[Answer]:
    """Ask about many images at once; answers come in the images' order.

    Raises:
        ResourceNotReady: the model is gone.
    """
    over = threading.Event()

    def ask(source_ref: str) -> Answer:
        try:
            image = read_image(context, source_ref)
            while True:
                try:
                    return Answer(source_ref, detector(image, min_confidence, max_results))
                except ProvisionedThroughputExceeded:
                    # Others ask it too; there is no hurry.
                    if over.wait(_RETRY_S):
                        raise
        except ResourceNotReady:
            raise
        except ServiceError as error:
            return Answer(source_ref, error=error)

    pending: deque[Future[Answer]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for source_ref in source_refs:
                pending.append(pool.submit(ask, source_ref))
                # Some more than threads, so that one slow image does not hold up the others.
                if len(pending) >= 4 * threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            over.set()
            pool.shutdown(wait=False, cancel_futures=True)


# --- writing ----------------------------------------------------------------------------------------------------------


def json_line(answer: Answer) -> str:
    """`source-ref` with `CustomLabels`, or with `Error`."""
    line: dict[str, Any] = {"source-ref": answer.source_ref}
    if answer.found is not None:
        line["CustomLabels"] = answer.found.labels
    elif answer.error is not None:
        line["Error"] = {"Code": answer.error.code, "Message": answer.error.message}
    return json.dumps(line, ensure_ascii=False)


class ManifestWriter:
    """Answers as Ground Truth lines, for `update-dataset-entries`.

    Args:
        labels: of the model, in the order of their class ids.
        attribute: the name of the label attribute.
        created: the creation date of all lines.

    Raises:
        UsageError: the attribute would be taken for something else.
    """

    def __init__(self, labels: Sequence[str], attribute: str, created: str) -> None:
        if not attribute or attribute in {SOURCE_REF, *COMPUTED_KEYS}:
            raise UsageError(f"--attribute {attribute!r} means something else in a manifest: choose another name.")
        self._ids = {name: number for number, name in enumerate(labels)}
        self._attribute, self._created = attribute, created

    def __call__(self, answer: Answer) -> str:
        line: dict[str, Any] = {"source-ref": answer.source_ref}
        if answer.found is not None:
            boxed = [label for label in answer.found.labels if "Geometry" in label]
            if boxed:
                line |= self._boxes(boxed, answer.found.width, answer.found.height)
            else:
                for number, label in enumerate(answer.found.labels):
                    line |= self._image_label(label, number)
        return json.dumps(line, ensure_ascii=False)

    def _metadata(self, kind: str) -> dict[str, Any]:
        return {
            "type": f"groundtruth/{kind}", "human-annotated": "no", "creation-date": self._created,
            "job-name": self._attribute,
        }  # fmt: skip

    def _boxes(self, labels: Sequence[dict[str, Any]], width: int, height: int) -> dict[str, Any]:
        from rcl_cli.manifest.checks import MAX_BOXES, scale_of

        least = int(1 / scale_of(width, height)) + 1
        annotations, objects = [], []
        for label in labels[:MAX_BOXES]:
            box = label["Geometry"]["BoundingBox"]
            left, top = int(box["Left"] * width), int(box["Top"] * height)
            # A box that ends beyond the image, or is a line, would be no valid annotation.
            w = min(max(least, round(box["Width"] * width)), width)
            h = min(max(least, round(box["Height"] * height)), height)
            left, top = min(left, width - w), min(top, height - h)
            class_id = self._ids[label["Name"]]
            annotations.append({"class_id": class_id, "left": left, "top": top, "width": w, "height": h})
            objects.append({"confidence": round(label["Confidence"] / 100, 4)})
        used = sorted({one["class_id"] for one in annotations})
        names = list(self._ids)
        metadata = {"objects": objects, "class-map": {str(number): names[number] for number in used}}
        size = {"width": width, "height": height, "depth": 3}
        return {
            self._attribute: {"image_size": [size], "annotations": annotations},
            f"{self._attribute}-metadata": {**metadata, **self._metadata("object-detection")},
        }

    def _image_label(self, label: dict[str, Any], number: int) -> dict[str, Any]:
        name = f"{self._attribute}-{number}" if number else self._attribute
        metadata = {"confidence": round(label["Confidence"] / 100, 4), "class-name": label["Name"]}
        return {
            name: self._ids[label["Name"]],
            f"{name}-metadata": {**metadata, **self._metadata("image-classification")},
        }


class Output:
    """A file of lines that a killed run leaves whole but for its last line, and that the next one goes on with.

    Args:
        path: None for stdout.
        resume: keep what is there; images that failed are tried again.

    Raises:
        UsageError: the file is there, and not to be gone on with.
    """

    def __init__(self, path: Path | None, write: Callable[[str], object], *, resume: bool) -> None:
        self.done: set[str] = set()
        self._write, self._file = write, None
        if path is None:
            return
        # What a link leads to is what is written.
        path = Path(os.path.realpath(path))
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is no file; leave --out away to write to stdout.")
        if path.exists() and not resume:
            raise UsageError(f"{path} is there already: add --resume to go on with it, or remove it.")
        if path.exists():
            with path.open("r+", encoding="utf-8", errors="surrogateescape", newline="") as old:
                _lock(old, path)
                self._keep_good(old, path)
        self._file = path.open("a", encoding="utf-8", newline="\n")
        _lock(self._file, path)

    def _keep_good(self, old: TextIO, path: Path) -> None:
        """Drop what a kill left of the last line, and images that failed.

        Raises:
            UsageError: the file holds something else than answers.
        """
        kept, failed, at = [], False, 0
        for number, text in enumerate(old, 1):
            if not text.endswith("\n"):
                break
            try:
                line = json.loads(text)
                ref, has_failed = str(line["source-ref"]), "Error" in line
            except (ValueError, KeyError, TypeError) as error:
                raise UsageError(f"{path}, line {number}: no answer of rcl detect; nothing was changed.") from error
            failed = failed or has_failed
            if not has_failed:
                self.done.add(ref)
                kept.append(text)
            at += len(text.encode("utf-8", "surrogateescape"))
        if not failed:
            os.truncate(old.fileno(), at)
            return
        partial = path.with_name(f".{path.name}.part")
        try:
            with partial.open("w", encoding="utf-8", errors="surrogateescape", newline="") as new:
                new.writelines(kept)
                new.flush()
                os.fsync(new.fileno())
            partial.chmod(path.stat().st_mode)
            partial.replace(path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise

    def line(self, text: str) -> None:
        if self._file is None:
            self._write(text + "\n")
        else:
            self._file.write(text + "\n")
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            # Every line was flushed; a disk that is full has said so then.
            with suppress(OSError):
                self._file.close()


def _lock(file: TextIO, path: Path) -> None:
    """Keep other runs from the same file until it is closed.

    Raises:
        UsageError: one is at it.
    """
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(f"{path} is being written by another run.") from error
