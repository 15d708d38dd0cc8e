"""Images that a model met at work: in folders, behind prefixes of buckets, and in what `rcl detect` wrote of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rcl_cli.context import Context
from rcl_cli.errors import UsageError
from rcl_cli.local.detecting.sources import find_images
from rcl_cli.regular import open_bytes

_LIST_NAMES = (".jsonl", ".manifest")


class Met(NamedTuple):
    """An image, and what a model said of it; None where it has to be asked.

    Args:
        origin: the source that it is from, as it was given.
        where: what people know it by.
        answers: CustomLabels, not checked.
    """

    source_ref: str
    origin: str
    where: str
    answers: Any = None


class LeftOut(NamedTuple):
    """An image or a line of which nothing could be made, and why."""

    where: str
    why: str


def is_list(source: str) -> bool:
    """Whether a source is a file of lines, with answers or without."""
    return not source.startswith("s3://") and source.lower().endswith(_LIST_NAMES) and Path(source).is_file()


def met_images(context: Context, sources: Sequence[str]) -> Iterator[Met | LeftOut]:
    """What there is in sources, in their order.

    Raises:
        UsageError: a source is nothing that images can come from, or there are none in it.
    """
    for source in sources:
        origin = source.encode("utf-8", "replace").decode()
        if not context.names_files and not source.startswith("s3://"):
            raise UsageError(f"{origin}: images in buckets only can be named from elsewhere: s3://BUCKET/PREFIX.")
        if is_list(source):
            yield from _of_list(context, Path(source), origin)
        else:
            for ref in find_images(context, (source,)):
                yield Met(ref, origin, ref)


def met_in_lists(context: Context, lists: Sequence[tuple[str, Path]]) -> Iterator[Met | LeftOut]:
    """What there is in lists, by the names that people know them by.

    Raises:
        UsageError: one can't be read, or is empty.
    """
    for name, path in lists:
        yield from _of_list(context, path, name)


def _of_list(context: Context, path: Path, origin: str) -> Iterator[Met | LeftOut]:
    is_empty = True
    try:
        with open_bytes(path) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    is_empty = False
                    found = _met(line, origin, f"{origin}, line {number}")
                    if isinstance(found, Met) and not context.names_files and not found.source_ref.startswith("s3://"):
                        found = LeftOut(found.where, "images in buckets only can be named from elsewhere")
                    yield found
    except OSError as error:
        raise UsageError(f"{origin} can't be read: {error.strerror or error}.") from error
    if is_empty:
        raise UsageError(f"There are no images in {origin}.")


def _met(line: bytes, origin: str, where: str) -> Met | LeftOut:
    try:
        found = json.loads(line.decode("utf-8-sig"))
        ref = found["source-ref"]
        # Half of a surrogate pair names nothing.
        ref.encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return LeftOut(where, "no JSON object with a source-ref")
    if "Error" in found:
        error = found["Error"]
        said = error.get("Message") if isinstance(error, dict) else error
        return LeftOut(where, f"the model could say nothing of {ref}: {said}")
    return Met(ref, origin, ref, found.get("CustomLabels"))
