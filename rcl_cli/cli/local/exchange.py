"""`rcl pull` and `rcl push`: datasets from and to another account."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from rcl_cli.errors import UsageError

if TYPE_CHECKING:
    from rcl_cli.context import Context
    from rcl_cli.formats.record import Notes
    from rcl_cli.local.exchange.remote import Outcome, Remote


def _remote_options(command: Callable[..., None]) -> Callable[..., None]:
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


def _remote(
    context: Context, endpoint_url: str | None, s3_endpoint_url: str | None, region: str | None, profile: str | None,
    no_sign_request: bool,
) -> Remote:  # fmt: skip
    from rcl_cli.buckets.s3 import S3Bucket
    from rcl_cli.cli.aws.remote import make_call
    from rcl_cli.local.exchange.remote import Remote

    given = argparse.Namespace(
        endpoint_url=endpoint_url, region=region, profile=profile, no_sign_request=no_sign_request, debug=False,
        cli_read_timeout=None, cli_connect_timeout=None, no_verify_ssl=False, ca_bundle=None,
    )  # fmt: skip
    call = make_call(given)
    s3_url = s3_endpoint_url or context.config.s3_endpoint_url
    # A profile has a region of its own, for both.
    s3_region = region or (None if profile else context.region)
    return Remote(call, lambda name: S3Bucket(name, s3_region, s3_url, profile))


@click.command()
@click.argument("project")
@click.option("--to", metavar="NAME", help="The project's name here.  [default: as there]")
@click.option("--images/--no-images", default=True, help="Whether images are fetched too.  [default: images]")
@_remote_options
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
    from rcl_cli.cli.local.dataset import counting
    from rcl_cli.formats.record import Notes
    from rcl_cli.local.exchange.pulling import pull as bring
    from rcl_cli.local.exchange.remote import project_name_of, region_of

    context: Context = settings.context()
    there = region or region_of(project)
    remote = _remote(context, endpoint_url, s3_endpoint_url, there, profile, no_sign_request)
    name = to or project_name_of(project)
    notes = Notes()
    with counting("images") as step:
        done = bring(context, remote, project, name, with_images=images, notes=notes, step=step)
    _tell(done, notes, "fetched", "rcl")
    click.echo(f"Next: rcl train --name {name}", err=True)


@click.command()
@click.argument("source")
@click.option("--bucket", required=True, metavar="BUCKET", help="The S3 bucket that images and manifests go into.")
@click.option("--prefix", default="rcl", show_default=True, metavar="PREFIX", help="Of all keys in it.")
@click.option("--to", metavar="NAME", help="The project's name there.  [default: as here]")
@_remote_options
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
    from rcl_cli.cli.local.dataset import counting
    from rcl_cli.formats.record import Notes
    from rcl_cli.local.exchange.pushing import Place
    from rcl_cli.local.exchange.pushing import push as bring
    from rcl_cli.local.exchange.remote import project_name_of

    if not bucket.strip():
        raise UsageError("--bucket needs the name of an S3 bucket.")
    context: Context = settings.context()
    remote = _remote(context, endpoint_url, s3_endpoint_url, region, profile, no_sign_request)
    name = to or project_name_of(source)
    place = Place(bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else "")
    notes = Notes()
    with counting("images") as step:
        done = bring(context, remote, source, name, place, notes, step)
    _tell(done, notes, "uploaded", "aws rekognition")


def _tell(done: Outcome, notes: Notes, moved: str, program: str) -> None:
    """What was done, on stderr; the new datasets, on stdout."""
    from rcl_cli.cli.local.train import tell_call

    for call in done.called:
        tell_call(call.operation, call.params, program)
    counts = ", ".join(f"{count} {part}" for part, count in done.entries.items())
    click.echo(f"Entries: {counts}. Images: {done.moved} {moved}, {done.kept} there already.", err=True)
    for line in notes.lines():
        click.echo(line, err=True)
    for call in done.called:
        if call.operation == "CreateDataset":
            click.echo(str(call.result["DatasetArn"]))
