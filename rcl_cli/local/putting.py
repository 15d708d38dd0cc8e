"""Pictures on their way into buckets: no other picture is replaced, and none is there twice."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rcl_cli.buckets.base import Bucket, BucketOutOfReachError, BucketWriteError, NoSuchObjectError
from rcl_cli.context import Context
from rcl_cli.durable import alone
from rcl_cli.limits import limits

_PUTTING = threading.Lock()


@contextmanager
def putting_alone(context: Context) -> Iterator[None]:
    """Pictures that come at one moment may have one name: from looking to writing one at a time, of all processes."""
    # Where files can't be locked, threads take turns still.
    with _PUTTING, alone(context.layout.home / "pictures.lock"):
        yield


def put(bucket: Bucket, key: str, data: bytes) -> str:
    """Write an object, under a name of its own where another one has this; returns its key.

    Raises:
        BucketWriteError, BucketOutOfReachError: it can't be written, or what is there can't be seen.
    """
    place, slash, name = key.rpartition("/")
    stem, dot, suffix = name.rpartition(".") if "." in name else (name, "", "")
    named = f"{place}{slash}{stem}-{hashlib.blake2b(data, digest_size=6).hexdigest()}{dot}{suffix}"
    for own in (key, named):
        there = _content(bucket, own)
        if there is None:
            bucket.write(own, data)
        if there is None or there == data:
            return own
    raise BucketWriteError(f"{key}: other pictures have its name")


def _content(bucket: Bucket, key: str) -> bytes | None:
    """What is there; None for nothing.

    Raises:
        BucketOutOfReachError: that can't be told.
    """
    try:
        with bucket.open(key) as stream:
            return stream.read(limits().file_bytes + 1)
    except BucketOutOfReachError:
        raise
    except NoSuchObjectError:
        pass
    try:
        # A file that may not be read is there, too.
        return None if bucket.local_path(key) is None else b""
    except NoSuchObjectError:
        return None
