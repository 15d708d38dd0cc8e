"""`rcl example`: small projects to begin with, drawn on the spot."""

from __future__ import annotations

import shlex
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rcl_cli.errors import RclError, UsageError

if TYPE_CHECKING:
    from rcl_cli.context import Context

_NEW = 4


# Modules of `examples`, and how many training images each has unless another number is asked for.
EXAMPLES = {"rooms": 180, "flowers": 240, "logos": 16, "circuits": 160}


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
    from rcl_cli.buckets.resolve import is_bucket_name
    from rcl_cli.examples.drawing import make_project

    bucket = folder.resolve().name
    count = train or EXAMPLES[name]
    if not is_bucket_name(bucket):
        raise UsageError(
            f"{folder}: the folder's name becomes the bucket's, and {bucket!r} can't be one: 3 to 255 letters, digits, "
            "dots, - and _."
        )
    try:
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(f"{folder} is not an empty folder: choose another one.")
        pictures = import_module(f"rcl_cli.examples.{name}").pictures
        make_project(folder, bucket, pictures, {"train": count, "test": test, "new": _NEW}, seed)
    except OSError as error:
        raise RclError(f"{folder} can't be written: {error.strerror or error}") from error
    click.echo(
        f"{folder}: {count} training and {test} test images with train.manifest and test.manifest for s3://{bucket}/, "
        f"and {_NEW} new images.\nNext:\n"
        + "".join(f"  {line}\n" for line in _next(settings.context(), folder, bucket)),
        err=True,
        nl=False,
    )


def _next(context: Context, folder: Path, bucket: str) -> list[str]:
    """The commands that make a model of it."""
    lines = []
    if not _is_found(context, folder, bucket):
        lines.append(f"export RCL_BUCKETS_DIR={shlex.quote(str(folder.resolve().parent))}")
    picture = next(iter(sorted((folder / "new").iterdir())))
    where = shlex.quote(str(folder))
    return [
        *lines,
        f"rcl dataset show {where}",
        f"rcl train {where} --name {shlex.quote(bucket)}",
        f"rcl detect {shlex.quote(bucket)} {shlex.quote(str(picture))} --draw found.png",
    ]


def _is_found(context: Context, folder: Path, bucket: str) -> bool:
    """Whether the bucket's name leads to the folder."""
    from rcl_cli.buckets.base import NoSuchObjectError

    try:
        found = context.buckets.get(bucket).local_path("train.manifest")
    except NoSuchObjectError:
        return False
    return found is not None and found.resolve() == (folder / "train.manifest").resolve()
