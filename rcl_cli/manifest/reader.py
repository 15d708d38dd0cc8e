"""Manifest files read in a stream, held against the rules for datasets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from rcl_cli.manifest import codes
from rcl_cli.manifest.codes import Code
from rcl_cli.manifest.line import MAX_LINE_CHARS, Line, bucket_of, parse_line

MAX_MANIFEST_BYTES = 2**30
MAX_ROWS = 250_000
MAX_LABELS = 250
MAX_REMOVED_SHARE = 0.2


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
    # A character takes at most 4 bytes in UTF-8; a longer line can't be within the limit.
    max_bytes = 4 * MAX_LINE_CHARS + 2
    while raw := stream.readline(max_bytes):
        too_long = not raw.endswith(b"\n") and len(raw) == max_bytes
        while too_long and (rest := stream.readline(max_bytes)) and not rest.endswith(b"\n"):
            pass
        if too_long:
            yield None
            continue
        try:
            text = raw.decode("utf-8-sig" if first else "utf-8")
        except UnicodeDecodeError as error:
            raise TerminalManifestError(codes.MANIFEST_INACCESSIBLE) from error
        if "\0" in text:
            raise TerminalManifestError(codes.MANIFEST_INACCESSIBLE)
        first = False
        text = text.rstrip("\r\n")
        yield text if len(text) <= MAX_LINE_CHARS else None


class DatasetReader:
    """Iterates over the lines of a manifest that belong into a dataset, then judges the whole.

    Args:
        stream: the file, at its start.
        size_bytes: its size.
        bucket: bucket of the images that the dataset already holds, empty for none.
    """

    def __init__(self, stream: BinaryIO, size_bytes: int, bucket: str = "") -> None:
        if size_bytes > MAX_MANIFEST_BYTES:
            raise TerminalManifestError(codes.MANIFEST_SIZE_TOO_LARGE)
        self._stream = stream
        self._seen: set[str] = set()
        self._bucket, self._prefix = bucket, f"s3://{bucket}/"
        self.rows = 0
        self.removed = 0

    def __iter__(self) -> Iterator[Line]:
        for text in read_rows(self._stream):
            self.rows += 1
            if self.rows > MAX_ROWS:
                raise TerminalManifestError(codes.MANIFEST_ROWS_EXCEEDS_MAXIMUM)
            line = parse_line(text) if text is not None else None
            if line is None or (line.problems and line.removed_from_datasets) or line.source_ref in self._seen:
                self.removed += 1
                continue
            self._seen.add(line.source_ref)
            self._check_bucket(line.source_ref)
            yield line

    def _check_bucket(self, source_ref: str) -> None:
        if self._bucket and source_ref.startswith(self._prefix):
            return
        bucket = bucket_of(source_ref)
        if bucket and self._bucket:
            raise TerminalManifestError(codes.IMAGES_IN_MULTIPLE_BUCKETS)
        self._bucket = self._bucket or bucket
        self._prefix = f"s3://{self._bucket}/"

    def check(self) -> None:
        """To be called after the last line.

        Raises:
            TerminalManifestError: nothing to keep, or more than 20 % of the rows had to be removed.
        """
        if self.rows == 0:
            raise TerminalManifestError(codes.EMPTY_MANIFEST)
        if self.removed == self.rows or self.removed > MAX_REMOVED_SHARE * self.rows:
            raise TerminalManifestError(codes.TOO_MANY_RECORDS_IN_ERROR)
