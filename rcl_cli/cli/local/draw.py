"""`rcl draw`: boxes and labels of an answer on its image."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from rcl_cli.cli.terminal import say


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
    from rcl_cli.local.detecting.drawing import draw_answer

    def answer() -> str:
        return sys.stdin.read() if labels_file == "-" else Path(labels_file).read_text("utf-8")

    say(f"{out}: {draw_answer(image, answer, out)} label(s) drawn", err=True)
