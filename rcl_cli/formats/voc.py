"""Pascal VOC: an XML file an image, in `Annotations`; parts in `ImageSets/Main`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from rcl_cli.formats.damaged import fault_of, start_of, text_of
from rcl_cli.formats.files import MISSING, OTHER_SIZE, ImageFinder, size_of
from rcl_cli.formats.record import BoxPx, FormatError, Notes, Record
from rcl_cli.regular import open_bytes

_SPLITS = ("train", "val", "test")
_FLAG = re.compile(r"\s+(?:-1|0|1)$")


def fits(source: Path) -> bool:
    files = _files(source)
    return bool(files and source.is_dir() and _annotations(source)) or any(map(_is_voc, files[:5]))


def _is_voc(path: Path) -> bool:
    start = start_of(path)[:4096]
    return b"<annotation" in start and b"<annotations" not in start


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source] if source.suffix.lower() == ".xml" else []
    folder = _annotations(source)
    return sorted((folder or source).glob("**/*.xml"))


def _annotations(source: Path) -> Path | None:
    """`Annotations`, at most two folders down, as in `VOCdevkit/VOC2012`."""
    return next((p for pattern in ("", "*/", "*/*/") for p in sorted(source.glob(f"{pattern}Annotations"))), None)


def read(source: Path, images: Path | None, notes: Notes) -> Iterator[Record]:
    files = _files(source)
    if not files:
        raise FormatError(f"{source} holds no Pascal VOC annotations: XML files, usually in a folder Annotations.")
    folder = _annotations(source) if source.is_dir() else None
    root = folder.parent if folder else (source if source.is_dir() else source.parent)
    finder = ImageFinder(images, root / "JPEGImages", root)
    splits = _splits(root)
    for path in files:
        record = _record(path, finder, notes)
        if record is not None:
            yield record._replace(split=splits.get(path.stem, ""))


def _splits(root: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for split in _SPLITS:
        path = root / "ImageSets" / "Main" / f"{split}.txt"
        if path.exists():
            lines = text_of(path).splitlines()
            # Names may hold spaces; lists of one class have 1 or -1 behind them.
            found |= {_FLAG.sub("", line.strip()): split for line in lines if line.strip()}
    return found


def _record(path: Path, finder: ImageFinder, notes: Notes) -> Record | None:
    try:
        with open_bytes(path) as stream:
            tree = ElementTree.parse(stream).getroot()  # noqa: S314 - expat itself bounds what entities grow to
    except (ElementTree.ParseError, LookupError, ValueError, OSError):
        notes.add("files are no XML", f"{path}: {fault_of(path)}")
        return None
    if tree.tag != "annotation":
        notes.add("XML files are no annotations of Pascal VOC", path)
        return None
    name = (tree.findtext("filename") or "").strip()
    candidates = [name, *(path.stem + suffix for suffix in (".jpg", ".jpeg", ".png", ".JPG", ".PNG"))]
    image = next((found for one in candidates if one and (found := finder.find(one))), None)
    if image is None:
        notes.add(MISSING, name or path)
        return None
    size = size_of(image, notes)
    if size is None:
        return None
    stated = tuple(_whole(tree.findtext(f"size/{side}")) for side in ("width", "height"))
    if all(stated) and stated != size:
        notes.add(f"{OTHER_SIZE}; boxes were kept as they are", image)
    return Record(image, size, (), tuple(_boxes(tree, path, notes)))


def _whole(text: str | None) -> int:
    """A size as it stands in a file, 0 where it makes no sense."""
    try:
        return round(float(text or 0))
    except (ValueError, OverflowError):
        return 0


def _boxes(tree: ElementTree.Element, path: Path, notes: Notes) -> Iterator[BoxPx]:
    for found in tree.iter("object"):
        label, box = found.findtext("name"), found.find("bndbox")
        try:
            if not label or box is None:
                raise ValueError
            left, top, right, bottom = (float(box.findtext(s) or "") for s in ("xmin", "ymin", "xmax", "ymax"))
        except ValueError:
            notes.add("objects have no name or no box", path)
            continue
        yield BoxPx(label, left, top, right - left, bottom - top)
