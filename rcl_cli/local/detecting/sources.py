"""Images for `rcl detect`: finding them, and reading one."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from rcl_cli.buckets.base import NoSuchObjectError
from rcl_cli.buckets.resolve import local_file
from rcl_cli.context import Context
from rcl_cli.errors import ImageTooLarge, InvalidS3Object, UsageError
from rcl_cli.limits import limits
from rcl_cli.regular import check_regular, open_bytes, open_text

_IMAGE_NAMES = (".jpg", ".jpeg", ".png")
_LIST_NAMES = (".jsonl", ".manifest")


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
    matches = _matching(source)
    if not matches:
        raise UsageError(f"{source} is no file, folder, pattern with a match, s3:// URL or list.")
    return (_uri(Path(one)) for one in matches if _is_image(one) and Path(one).is_file())


def _matching(pattern: str) -> list[str]:
    """Paths that a pattern means; `**` does not go through links, which may lead to each other."""
    path = Path(pattern)
    found = [path.anchor or "."]
    for part in path.parts[bool(path.anchor) :]:
        below = [one for top in found for one in (_below(top) if part == "**" else _named(part, top))]
        found = list(dict.fromkeys(below))
    return sorted(found)


def _below(top: str) -> Iterator[str]:
    """A folder, and all folders and files in it; not what is hidden, as with any pattern."""
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield folder
        yield from (os.path.join(folder, name) for name in files if not name.startswith("."))  # noqa: PTH118


def _named(part: str, top: str) -> list[str]:
    return [os.path.join(top, name) for name in glob.glob(part, root_dir=top)]  # noqa: PTH118, PTH207


def _uri(path: Path) -> str:
    return Path(os.path.abspath(path)).as_uri()  # noqa: PTH100 - links stay as they are


def _is_image(name: str) -> bool:
    return name.lower().endswith(_IMAGE_NAMES)


def _of_list(path: Path) -> Iterator[str]:
    number = 0
    try:
        with open_text(path, "utf-8-sig") as lines:
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
        for key in context.buckets.get(name).keys(prefix):
            if _is_image(key):
                yield f"s3://{name}/{key}"
    except NoSuchObjectError as error:
        raise UsageError(f"The bucket of {url} is out of reach.") from error


def read_image(context: Context, source_ref: str) -> bytes:
    """An image's bytes.

    Raises:
        InvalidS3Object: it is not there.
        ImageTooLarge: larger than the limits allow.
    """
    stream: BinaryIO
    try:
        if path := local_file(source_ref):
            size_bytes, stream = check_regular(path).st_size, open_bytes(path)
        else:
            name, _, key = source_ref.removeprefix("s3://").partition("/")
            bucket = context.buckets.get(name)
            size_bytes, stream = bucket.size(key), bucket.open(key)
        with stream:
            if size_bytes > limits().file_bytes:
                raise ImageTooLarge(f"The image is larger than {limits().file_bytes // 2**20} MB.")
            return stream.read(limits().file_bytes)
    except (NoSuchObjectError, OSError, ValueError) as error:
        raise InvalidS3Object(f"{source_ref} can't be read.") from error
