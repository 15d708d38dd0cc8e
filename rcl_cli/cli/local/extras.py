"""Local extras: commands that the aws CLI does not have."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rcl_cli.errors import UsageError

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
            if not follow or named_version(context, version).status not in ("TRAINING_IN_PROGRESS", "STARTING"):
                return
            time.sleep(_POLL_S)


@click.command()
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--labels",
    "labels_file",
    required=True,
    metavar="FILE",
    help="Output of detect-custom-labels; - reads it from stdin.",
)
@click.option(
    "-o", "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="PNG or JPEG to write."
)
def draw(image: Path, labels_file: str, out: Path) -> None:
    """Draw detected boxes and labels into an image.

    Example: rcl detect-custom-labels … --image-bytes fileb://board.jpg | rcl draw board.jpg --labels - -o found.png
    """
    from rcl_cli.render.boxes import draw_labels

    if out.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UsageError(f"--out {out}: the name must end in .png or .jpg")
    try:
        text = sys.stdin.read() if labels_file == "-" else Path(labels_file).read_text("utf-8")
        labels = json.loads(text)["CustomLabels"]
        count = draw_labels(image, labels, out)
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError("--labels needs the JSON that detect-custom-labels prints.") from error
    except OSError as error:
        raise UsageError(f"{error.filename or out}: {error.strerror or error}") from error
    click.echo(f"{out}: {count} label(s) drawn", err=True)
