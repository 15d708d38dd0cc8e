"""A bucket of Amazon S3 or of a server that speaks its protocol, through boto3."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO, cast

from rcl_cli.buckets.base import BucketWriteError, NoSuchObjectError


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
        except (ClientError, BotoCoreError) as error:
            raise NoSuchObjectError(str(error)) from error

    def open(self, key: str) -> BinaryIO:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            body = self._client.get_object(Bucket=self._name, Key=key)["Body"]
        except (ClientError, BotoCoreError) as error:
            raise NoSuchObjectError(str(error)) from error
        return cast(BinaryIO, body)

    def local_path(self, key: str) -> Path | None:
        self.size(key)
        return None

    def write(self, key: str, data: bytes) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client.put_object(Bucket=self._name, Key=key, Body=data)
        except (ClientError, BotoCoreError) as error:
            raise BucketWriteError(str(error)) from error
