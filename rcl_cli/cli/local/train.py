"""`rcl train`: from a folder of pictures to a running model in one command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from rcl_cli.cli.terminal import say
from rcl_cli.errors import UsageError
from rcl_cli.formats.registry import FORMATS


@click.command()
@click.argument("source", required=False, type=click.Path(path_type=Path))
@click.option("--name", metavar="NAME", help="The project's name; without it, that of the folder or file.")
@click.option("--format", "form", type=click.Choice(tuple(FORMATS)), help="Found out if it is not given.")
@click.option(
    "--images",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder to look for images in, if they lie elsewhere than the files say.",
)
@click.option("--set", "settings_given", multiple=True, metavar="OPTION=VALUE", help="A training option: epochs=50.")
@click.option(
    "--quality", type=click.Choice(("fast", "auto", "best")),
    help="fast: a third of the epochs. best: recipes compete, and the best one trains to the end.",
)  # fmt: skip
@click.option("--for", "wanted", type=click.Choice(("accuracy", "speed")), help="What a contest is won by.")
@click.option("--report/--no-report", default=True, help="Whether a page about it is written.  [default: report]")
@click.option("--start/--no-start", default=True, help="Whether the model is started.  [default: start]")
@click.pass_obj
def train(
    settings: Any, source: Path | None, name: str | None, form: str | None, images: Path | None,
    settings_given: tuple[str, ...], quality: str | None, wanted: str | None, report: bool, start: bool,
) -> None:  # fmt: skip
    """Train a model from a folder of pictures, a manifest or an export, and start it.

    SOURCE is whatever `rcl dataset import` reads; without it, the datasets of --name are trained on again. The calls of
    the API that are made are printed, to be repeated in scripts. Ctrl-C only stops watching.

    Example: rcl train ./photos --name pets
    """
    from rcl_cli.cli.local.showing import Shown
    from rcl_cli.local.models.training import Request
    from rcl_cli.local.models.training import train as train_model

    named = {"quality": quality, "prefer": wanted}
    options = {**_options(settings_given), **{option: value for option, value in named.items() if value}}
    request = Request(source, name, form, images, options, report, start)
    with Shown() as shown:
        version_arn = train_model(settings.context(), request, shown)
    say(version_arn)


def _options(given: Sequence[str]) -> dict[str, str]:
    """Training options from `name=value` words."""
    found = {}
    for text in given:
        option, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text}: it must be OPTION=VALUE, such as epochs=50.")
        found[option.strip()] = value
    return found
