"""`rcl example`: small projects to begin with, drawn on the spot."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from rcl_cli.cli.terminal import say
from rcl_cli.local.datasets.examples import EXAMPLES, Example, make_example


@click.command()
@click.argument("name", type=click.Choice(tuple(EXAMPLES)))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--seed", type=click.IntRange(0), default=7, show_default=True, help="Other seeds give other images.")
@click.option("--train", type=click.IntRange(1), help="Training images.  [default: what the example needs]")
@click.option("--test", type=click.IntRange(1), default=40, show_default=True, help="Test images.")
@click.pass_obj
def example(settings: Any, name: str, folder: Path, seed: int, train: int | None, test: int) -> None:
    """Make an example project: images and manifests, and say what to do with them.

    rooms: image classification, a label an image. flowers: several labels an image. logos: brand detection, from logos
    alone to scenes. circuits: boards with boxes around their parts. FOLDER becomes a bucket's folder, and its last part
    the bucket's name.

    Example: rcl example circuits ./buckets/circuits
    """
    made = make_example(settings.context(), name, folder, seed=seed, training=train, testing=test)
    say(
        f"{folder}: {made.training} training and {made.testing} test images with train.manifest and test.manifest for "
        f"s3://{made.bucket}/, and {made.new} new images.\nNext:\n" + "".join(f"  {line}\n" for line in _next(made)),
        err=True,
        end="",
    )


def _next(made: Example) -> list[str]:
    """The commands that make a model of it."""
    where, bucket = shlex.quote(str(made.folder)), shlex.quote(made.bucket)
    lines = [] if made.is_found else [f"export RCL_BUCKETS_DIR={shlex.quote(str(made.folder.resolve().parent))}"]
    return [
        *lines,
        f"rcl dataset show {where}",
        f"rcl train {where} --name {bucket}",
        f"rcl detect {bucket} {shlex.quote(str(made.picture))} --draw found.png",
    ]
