"""Small projects to begin with, drawn on the spot: images and manifests."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from rcl_cli.buckets.base import NoSuchObjectError
from rcl_cli.buckets.resolve import is_bucket_name
from rcl_cli.context import Context
from rcl_cli.errors import RclError, UsageError

_NEW = 4
# Modules of `examples`, and how many training images each has unless another number is asked for.
EXAMPLES = {"rooms": 180, "flowers": 240, "logos": 16, "circuits": 160}


class Example(NamedTuple):
    """An example project.

    Args:
        bucket: that images are named after.
        training, testing, new: how many images there are; new ones are in no manifest.
        is_found: whether the bucket's name leads to the folder, as things are set.
        picture: one of the new ones.
    """

    folder: Path
    bucket: str
    training: int
    testing: int
    new: int
    is_found: bool
    picture: Path


def make_example(
    context: Context, name: str, folder: Path, *, seed: int = 7, training: int | None = None, testing: int = 40
) -> Example:
    """Make an example project in a folder.

    Args:
        name: of `EXAMPLES`.
        folder: empty, or not there yet; its name becomes the bucket's.
        seed: other seeds give other images.
        training: images; None for what the example needs.

    Raises:
        UsageError: the folder is not empty, or its name can't be a bucket's.
        RclError: it can't be written.
    """
    from rcl_cli.examples.drawing import make_project
    from rcl_cli.formats.writers import whole_folder

    bucket = folder.resolve().name
    if not is_bucket_name(bucket):
        raise UsageError(
            f"{folder}: the folder's name becomes the bucket's, and {bucket!r} can't be one: 3 to 255 letters, digits, "
            "dots, - and _."
        )
    counts = {"train": training or EXAMPLES[name], "test": testing, "new": _NEW}
    try:
        with whole_folder(folder) as partial:
            make_project(partial, bucket, import_module(f"rcl_cli.examples.{name}").pictures, counts, seed)
        picture = min((folder / "new").iterdir())
    except OSError as error:
        raise RclError(f"{folder} can't be written: {error.strerror or error}") from error
    return Example(folder, bucket, counts["train"], testing, _NEW, _is_found(context, folder, bucket), picture)


def _is_found(context: Context, folder: Path, bucket: str) -> bool:
    """Whether the bucket's name leads to the folder."""
    try:
        found = context.buckets.get(bucket).local_path("train.manifest")
    except NoSuchObjectError:
        return False
    return found is not None and found.resolve() == (folder / "train.manifest").resolve()
