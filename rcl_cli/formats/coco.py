"""COCO: one JSON file a part, with images, annotations and categories.

Labels go by the categories' names: ids start where they like and have gaps.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from rcl_cli.formats.damaged import fault_of, own_files
from rcl_cli.formats.files import MISSING, OTHER_SIZE, ImageFinder, size_of
from rcl_cli.formats.record import BoxPx, FormatError, Notes, Record, bounding
from rcl_cli.regular import open_bytes, read_bytes

_Id = int | str
_PLACES = ("*.json", "annotations/*.json", "*/_annotations.coco.json")


class _Image(msgspec.Struct):
    id: _Id
    file_name: str
    width: float | None = None
    height: float | None = None


class _Annotation(msgspec.Struct):
    image_id: _Id
    category_id: _Id
    bbox: list[float] | None = None
    segmentation: Any = None
    iscrowd: int | bool | None = None


class _Category(msgspec.Struct):
    id: _Id
    name: str


class _File(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def fits(source: Path) -> bool:
    return any(map(_is_coco, _candidates(source)))


def _candidates(source: Path) -> list[Path]:
    """The file, or those that lie where a folder has its annotations."""
    if source.is_file():
        return [source] if source.suffix.lower() == ".json" else []
    return sorted({path for place in _PLACES for path in source.glob(place)})


def _is_coco(path: Path) -> bool:
    """Whether it is an object, and by the names in it, wherever they stand: files may be large."""
    wanted = {b'"images"', b'"annotations"', b'"categories"'}
    try:
        with open_bytes(path) as stream:
            chunk, overlap = stream.read(1 << 20), b""
            if not chunk.removeprefix(BOM_UTF8).lstrip().startswith(b"{"):
                return False
            while wanted and chunk:
                wanted -= {name for name in wanted if name in overlap + chunk}
                overlap, chunk = chunk[-16:], stream.read(1 << 20)
    except OSError:
        return False
    return not wanted


def _split_of(path: Path, source: Path) -> str:
    """`instances_val2017.json` and `val/_annotations.coco.json` are both of `val`."""
    if path.name == "_annotations.coco.json":
        return "" if path.parent == source.parent and source.is_file() else path.parent.name
    stem = path.stem.lower()
    for part in ("train", "valid", "val", "test"):
        if part in stem:
            return part
    return ""


def read(source: Path, images: Path | None, notes: Notes) -> Iterator[Record]:
    files = list(own_files(_candidates(source), _is_coco, notes))
    if not files:
        raise FormatError(f"{source} holds no COCO annotations: a JSON file with images, annotations and categories.")
    for path in files:
        yield from _read_file(path, _split_of(path, source), images, notes)


def _read_file(path: Path, split: str, images: Path | None, notes: Notes) -> Iterator[Record]:
    try:
        content = msgspec.json.decode(read_bytes(path), type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: {fault_of(path) or f'it is no COCO file: {error}'}") from error
    finder = ImageFinder(images, path.parent / split if split else None, path.parent.parent / "images", _root(path))
    names = {category.id: category.name for category in content.categories}
    annotations: dict[_Id, list[_Annotation]] = {}
    for annotation in content.annotations:
        annotations.setdefault(annotation.image_id, []).append(annotation)
    for image in content.images:
        found = finder.find(image.file_name, split)
        if found is None:
            notes.add(MISSING, image.file_name)
            continue
        size = size_of(found, notes)
        if size is None:
            continue
        record = Record(found, size, split=split)
        stated = (round(image.width or 0), round(image.height or 0))
        yield _with_annotations(record, stated, annotations.pop(image.id, []), names, notes)
    for left in annotations.values():
        notes.add("annotations are of images that the file does not list", path, len(left))


def _box(name: str, annotation: _Annotation) -> BoxPx:
    """
    Raises:
        ValueError, TypeError: there is no box in it.
    """
    if annotation.bbox:
        left, top, width, height = annotation.bbox
        return BoxPx(name, left, top, width, height)
    flat = [float(value) for part in annotation.segmentation for value in part]
    return bounding(name, list(zip(flat[::2], flat[1::2], strict=True)))


def _root(path: Path) -> Path:
    return path.parent.parent if path.parent.name == "annotations" else path.parent


def _with_annotations(
    record: Record, stated: tuple[int, int], annotations: list[_Annotation], names: dict[_Id, str], notes: Notes
) -> Record:
    if all(stated) and stated != record.size:
        notes.add(f"{OTHER_SIZE}; boxes were kept as they are", record.image)
    labels: list[str] = []
    boxes: list[BoxPx] = []
    for annotation in annotations:
        name = names.get(annotation.category_id)
        if name is None:
            notes.add("annotations are of categories that the file does not list", record.image)
        elif annotation.iscrowd:
            notes.add("annotations of crowds were left out", record.image)
        elif not annotation.bbox and not annotation.segmentation:
            labels.append(name)
        else:
            try:
                boxes.append(_box(name, annotation))
            except (ValueError, TypeError):
                notes.add("annotations have boxes that make no sense and were left out", record.image)
    return record._replace(labels=tuple(dict.fromkeys(labels)), boxes=tuple(boxes))
