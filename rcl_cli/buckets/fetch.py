"""Images of buckets as local files."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
from pathlib import Path

from rcl_cli.buckets.base import Bucket, BucketOutOfReachError, NoSuchObjectError
from rcl_cli.buckets.resolve import Buckets, local_file
from rcl_cli.limits import limits
from rcl_cli.manifest.line import split_s3_url
from rcl_cli.regular import check_regular


class ImageTooBigError(NoSuchObjectError):
    """There is an image, and it is larger than any may be."""


class ImageFetcher:
    """Finds images as local files; those of S3 are downloaded once. Several threads may ask at once.

    Args:
        cache: where downloads go.
    """

    def __init__(self, buckets: Buckets, cache: Path) -> None:
        self._buckets, self._cache = buckets, cache
        self._found: dict[str, Bucket] = {}
        self._finding = threading.Lock()
        self._out_of_reach: set[str] = set()
        self._reached: set[str] = set()

    def misses_bucket(self) -> bool:
        """Whether a bucket gave no image at all since this was last asked, and not for want of these images."""
        missing = bool(self._out_of_reach - self._reached)
        self._out_of_reach, self._reached = set(), set()
        return missing

    def fetch(self, source_ref: str) -> Path:
        """The image as a file.

        Raises:
            NoSuchObjectError: it is not there or too large.
        """
        if path := local_file(source_ref):
            return self._checked_size(path)
        bucket_name, key = split_s3_url(source_ref) or ("", "")
        try:
            bucket = self._bucket(bucket_name)
        except NoSuchObjectError:
            self._out_of_reach.add(bucket_name)
            raise
        try:
            path = self._from_bucket(bucket, source_ref, key)
        except BucketOutOfReachError:
            self._out_of_reach.add(bucket_name)
            raise
        self._reached.add(bucket_name)
        return path

    def _bucket(self, name: str) -> Bucket:
        """One for all images of a name: a client of S3 takes a third of a second to make.

        Raises:
            NoSuchObjectError: there is no such bucket.
        """
        with self._finding:
            if name not in self._found:
                self._found[name] = self._buckets.get(name)
            return self._found[name]

    def _from_bucket(self, bucket: Bucket, source_ref: str, key: str) -> Path:
        local = bucket.local_path(key)
        if local is not None:
            return self._checked_size(local)
        if bucket.size(key) > limits().file_bytes:
            raise ImageTooBigError(f"{source_ref} is larger than {limits().file_bytes // 2**20} MB")
        target = self._cache / hashlib.sha256(source_ref.encode()).hexdigest()
        if not target.exists():
            self._cache.mkdir(parents=True, exist_ok=True)
            # A name of its own: two threads may want the same image, and the later one only does it again.
            handle, partial = tempfile.mkstemp(dir=self._cache, suffix=".part")
            try:
                with os.fdopen(handle, "wb") as out, bucket.open(key) as source:
                    shutil.copyfileobj(source, out)
                Path(partial).replace(target)
            except BaseException:
                Path(partial).unlink(missing_ok=True)
                raise
        return target

    @staticmethod
    def _checked_size(path: Path) -> Path:
        try:
            too_large = check_regular(path).st_size > limits().file_bytes
        except OSError as error:
            raise NoSuchObjectError(f"{path}: {error.strerror or error}") from error
        if too_large:
            raise ImageTooBigError(f"{path} is larger than {limits().file_bytes // 2**20} MB")
        return path
