"""`rcl logs`: what a training or a host writes."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from rcl_cli.errors import UsageError
from rcl_cli.status import VersionStatus

if TYPE_CHECKING:
    from rcl_cli.context import Context

_POLL_S = 0.3


@click.command()
@click.argument("version")
@click.option("-f", "--follow", is_flag=True, help="Keep printing until the training ends.")
@click.option("--host", is_flag=True, help="The model host's log instead of the training's.")
@click.pass_obj
def logs(settings: Any, version: str, follow: bool, host: bool) -> None:
    """Show the log of a model's training or host.

    VERSION is an ARN, or PROJECT/VERSION.

    Example: rcl logs circuits/v1 --follow
    """
    from rcl_cli.local.models.watching import log_of, named_version

    context: Context = settings.context()
    found = named_version(context, version)
    path = log_of(context, found, host=host)
    if not path.exists():
        raise UsageError(f"There is no log of {version} yet.")
    with path.open(encoding="utf-8", errors="replace") as log:
        while True:
            while chunk := log.read(1 << 16):
                sys.stdout.write(chunk)
            sys.stdout.flush()
            if not follow or named_version(context, version).status not in (
                VersionStatus.TRAINING_IN_PROGRESS,
                VersionStatus.STARTING,
            ):
                return
            time.sleep(_POLL_S)
