"""A bucket of Amazon S3 or of a server that speaks its protocol, through boto3."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, BinaryIO, cast

from rcl_cli.buckets.base import BucketWriteError, NoSuchObjectError

_SPOOL_BYTES = 16 * 2**20


class S3Bucket:
    """Objects behind an S3 API; credentials come from boto3's own chain.

    Args:
        name: the bucket.
        endpoint_url: None for AWS.
    """

    def __init__(self, name: str, region: str, endpoint_url: str | None) -> None:
        self._name, self._region, self._endpoint_url = name, region, endpoint_url
        self._made: Any = None

    @property
    def _client(self) -> Any:
        if self._made is None:
            import boto3

            self._made = boto3.client("s3", region_name=self._region, endpoint_url=self._endpoint_url)
        return self._made

    def size(self, key: str) -> int:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return int(self._client.head_object(Bucket=self._name, Key=key)["ContentLength"])
        except (ClientError, BotoCoreError, ValueError) as error:
            raise NoSuchObjectError(str(error)) from error

    def open(self, key: str) -> BinaryIO:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        # Fetched whole: botocore's stream reads lines byte by byte, and may break off at any of them.
        spool = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115 - the caller closes it
        try:
            self._client.download_fileobj(self._name, key, spool)
        except (ClientError, BotoCoreError, ValueError, Boto3Error) as error:
            spool.close()
            raise NoSuchObjectError(str(error)) from error
        spool.seek(0)
        return cast(BinaryIO, spool)

    def local_path(self, key: str) -> Path | None:
        self.size(key)
        return None

    def write(self, key: str, data: bytes) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client.put_object(Bucket=self._name, Key=key, Body=data)
        except (ClientError, BotoCoreError, ValueError) as error:
            raise BucketWriteError(str(error)) from error
