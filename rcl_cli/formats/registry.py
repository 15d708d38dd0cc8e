"""The formats of labelled images, by name."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, cast

from rcl_cli.formats.damaged import refuse_unread
from rcl_cli.formats.record import FormatError, Notes, Reader, Record


class Format(NamedTuple):
    """A format.

    Args:
        module: of `formats`; a `Reader`.
        summary: what it is.
        writer: the class of `writers` that writes it; None where it is only read.
    """

    module: str
    summary: str
    writer: str | None = None


# In the order in which they are recognised: those that need least looking come last.
FORMATS = {
    "manifest": Format("manifests", "Ground Truth manifests", "ManifestWriter"),
    "cvat": Format("cvat", "CVAT for images 1.1"),
    "voc": Format("voc", "Pascal VOC", "VocWriter"),
    "coco": Format("coco", "COCO", "CocoWriter"),
    "labelstudio": Format("labelstudio", "Label Studio, JSON or JSON-MIN"),
    "csv": Format("tables", "CSV: labels of images, or boxes", "CsvWriter"),
    "yolo": Format("yolo", "YOLO, of Ultralytics or darknet", "YoloWriter"),
    "folders": Format("folders", "a folder of images for each label", "FolderWriter"),
}
# Those that are written, too.
WRITTEN = tuple(name for name, form in FORMATS.items() if form.writer)


# What files that are not what they should be can lead to, beyond what readers look for.
_ODD = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError)


def reader_of(name: str) -> Reader:
    return cast("Reader", import_module(f"rcl_cli.formats.{FORMATS[name].module}"))


def recognise(source: Path) -> str:
    """The name of the format of a file or folder.

    Raises:
        FormatError: it is none that rcl knows, or is not there, or its annotations are damaged.
    """
    if not source.exists():
        raise FormatError(f"{source} is not there.")
    if source.suffix.lower() in (".zip", ".tar", ".gz", ".tgz", ".7z"):
        raise FormatError(f"{source} is packed: unpack it, and give the folder.")
    if not source.is_file() and not source.is_dir():
        raise FormatError(f"{source} is neither a file nor a folder: save it as a file, and give that.")
    found = next((name for name in FORMATS if _fits(name, source)), None)
    if found in (None, "folders"):
        refuse_unread(source)
    if found is None:
        names = "; ".join(f"{name} ({form.summary})" for name, form in FORMATS.items())
        raise FormatError(f"{source} is in no format that rcl knows. It knows: {names}. --format says which it is.")
    return found


def _fits(name: str, source: Path) -> bool:
    try:
        return reader_of(name).fits(source)
    except (*_ODD, OSError):
        return False


def read(source: Path, name: str, images: Path | None, notes: Notes) -> Iterator[Record]:
    """The records of a file or folder in a named format.

    Args:
        images: a folder to look for images in, first of all.

    Raises:
        FormatError: it is not in that format.
    """
    try:
        yield from reader_of(name).read(source, images, notes)
    except OSError as error:
        raise FormatError(f"{error.filename or source}: {error.strerror or error}") from error
    except _ODD as error:
        raise FormatError(f"{source} can't be read as {name}: {type(error).__name__}: {error}") from error
