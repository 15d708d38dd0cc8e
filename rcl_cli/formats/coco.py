"""COCO: one JSON file a part, with images, annotations and categories.

Labels go by the categories' names: ids start where they like and have gaps.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from rcl_cli.formats.files import MISSING, OTHER_SIZE, ImageFinder, size_of
from rcl_cli.formats.record import BoxPx, FormatError, Notes, Record, bounding

_Id = int | str


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
    return bool(_files(source))


def _files(source: Path) -> list[Path]:
    """The annotation files of a file or a folder."""
    if source.is_file():
        return [source] if source.suffix.lower() == ".json" and _is_coco(source) else []
    found = sorted(
        {*source.glob("*.json"), *source.glob("annotations/*.json"), *source.glob("*/_annotations.coco.json")}
    )
    return [path for path in found if _is_coco(path)]


def _is_coco(path: Path) -> bool:
    """Judged by the names in it, wherever they stand: files may be large."""
    wanted = {b'"images"', b'"annotations"', b'"categories"'}
    overlap = b""
    with path.open("rb") as stream:
        while wanted and (chunk := stream.read(1 << 20)):
            wanted -= {name for name in wanted if name in overlap + chunk}
            overlap = chunk[-16:]
            if (
                overlap
                and stream.tell() <= 1 << 20
                and (overlap + chunk).lstrip(b"\xef\xbb\xbf \r\n\t" + overlap)[:1] == b"["
            ):
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
    files = _files(source)
    if not files:
        raise FormatError(f"{source} holds no COCO annotations: a JSON file with images, annotations and categories.")
    for path in files:
        yield from _read_file(path, _split_of(path, source), images, notes)


def _read_file(path: Path, split: str, images: Path | None, notes: Notes) -> Iterator[Record]:
    try:
        content = msgspec.json.decode(path.read_bytes(), type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FormatError(f"{path} is no COCO file: {error}") from error
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
