"""`rcl report`: how good a trained version is, on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rcl_cli.cli.terminal import say


@click.command()
@click.argument("version")
@click.option(
    "-o", "--out", type=click.Path(dir_okay=False, path_type=Path),
    help="HTML file to write.  [default: PROJECT-VERSION-report.html]",
)  # fmt: skip
@click.pass_obj
def report(settings: Any, version: str, out: Path | None) -> None:
    """Write a page about how good a trained version is.

    Figures of each label with a threshold to move, precision over recall, what was taken for what, the surest mistakes,
    what was missed and what was least sure, training curves, settings, and the fingerprint of the data: one HTML file
    that needs no network. VERSION is an ARN, PROJECT/VERSION, or a PROJECT, for its latest version.

    Example: rcl report circuits/v1 -o circuits.html
    """
    from rcl_cli.local.models.report import write_report
    from rcl_cli.local.models.watching import named_version

    context = settings.context()
    say(str(write_report(context, named_version(context, version), out)))
