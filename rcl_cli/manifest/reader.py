"""Manifest files read in a stream, held against the rules for datasets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from rcl_cli.limits import limits
from rcl_cli.manifest import codes
from rcl_cli.manifest.codes import Code
from rcl_cli.manifest.line import Line, bucket_of, parse_line

MAX_MANIFEST_BYTES = 2**30
MAX_ROWS = 250_000
MAX_REMOVED_SHARE = 0.2
_BLOCK_BYTES = 2**18


class TerminalManifestError(Exception):
    """The manifest as a whole can't be used.

    Args:
        code: what is wrong.
    """

    def __init__(self, code: Code) -> None:
        super().__init__(code.message)
        self.code = code


def read_rows(stream: BinaryIO) -> Iterator[str | None]:
    """The rows of a manifest without newlines; None for one that is longer than the service takes.

    A UTF-8 byte-order mark is dropped; the end of the last row is no row of its own.

    Raises:
        TerminalManifestError: not UTF-8 text.
    """
    first = True
    for raw in _lines(stream):
        if raw is None:
            yield None
            continue
        try:
            text = raw.decode("utf-8-sig" if first else "utf-8")
        except UnicodeDecodeError as error:
            raise TerminalManifestError(codes.MANIFEST_INACCESSIBLE) from error
        if "\0" in text:
            raise TerminalManifestError(codes.MANIFEST_INACCESSIBLE)
        first = False
        text = text.rstrip("\r")
        yield text if len(text) <= limits().line_chars else None


def _lines(stream: BinaryIO) -> Iterator[bytes | None]:
    """Lines without newlines; None for one that is too long to be kept, which it is not."""
    rest, is_skipping = b"", False
    # A character takes at most 4 bytes in UTF-8; a longer line can't be within the limit.
    most = 4 * limits().line_chars + 2
    while block := stream.read(_BLOCK_BYTES):
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            yield None if is_skipping or len(line) > most else line
            is_skipping = False
        if len(rest) > most:
            rest, is_skipping = b"", True
    if rest or is_skipping:
        yield None if is_skipping or len(rest) > most else rest


class DatasetReader:
    """Iterates over the lines of a manifest that belong into a dataset, then judges the whole.

    Args:
        stream: the file, at its start.
        size_bytes: its size.
        bucket: bucket of the images that the dataset already holds, empty for none.
        takes_file: of the `file://` URL of an image, whether it may come in.
    """

    def __init__(
        self, stream: BinaryIO, size_bytes: int, bucket: str = "", takes_file: Callable[[str], bool] = lambda _: True
    ) -> None:
        if size_bytes > MAX_MANIFEST_BYTES:
            raise TerminalManifestError(codes.MANIFEST_SIZE_TOO_LARGE)
        self._stream, self._takes_file = stream, takes_file
        self._seen: set[str] = set()
        self._bucket, self._prefix = bucket, f"s3://{bucket}/"
        self.rows = 0
        self.removed = 0

    def __iter__(self) -> Iterator[Line]:
        seen = self._seen
        for text in read_rows(self._stream):
            self.rows += 1
            if self.rows > MAX_ROWS:
                raise TerminalManifestError(codes.MANIFEST_ROWS_EXCEEDS_MAXIMUM)
            line = parse_line(text) if text is not None else None
            if line is None or (line.problems and line.removed_from_datasets) or line.source_ref in seen:
                self.removed += 1
                continue
            if not line.source_ref.startswith(self._prefix) and not self._is_taken(line.source_ref):
                self.removed += 1
                continue
            seen.add(line.source_ref)
            yield line

    def _is_taken(self, source_ref: str) -> bool:
        """Whether an image may come in that is not in the bucket of the others."""
        bucket = bucket_of(source_ref)
        if not bucket:
            return self._takes_file(source_ref)
        if self._bucket:
            raise TerminalManifestError(codes.IMAGES_IN_MULTIPLE_BUCKETS)
        self._bucket, self._prefix = bucket, f"s3://{bucket}/"
        return True

    def check(self) -> None:
        """To be called after the last line.

        Raises:
            TerminalManifestError: nothing to keep, or more than 20 % of the rows had to be removed.
        """
        if self.rows == 0:
            raise TerminalManifestError(codes.EMPTY_MANIFEST)
        if self.removed == self.rows or self.removed > MAX_REMOVED_SHARE * self.rows:
            raise TerminalManifestError(codes.TOO_MANY_RECORDS_IN_ERROR)
