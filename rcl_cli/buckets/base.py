"""What a bucket offers, wherever its objects lie."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol


class NoSuchObjectError(Exception):
    """The bucket or the key does not exist, or can't be read."""


class BucketWriteError(Exception):
    """An object can't be written."""


class Bucket(Protocol):
    """Objects by key."""

    def size(self, key: str) -> int:
        """Bytes of an object.

        Raises:
            NoSuchObjectError: it is not there.
        """
        ...

    def open(self, key: str) -> BinaryIO:
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

    def write(self, key: str, data: bytes) -> None:
        """Store an object whole, or not at all.

        Raises:
            BucketWriteError: no permission, no room, a bad key.
        """
        ...
