"""What the global options, the environment and the profile say together."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rcl_cli import profiles
from rcl_cli.cli.aws.output import compiled
from rcl_cli.cli.aws.params import PlainError
from rcl_cli.errors import ConfigError, UsageError

if TYPE_CHECKING:
    import argparse

TIMEOUT_S = 60


def judge(values: argparse.Namespace) -> None:
    """Judge what the aws CLI judges before all else; afterwards timeouts are seconds, None to wait for ever.

    Raises:
        ConfigError: the profile writes times as nobody knows.
        UsageError: `--query` is no JMESPath expression, `--endpoint-url` no URL.
        PlainError: a timeout is no number of seconds.
    """
    timestamp_format(values)
    if values.query is not None:
        compiled(values.query)
    if values.endpoint_url and ":" not in values.endpoint_url:
        raise UsageError(
            f'Bad value for --endpoint-url "{values.endpoint_url}": scheme is missing.  Must be of the form '
            "http://<hostname>/ or https://<hostname>/"
        )
    values.cli_read_timeout = _seconds("read", values.cli_read_timeout)
    values.cli_connect_timeout = _seconds("connect", values.cli_connect_timeout)


def complete(values: argparse.Namespace) -> None:
    """Fill in the region and the endpoint that no option says.

    Raises:
        ProfileError: the profile's services section is not there.
    """
    values.region = values.region or (profiles.region(os.environ, values.profile) if values.profile else None)
    values.endpoint_url = values.endpoint_url or profiles.endpoint_url(os.environ, values.profile)


def timestamp_format(values: argparse.Namespace) -> str:
    """`iso8601`, or `wire`, as the profile says.

    Raises:
        ConfigError: it says something else.
    """
    said = profiles.setting("cli_timestamp_format", profile=values.profile)
    if said not in (None, "iso8601", "wire"):
        raise ConfigError(f'Unknown cli_timestamp_format value: {said}, valid values are "wire" or "iso8601"')
    return said or "iso8601"


def _seconds(kind: str, text: str | None) -> int | None:
    if text is None:
        return TIMEOUT_S
    try:
        seconds = int(text)
    except ValueError as error:
        raise PlainError(str(error)) from error
    if seconds < 0:
        raise PlainError(
            f"Attempted to set {kind} timeout to {seconds}, but the timeout cannot be set to a value less than or "
            "equal to 0."
        )
    return seconds or None
