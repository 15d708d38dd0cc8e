"""A folder for each label, as torchvision's ImageFolder and the Custom Labels console have it.

`cats/rex.jpg` is a cat; with folders for the parts above it (`train/cats/rex.jpg`), each part is told apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rcl_cli.formats.files import is_image, size_of, walk_images
from rcl_cli.formats.record import FormatError, Notes, Record

SPLITS = frozenset({"train", "training", "test", "testing", "val", "valid", "validation"})
# What folders are called in sets whose labels are in files; in those of parts alone, what is below them counts.
_NO_LABELS = SPLITS | {"images", "labels", "annotations", "jpegimages", "imagesets"}


def fits(source: Path) -> bool:
    """Whether there are folders with images in them, and not only such as other formats have."""
    if not source.is_dir() or all(folder.name.lower() in _NO_LABELS for folder in _label_folders(source)):
        return False
    return any(is_image(path) for folder in _label_folders(source) for path in folder.rglob("*") if path.is_file())


def _label_folders(source: Path) -> list[Path]:
    parts = _parts(source)
    return [
        folder
        for parent in (parts or [source])
        for folder in sorted(parent.iterdir())
        if folder.is_dir() and not folder.name.startswith(".")
    ]


def _parts(source: Path) -> list[Path]:
    """The folders of the parts, where all folders are such."""
    folders = [path for path in sorted(source.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    return folders if folders and all(folder.name.lower() in SPLITS for folder in folders) else []


def read(source: Path, images: Path | None, notes: Notes) -> Iterator[Record]:
    if not source.is_dir():
        raise FormatError(f"{source} is no folder.")
    parts = _parts(source)
    folders = _label_folders(source)
    if not folders:
        raise FormatError(f"{source} has no folders: a folder's name is the label of the images in it.")
    for path in sorted(path for parent in (parts or [source]) for path in parent.iterdir() if is_image(path)):
        notes.add("images lie beside the labels' folders and were left out", path)
    for folder in folders:
        split = folder.parent.name if parts else ""
        for path in walk_images(folder, notes):
            size = size_of(path, notes)
            if size is not None:
                yield Record(path, size, (folder.name,), (), split)
