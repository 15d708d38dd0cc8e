"""`rcl export`: a trained model, to run without rcl."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rcl_cli.backends.exports.names import FORMS
from rcl_cli.cli.terminal import say


@click.command()
@click.argument("version")
@click.option("--format", "form", required=True, type=click.Choice(FORMS), help="What to write.")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="An empty folder, or a new one.")
@click.pass_obj
def export(settings: Any, version: str, form: str, out: Path) -> None:
    """Take a trained model away, to run it without rcl.

    The folder has the model, its labels, preprocessing and thresholds, and run.py, a short script that needs numpy,
    pillow and one runtime. At the end the script is tried on the test images. coreml needs a Mac to run, tensorrt a GPU
    to be made. VERSION is an ARN, PROJECT/VERSION, or a PROJECT, for its latest version.

    Example: rcl export circuits/v1 --format onnx -o circuits-onnx
    """
    from rcl_cli.cli.local.showing import Shown
    from rcl_cli.local.models.exporting import export_model
    from rcl_cli.local.models.watching import named_version

    context = settings.context()
    with Shown() as shown:
        export_model(context, named_version(context, version), form, out, shown)
    say(str(out))
