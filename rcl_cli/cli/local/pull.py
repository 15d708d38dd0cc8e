"""`rcl pull`: datasets from another account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rcl_cli.cli.local.account import remote_of, remote_options
from rcl_cli.cli.terminal import say

if TYPE_CHECKING:
    from rcl_cli.context import Context


@click.command()
@click.argument("project")
@click.option("--to", metavar="NAME", help="The project's name here.  [default: as there]")
@click.option("--images/--no-images", default=True, help="Whether images are fetched too.  [default: images]")
@remote_options
@click.pass_obj
def pull(
    settings: Any, project: str, to: str | None, images: bool, endpoint_url: str | None, s3_endpoint_url: str | None,
    region: str | None, profile: str | None, no_sign_request: bool,
) -> None:  # fmt: skip
    """Bring a project's datasets from an AWS account, with their images.

    Images keep their s3:// names and lie in local buckets of the same names afterwards; what is there already is not
    fetched again. Models can't be brought: Amazon does not hand them out. PROJECT is a name or an ARN there.

    Example: rcl pull circuits --profile work --region eu-west-1
    """
    from rcl_cli.cli.local.showing import Shown
    from rcl_cli.local.exchange.pulling import pull as bring
    from rcl_cli.local.exchange.remote import region_of

    context: Context = settings.context()
    there = region or region_of(project)
    remote = remote_of(context, endpoint_url, s3_endpoint_url, there, profile, no_sign_request)
    with Shown() as shown:
        name = bring(context, remote, project, to, with_images=images, tell=shown)
    for arn in shown.made:
        say(arn)
    say(f"Next: rcl train --name {name}", err=True)
