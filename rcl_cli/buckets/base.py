"""What a bucket offers, wherever its objects lie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol


class NoSuchObjectError(Exception):
    """The bucket or the key does not exist, or can't be read."""


class BucketOutOfReachError(NoSuchObjectError):
    """It is not just this object: the bucket does not exist, or lets nobody in."""


class BucketWriteError(Exception):
    """An object can't be written."""


class Bucket(Protocol):
    """Objects by key."""

    def size(self, key: str, version: str | None = None) -> int:
        """Bytes of an object.

        Args:
            version: where the bucket keeps versions, which one; None for the latest.

        Raises:
            NoSuchObjectError: it is not there.
        """
        ...

    def open(self, key: str, version: str | None = None) -> BinaryIO:
        """The object as a stream, to be closed by the caller.

        Raises:
            NoSuchObjectError: it is not there.
        """
        ...

    def local_path(self, key: str) -> Path | None:
        """The object as a file of this machine, None where it has to be fetched.

        Raises:
            NoSuchObjectError: it is not there.
        """
        ...

    def children(self, prefix: str) -> Iterator[str]:
        """Keys that begin with a prefix, sorted; those with a further slash are cut behind it and come once.

        Raises:
            NoSuchObjectError: the bucket is out of reach.
        """
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys that begin with a prefix, sorted, each object once.

        Raises:
            NoSuchObjectError: the bucket is out of reach.
        """
        ...

    def write(self, key: str, data: bytes) -> None:
        """Store an object whole, or not at all.

        Raises:
            BucketWriteError: no permission, no room, a bad key.
        """
        ...

    def write_file(self, key: str, source: Path) -> None:
        """Store a file's content as an object, whole or not at all.

        Raises:
            BucketWriteError: no permission, no room, a bad key.
        """
        ...
