"""`rcl logs`: what a training or a host writes."""

from __future__ import annotations

from typing import Any

import click

from rcl_cli.cli.terminal import say


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
    from rcl_cli.local.models.watching import log_of

    for chunk in log_of(settings.context(), version, host=host, follow=follow):
        say(chunk, end="")
