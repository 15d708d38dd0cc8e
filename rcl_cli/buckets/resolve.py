"""From a bucket's name to the bucket: the config's map, then local folders, then S3 where it is allowed."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote_to_bytes

from rcl_cli.buckets.base import Bucket, NoSuchObjectError
from rcl_cli.buckets.local import LocalBucket
from rcl_cli.buckets.s3 import S3Bucket
from rcl_cli.config import Config

_FILE_URL = "file:///"
_NAME = re.compile(r"[0-9A-Za-z_\-][0-9A-Za-z.\-_]{2,254}")


def is_bucket_name(name: str) -> bool:
    """Whether a bucket can have this name: 3 to 255 letters, digits, dots, `-` and `_`."""
    return bool(_NAME.fullmatch(name))


# Credentials that were changed meanwhile are to be used some day, without a restart.
_CLIENT_S = 600.0


@dataclass(frozen=True, slots=True)
class Buckets:
    """All buckets that a context can reach.

    Args:
        home: what relative folders of the map are relative to.
        folders: where a folder per bucket lies; later ones are looked at only if earlier ones lack the bucket.
        mapped: bucket name to a folder, or to `s3`.
        s3_fallback: ask S3 for buckets that are neither mapped nor local.
    """

    home: Path
    folders: tuple[Path, ...]
    region: str
    mapped: Mapping[str, str] = field(default_factory=dict)
    s3_fallback: bool = False
    s3_endpoint_url: str | None = None

    def get(self, name: str) -> Bucket:
        """The bucket of that name.

        Raises:
            NoSuchObjectError: there is none.
        """
        target = self.mapped.get(name)
        if target == "s3":
            return _s3(name, self.region, self.s3_endpoint_url)
        if target is not None:
            return LocalBucket(self.home / target)
        if not is_bucket_name(name):
            raise NoSuchObjectError(name)
        for folder in self.folders:
            if (folder / name).is_dir():
                return LocalBucket(folder / name)
        if self.s3_fallback:
            return _s3(name, self.region, self.s3_endpoint_url)
        raise NoSuchObjectError(name)

    def for_output(self, name: str) -> Bucket:
        """The bucket of that name; a local one is made where there is none.

        Raises:
            NoSuchObjectError: the name can't be a folder.
        """
        try:
            return self.get(name)
        except NoSuchObjectError:
            folder = self.new_folder(name)
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise NoSuchObjectError(f"{folder}: {error.strerror or error}") from error
            return LocalBucket(folder)

    def new_folder(self, name: str) -> Path:
        """Where a bucket that is not there would be made.

        Raises:
            NoSuchObjectError: the name can't be a folder.
        """
        if not is_bucket_name(name):
            raise NoSuchObjectError(name)
        return self.folders[0] / name


def _s3(name: str, region: str, endpoint_url: str | None) -> S3Bucket:
    """A bucket of S3, whose client serves many requests: making one takes as long as fetching several images."""
    return _kept(name, region, endpoint_url, int(time.monotonic() / _CLIENT_S))


@lru_cache(maxsize=64)
def _kept(name: str, region: str, endpoint_url: str | None, _age: int) -> S3Bucket:
    return S3Bucket(name, region, endpoint_url)


def make_buckets(home: Path, config: Config) -> Buckets:
    """The buckets that a home's config gives."""
    return Buckets(
        home, config.bucket_folders, config.region, config.buckets, config.s3_fallback, config.s3_endpoint_url
    )


def local_file(url: str) -> Path | None:
    """The path of a `file:///` source-ref, None for other URLs and where no file can have the name.

    Everything behind `file://` is the path, `#` and `?` too: names have them, and manifests do not always encode them.
    """
    if not url.startswith(_FILE_URL):
        return None
    try:
        name = os.fsdecode(unquote_to_bytes(os.fsencode(url.removeprefix("file://"))))
    except UnicodeEncodeError:
        return None
    return None if "\0" in name else Path(name)
