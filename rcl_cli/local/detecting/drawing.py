"""Answers drawn into their images."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from rcl_cli.buckets.base import NoSuchObjectError
from rcl_cli.buckets.resolve import local_file
from rcl_cli.errors import UsageError
from rcl_cli.local.detecting.sources import read_image
from rcl_cli.local.writing import write_file
from rcl_cli.manifest.line import split_s3_url
from rcl_cli.render.boxes import draw_labels

if TYPE_CHECKING:
    from rcl_cli.context import Context
    from rcl_cli.local.detecting.asking import Answer

_SUFFIXES = (".png", ".jpg", ".jpeg")


def draw_answer(image: Path, answer: Callable[[], str], out: Path) -> int:
    """Draw what a model said about an image into a copy of it; returns how many labels there were.

    Args:
        answer: gives the JSON of DetectCustomLabels.
        out: a PNG or JPEG.

    Raises:
        UsageError: the name is of neither, the answer is none, or a file can't be read.
        ServiceError: the image can't be decoded.
        RclError: the file can't be written; what was there stays.
    """
    if out.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"--out {out}: the name must end in .png or .jpg")
    try:
        return _drawn(image, json.loads(answer())["CustomLabels"], out)
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError("--labels needs the JSON that detect-custom-labels prints.") from error
    except OSError as error:
        raise UsageError(f"{error.filename or out}: {error.strerror or error}") from error


def _drawn(image: bytes | Path, labels: Sequence[dict[str, Any]], out: Path) -> int:
    """Draw labels; the file is there whole, or as it was."""
    counts: list[int] = []
    write_file(out, lambda path: counts.append(draw_labels(image, labels, path)))
    return counts[0]


class Drawing:
    """Draws answers.

    Args:
        target: a file for one image, a folder for several; folders are made.
        source_refs: of all the images that there will be.

    Raises:
        UsageError: the target does not fit the number of images, or its folder can't be made.
    """

    def __init__(self, context: Context, target: Path, source_refs: Sequence[str]) -> None:
        self._context, self._target = context, target
        self._is_file = target.suffix.lower() in _SUFFIXES and not target.is_dir()
        if self._is_file and len(source_refs) > 1:
            raise UsageError(f"--draw {target}: there are {len(source_refs)} images; give a folder.")
        if not self._is_file and target.exists() and not target.is_dir():
            raise UsageError(f"--draw {target}: it must end in .png or .jpg, or be a folder.")
        self._taken: set[str] = set()
        # What a drawing must not replace.
        self._images = {os.path.realpath(path) for ref in source_refs if (path := self._local(ref))}
        if self._is_file and os.path.realpath(target) in self._images:
            raise UsageError(f"--draw {target}: it is the image itself; choose another name.")
        if not self._is_file and any(os.path.realpath(target) == str(Path(image).parent) for image in self._images):
            raise UsageError(f"--draw {target}: it holds the images themselves; choose another folder.")
        folder = target.parent if self._is_file else target
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--draw {target}: {folder} can't be made: {error.strerror or error}.") from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UsageError(f"--draw {target}: {folder} can't be written to.")

    def _local(self, source_ref: str) -> Path | None:
        if path := local_file(source_ref):
            return path
        found = split_s3_url(source_ref)
        try:
            return self._context.buckets.get(found[0]).local_path(found[1]) if found else None
        except NoSuchObjectError:
            return None

    def draw(self, answer: Answer) -> None:
        """Draw one answer that is no error.

        Raises:
            OSError: it can't be written.
        """
        out = self._target if self._is_file else self._target / self._name(answer.source_ref)
        labels = answer.found.labels if answer.found is not None else []
        _drawn(read_image(self._context, answer.source_ref), labels, out)

    def _name(self, source_ref: str) -> str:
        """The image's own name; a number more where another image has it."""
        path = PurePosixPath(unquote(source_ref))
        name, number = path.name, 1
        while name in self._taken:
            number += 1
            name = f"{path.stem}-{number}{path.suffix}"
        self._taken.add(name)
        return name
