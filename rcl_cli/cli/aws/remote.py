"""The `Call` door through botocore: with an endpoint, rcl is a client of another `rcl serve`, or of AWS."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rcl_cli.cli.aws.paging import Call
from rcl_cli.cli.aws.params import PlainError
from rcl_cli.cli.terminal import Stderr
from rcl_cli.config import DEFAULT_REGION
from rcl_cli.errors import NoCredentials, RemoteError


def _verify(values: argparse.Namespace) -> bool | str | None:
    return False if values.no_verify_ssl else values.ca_bundle


def make_call(values: argparse.Namespace) -> Call:
    """A call that sends requests to the endpoint, signed with the profile's credentials.

    Raises:
        PlainError: the URL or the profile makes no sense.
    """
    import botocore.session
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    if values.debug:
        logging.basicConfig(stream=Stderr(), level=logging.DEBUG)
    config = Config(
        signature_version=UNSIGNED if values.no_sign_request else None,
        read_timeout=values.cli_read_timeout,
        connect_timeout=values.cli_connect_timeout,
        # As the aws CLI version 2 has it: three attempts.
        retries={"mode": "standard", "total_max_attempts": 3},
        parameter_validation=False,
        user_agent_extra="rcl",
    )
    session = botocore.session.Session(profile=values.profile)
    try:
        region = values.region or os.environ.get("AWS_REGION") or session.get_config_variable("region")
        region = region or DEFAULT_REGION
        client = session.create_client(
            "rekognition", region_name=region, endpoint_url=values.endpoint_url, config=config, verify=_verify(values)
        )
    except (BotoCoreError, ValueError) as error:
        raise PlainError(str(error)) from error
    return lambda operation, params: _sent(client, operation, params)


def _sent(client: Any, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """One request.

    Raises:
        RemoteError: what the service answered.
        NoCredentials: there is nothing to sign with.
        PlainError: there was no answer.
    """
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        response: dict[str, Any] = client._make_api_call(operation, dict(params))
    except ClientError as error:
        details = error.response.get("Error", {})
        metadata = error.response.get("ResponseMetadata", {})
        retries = metadata.get("RetryAttempts") if metadata.get("MaxAttemptsReached") else None
        raise RemoteError(details.get("Code", "Unknown"), details.get("Message", ""), retries) from error
    except NoCredentialsError as error:
        raise NoCredentials(
            "Unable to locate credentials. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use --no-sign-request."
        ) from error
    except (BotoCoreError, ValueError) as error:
        raise PlainError(str(error)) from error
    response.pop("ResponseMetadata", None)
    plain: dict[str, Any] = _plain(response)
    return plain


def _plain(value: Any) -> Any:
    """Timestamps as epoch seconds, as the local door gives them."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.timestamp() if isinstance(value, datetime) else value
