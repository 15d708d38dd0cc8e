"""Large manifests are read in a process of their own, while the one that asked writes them into its store.

Reading and writing take about as long as each other; Python does one thing at a time, processes do two.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, BinaryIO, Protocol

from rcl_cli.child import command, environment, receive, send
from rcl_cli.config import cpu_cores
from rcl_cli.errors import InternalServerError
from rcl_cli.manifest import codes
from rcl_cli.manifest.checks import Problem
from rcl_cli.manifest.line import Line
from rcl_cli.manifest.reader import DatasetReader, TerminalManifestError

# A process more takes as long to start as reading a few megabytes.
_WORTH_IT_BYTES = 2**24
_BATCH = 500
_FILES = "--files"


class LineReader(Protocol):
    """The lines of a manifest that belong into a dataset, then a judgement of the whole; see `DatasetReader`."""

    def __iter__(self) -> Iterator[Line]: ...

    def check(self) -> None: ...


def reader_of(stream: BinaryIO, size_bytes: int, *, takes_files: bool = True) -> LineReader:
    """The fastest reader of a manifest.

    Args:
        stream: at its start.
        takes_files: images may be files, and not only objects in a bucket.

    Raises:
        TerminalManifestError: it is too large.
    """
    if size_bytes < _WORTH_IT_BYTES or cpu_cores() < 2 or not _is_file(stream):
        return DatasetReader(stream, size_bytes, takes_file=lambda _: takes_files)
    return ApartReader(stream, size_bytes, takes_files=takes_files)


def _is_file(stream: BinaryIO) -> bool:
    try:
        stream.fileno()
    except (OSError, AttributeError, io.UnsupportedOperation):
        return False
    return True


class ApartReader:
    """A `DatasetReader` in another process; its lines come without boxes, which datasets do not keep.

    Raises:
        TerminalManifestError: as `DatasetReader`.
        InternalServerError: the process failed.
    """

    def __init__(self, stream: BinaryIO, size_bytes: int, *, takes_files: bool = True) -> None:
        self._judged = DatasetReader(io.BytesIO(), size_bytes)
        self._stream, self._takes_files = stream, takes_files

    def __iter__(self) -> Iterator[Line]:
        size = str(os.fstat(self._stream.fileno()).st_size)
        words = command(__name__, size, *([_FILES] if self._takes_files else []))
        process = subprocess.Popen(words, stdin=self._stream, stdout=subprocess.PIPE, env=environment())
        assert process.stdout is not None  # noqa: S101 - for mypy
        try:
            while (message := receive(process.stdout))[0] == "lines":
                yield from map(_line, message[1])
        except (EOFError, ValueError, TypeError) as error:
            raise InternalServerError(f"Reading the manifest failed with {process.wait()}.") from error
        finally:
            process.kill()
            process.stdout.close()
            process.wait()
        if message[0] == "error":
            raise TerminalManifestError(_CODES[message[1]])
        self._judged.rows, self._judged.removed = message[1]

    def check(self) -> None:
        self._judged.check()


_CODES = {code.code: code for code in vars(codes).values() if isinstance(code, codes.Code)}


def _line(row: tuple[Any, ...]) -> Line:
    text, source_ref, named, is_labeled, found = row
    problems = tuple(Problem(_CODES[code]) for code in found) if found else ()
    return Line(text, source_ref, (), frozenset(named), is_labeled, problems)


def _row(line: Line) -> tuple[Any, ...]:
    found = tuple(problem.code.code for problem in line.problems) if line.problems else ()
    return line.text, line.source_ref, tuple(line.named), line.is_labeled, found


def _messages(reader: DatasetReader) -> Iterable[tuple[Any, ...]]:
    lines = iter(reader)
    try:
        while batch := list(islice(lines, _BATCH)):
            yield "lines", list(map(_row, batch))
        yield "end", (reader.rows, reader.removed)
    except TerminalManifestError as error:
        yield "error", error.code.code


def main() -> None:
    """Read the manifest on stdin; write its lines to stdout."""
    # Ctrl-C is for the process that asked, which ends this one; without it there is nothing to tell anybody.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    size, *more = sys.argv[1:]
    reader = DatasetReader(sys.stdin.buffer, int(size), takes_file=lambda _: _FILES in more)
    for message in _messages(reader):
        send(message, sys.stdout.buffer)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
