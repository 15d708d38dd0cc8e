"""A bucket of Amazon S3 or of a server that speaks its protocol, through boto3."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from rcl_cli.buckets.base import BucketOutOfReachError, BucketWriteError, NoSuchObjectError

_SPOOL_BYTES = 16 * 2**20


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


class S3Bucket:
    """Objects behind an S3 API; credentials come from boto3's own chain.

    Args:
        name: the bucket.
        region: None for the one of the profile.
        endpoint_url: None for AWS.
        profile: of the AWS config; None for the one in use.
    """

    def __init__(self, name: str, region: str | None, endpoint_url: str | None, profile: str | None = None) -> None:
        self._name, self._region, self._endpoint_url, self._profile = name, region, endpoint_url, profile
        self._made: Any = None
        self._making = threading.Lock()

    @property
    def _client(self) -> Any:
        with self._making:
            if self._made is None:
                import boto3

                session = boto3.Session(profile_name=self._profile)
                self._made = session.client("s3", region_name=self._region, endpoint_url=self._endpoint_url)
            return self._made

    def size(self, key: str, version: str | None = None) -> int:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return int(self._client.head_object(**self._named(key, version))["ContentLength"])
        except (ClientError, BotoCoreError, ValueError) as error:
            raise self._missing(error) from error

    def _named(self, key: str, version: str | None) -> dict[str, str]:
        named = {"Bucket": self._name, "Key": key}
        return named if version is None else {**named, "VersionId": version}

    def _missing(self, error: Exception) -> NoSuchObjectError:
        """What an error says of the bucket: an answer to HEAD does not tell a missing key from a missing bucket."""
        from botocore.exceptions import BotoCoreError, ClientError

        if isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") in ("404", "NoSuchKey"):
            try:
                self._client.head_bucket(Bucket=self._name)
            except (ClientError, BotoCoreError):
                return BucketOutOfReachError(_one_line(error))
            return NoSuchObjectError(_one_line(error))
        return BucketOutOfReachError(_one_line(error))

    def open(self, key: str, version: str | None = None) -> BinaryIO:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        extra = {} if version is None else {"VersionId": version}
        # Fetched whole: botocore's stream reads lines byte by byte, and may break off at any of them.
        spool = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115 - the caller closes it
        try:
            self._client.download_fileobj(self._name, key, spool, ExtraArgs=extra)
        except (ClientError, BotoCoreError, ValueError, Boto3Error) as error:
            spool.close()
            raise self._missing(error) from error
        spool.seek(0)
        return cast(BinaryIO, spool)

    def children(self, prefix: str) -> Iterator[str]:
        for page in self._pages(Prefix=prefix, Delimiter="/"):
            found = [one["Key"] for one in page.get("Contents", [])]
            found += [one["Prefix"] for one in page.get("CommonPrefixes", [])]
            yield from sorted(found)

    def keys(self, prefix: str) -> Iterator[str]:
        for page in self._pages(Prefix=prefix):
            yield from (one["Key"] for one in page.get("Contents", []))

    def _pages(self, **wanted: str) -> Iterator[dict[str, Any]]:
        """A listing's pages.

        Raises:
            NoSuchObjectError: the bucket is out of reach.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield from self._client.get_paginator("list_objects_v2").paginate(Bucket=self._name, **wanted)
        except (ClientError, BotoCoreError, ValueError) as error:
            raise self._missing(error) from error

    def local_path(self, key: str) -> Path | None:
        self.size(key)
        return None

    def write(self, key: str, data: bytes) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client.put_object(Bucket=self._name, Key=key, Body=data)
        except (ClientError, BotoCoreError, ValueError) as error:
            raise BucketWriteError(_one_line(error)) from error

    def write_file(self, key: str, source: Path) -> None:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client.upload_file(str(source), self._name, key)
        except (ClientError, BotoCoreError, ValueError, Boto3Error) as error:
            raise BucketWriteError(_one_line(error)) from error

    def read(self, key: str, most_bytes: int) -> bytes | None:
        """An object in one request; None where it is larger.

        Raises:
            NoSuchObjectError: it is not there.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._client.get_object(Bucket=self._name, Key=key)
            with answer["Body"] as body:
                return None if answer["ContentLength"] > most_bytes else bytes(body.read())
        except (ClientError, BotoCoreError, ValueError) as error:
            raise self._missing(error) from error
