"""`rcl push`: datasets to another account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rcl_cli.cli.local.account import remote_of, remote_options
from rcl_cli.cli.terminal import say

if TYPE_CHECKING:
    from rcl_cli.context import Context


@click.command()
@click.argument("source")
@click.option("--bucket", required=True, metavar="BUCKET", help="The S3 bucket that images and manifests go into.")
@click.option("--prefix", default="rcl", show_default=True, metavar="PREFIX", help="Of all keys in it.")
@click.option("--to", metavar="NAME", help="The project's name there.  [default: as here]")
@remote_options
@click.pass_obj
def push(
    settings: Any, source: str, bucket: str, prefix: str, to: str | None, endpoint_url: str | None,
    s3_endpoint_url: str | None, region: str | None, profile: str | None, no_sign_request: bool,
) -> None:  # fmt: skip
    """Bring a project's datasets into an AWS account, with their images.

    The project is made there if need be. Images that do not lie in the bucket yet are put into it, each once however
    often it is pushed. Amazon bills for storage and requests. SOURCE is a project's name, PROJECT/train, or a dataset's
    ARN.

    Example: rcl push circuits --bucket my-images --region eu-west-1
    """
    from rcl_cli.cli.local.showing import Shown
    from rcl_cli.local.exchange.pushing import Place
    from rcl_cli.local.exchange.pushing import push as bring

    place = Place(bucket, prefix)
    context: Context = settings.context()
    remote = remote_of(context, endpoint_url, s3_endpoint_url, region, profile, no_sign_request)
    with Shown() as shown:
        bring(context, remote, source, to, place, shown)
    for arn in shown.made:
        say(arn)
