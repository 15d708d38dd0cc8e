"""A real `rcl serve` as a process, for tests that talk to it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import Home


@contextmanager
def serving(home: Home, *words: str, stderr: Path | None = None, **more: str) -> Iterator[tuple[str, int]]:
    """(URL, pid) of a server that is stopped by SIGTERM at the end, and must then have ended well."""
    command = [sys.executable, "-m", "rcl_cli", "serve", "--port", "0", *words]
    with (
        (stderr or home.path / "serve.log").open("w") as errors,
        subprocess.Popen(
            command, env=home.environment(**more), stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("rcl serve: listening on http://"), (home.path / "serve.log").read_text()
        try:
            yield line.split()[-1], process.pid
            assert process.poll() is None, "the server has ended by itself"
        finally:
            process.terminate()
            assert process.wait(60) == 0


def client(url: str, **more: Any) -> Any:
    """A boto3 client that has no settings of the developer's."""
    import boto3
    from botocore.config import Config

    config = Config(retries={"total_max_attempts": 1}, **more.pop("config", {}))
    keys = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    return boto3.Session().client("rekognition", endpoint_url=url, config=config, **keys | more)
