"""Files of annotations that can't be read: which they are, and in which line what is wrong.

A set whose annotations nobody can read still has folders of images: taken for labels, their names would make a dataset
that says `images` of every picture.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from xml.etree import ElementTree

from rcl_cli import plain_yaml
from rcl_cli.formats.record import FormatError, Notes
from rcl_cli.regular import open_bytes, read_bytes

_YAML = (".yaml", ".yml")
_LINES = (".manifest", ".jsonl")
_SUFFIXES = frozenset({".json", ".xml", ".csv", ".tsv", ".names", ".data", *_YAML, *_LINES})
# Where formats have their files, seen from a set's folder.
_PLACES = ("*", "[aA]nnotations/*", "*/_annotations.coco.json")
_START_BYTES = 1 << 20


def start_of(path: Path) -> bytes:
    """The first megabyte of a file; empty where it can't be read, which whoever reads all of it says."""
    try:
        with open_bytes(path) as stream:
            return stream.read(_START_BYTES)
    except OSError:
        return b""


def text_of(path: Path) -> str:
    """A file of text, without a byte order mark.

    Raises:
        FormatError: it can't be read, or is no UTF-8.
    """
    try:
        return _decoded(read_bytes(path))
    except (OSError, ValueError) as error:
        raise FormatError(f"{path}: {_words(error)}") from error


def _decoded(data: bytes) -> str:
    """
    Raises:
        ValueError: it is no UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line}: it is no UTF-8") from error


def _words(error: Exception) -> str:
    """What is wrong, the line first."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}: {error.msg}"
    if isinstance(error, ElementTree.ParseError):
        return f"line {error.position[0]}: {str(error).partition(':')[0]}"
    return "it is nested too deep" if isinstance(error, RecursionError) else str(error)


def fault_of(path: Path) -> str | None:
    """What keeps a file from being what its name says, with the line; None where it is whole."""
    suffix = path.suffix.lower()
    try:
        if suffix in _YAML:
            plain_yaml.load(path)
        elif suffix == ".xml":
            with open_bytes(path) as stream:
                for _, element in ElementTree.iterparse(stream):  # noqa: S314 - expat itself bounds what entities grow to
                    element.clear()
        elif suffix == ".json":
            json.loads(_decoded(read_bytes(path)))
        elif suffix in _LINES:
            _check_lines(_decoded(read_bytes(path)))
        else:
            _decoded(read_bytes(path))
    except (OSError, ValueError, LookupError, RecursionError, ElementTree.ParseError) as error:
        return _words(error)
    return None


def _check_lines(text: str) -> None:
    """
    Raises:
        ValueError: a line is no JSON.
    """
    for number, line in enumerate(text.splitlines(), 1):
        try:
            json.loads(line or "{}")
        except json.JSONDecodeError as error:
            raise ValueError(f"line {number}: {error.msg}") from error


def own_files(candidates: Iterable[Path], is_own: Callable[[Path], bool], notes: Notes) -> Iterator[Path]:
    """Those of a format among the files that lie where it has its own.

    Args:
        notes: takes those of other formats.

    Raises:
        FormatError: one is damaged, and may have been of the format.
    """
    for path in candidates:
        if is_own(path):
            yield path
        elif fault := fault_of(path):
            raise FormatError(f"{path}: {fault}")
        else:
            notes.add("files of another format lie beside these and were left out", path)


def refuse_unread(source: Path) -> None:
    """Whether there are annotations, though no format knows them.

    Raises:
        FormatError: there are.
    """
    there = list(_annotations(source))
    for path in there:
        if fault := fault_of(path):
            raise FormatError(f"{path}: {fault}. Mend it, or take it away; --format says what the rest is.")
    if there:
        raise FormatError(
            f"{there[0]} is of no format that rcl knows, and without it the folders' names may be no labels: give a "
            "file of annotations itself, or say --format folders."
        )


def _annotations(source: Path) -> Iterator[Path]:
    if not source.is_dir():
        yield from [source] if source.suffix.lower() in _SUFFIXES else []
        return
    for place in _PLACES:
        for path in sorted(source.glob(place)):
            if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".") and not path.is_dir():
                yield path
