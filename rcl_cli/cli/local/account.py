"""What `rcl pull` and `rcl push` share: where the other account is."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rcl_cli.context import Context
    from rcl_cli.local.exchange.remote import Remote


def remote_options(command: Callable[..., None]) -> Callable[..., None]:
    """Where the other account is, and who asks."""
    for option in (
        click.option("--no-sign-request", is_flag=True, help="Call the API unsigned: an rcl serve without keys."),
        click.option("--s3-endpoint-url", metavar="URL", help="Another S3 than the one in config.yaml, or Amazon's."),
        click.option("--endpoint-url", metavar="URL", help="Another account than Amazon's: an rcl serve."),
        click.option("--region", metavar="REGION", help="Of the account there."),
        click.option("--profile", metavar="NAME", help="Of the AWS config: whose credentials are used."),
    ):
        command = option(command)
    return command


def remote_of(
    context: Context, endpoint_url: str | None, s3_endpoint_url: str | None, region: str | None, profile: str | None,
    no_sign_request: bool,
) -> Remote:  # fmt: skip
    from rcl_cli.buckets.s3 import S3Bucket
    from rcl_cli.cli.aws.remote import make_call
    from rcl_cli.cli.aws.surroundings import TIMEOUT_S
    from rcl_cli.local.exchange.remote import Remote

    given = argparse.Namespace(
        endpoint_url=endpoint_url, region=region, profile=profile, no_sign_request=no_sign_request, debug=False,
        cli_read_timeout=TIMEOUT_S, cli_connect_timeout=TIMEOUT_S, no_verify_ssl=False, ca_bundle=None,
    )  # fmt: skip
    call = make_call(given)
    s3_url = s3_endpoint_url or context.config.s3_endpoint_url
    # A profile has a region of its own, for both.
    s3_region = region or (None if profile else context.region)
    return Remote(call, lambda name: S3Bucket(name, s3_region, s3_url, profile))
