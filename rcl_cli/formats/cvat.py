"""CVAT for images 1.1: one `annotations.xml`, images beside it or under `images`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from rcl_cli.formats.damaged import fault_of, own_files, start_of
from rcl_cli.formats.files import ImageFinder, found_with_size
from rcl_cli.formats.record import BoxPx, FormatError, Notes, Record, bounding, turned
from rcl_cli.regular import open_bytes

_OUTLINES = frozenset({"polygon", "polyline", "points", "ellipse", "mask", "cuboid", "skeleton"})


def fits(source: Path) -> bool:
    return any(map(_is_cvat, _candidates(source)))


def _candidates(source: Path) -> list[Path]:
    """`annotations.xml`, or a file a part, as Datumaro writes them."""
    if source.is_file():
        return [source] if source.suffix.lower() == ".xml" else []
    return sorted(source.glob("*.xml"))


def _is_cvat(path: Path) -> bool:
    return b"<annotations" in start_of(path)[:4096]


def read(source: Path, images: Path | None, notes: Notes) -> Iterator[Record]:
    files = list(own_files(_candidates(source), _is_cvat, notes))
    if not files:
        raise FormatError(f"{source} holds no annotations.xml of CVAT.")
    for path in files:
        split = path.stem if len(files) > 1 else ""
        finder = ImageFinder(images, path.parent / "images", path.parent)
        for record in _read_file(path, finder, notes):
            yield record._replace(split=record.split or split)


def _read_file(path: Path, finder: ImageFinder, notes: Notes) -> Iterator[Record]:
    try:
        with open_bytes(path) as stream:
            for _, element in ElementTree.iterparse(stream):  # noqa: S314 - expat itself bounds what entities grow to
                if element.tag == "track":
                    raise FormatError(f"{path} is of a video: export it from CVAT as 'CVAT for images 1.1'.")
                if element.tag == "image":
                    record = _record(element, finder, notes)
                    if record is not None:
                        yield record
                    element.clear()
    except ElementTree.ParseError as error:
        raise FormatError(f"{path}: {fault_of(path) or error}") from error


def _record(element: ElementTree.Element, finder: ImageFinder, notes: Notes) -> Record | None:
    name, split = element.get("name", ""), element.get("subset", "")
    image = (finder.find(f"{split}/{name}") if split else None) or finder.find(name)
    found = found_with_size(image, name, notes)
    if found is None:
        return None
    image, size = found
    labels: list[str] = []
    boxes: list[BoxPx] = []
    for shape in element:
        label = shape.get("label", "")
        try:
            if shape.tag == "tag":
                labels.append(label)
            elif shape.tag == "box":
                boxes.append(_box(label, shape, notes, name))
            elif shape.tag in ("polygon", "polyline"):
                boxes.append(bounding(label, _points(shape)))
                notes.add("outlines became the boxes around them", name)
            elif shape.tag in _OUTLINES:
                notes.add(f"shapes of the kind {shape.tag} were left out", name)
        except ValueError:
            notes.add("shapes have coordinates that are no numbers", name)
    return Record(image, size, tuple(dict.fromkeys(labels)), tuple(boxes), split)


def _box(label: str, shape: ElementTree.Element, notes: Notes, name: str) -> BoxPx:
    left, top, right, bottom = (float(shape.get(key, "")) for key in ("xtl", "ytl", "xbr", "ybr"))
    degrees = float(shape.get("rotation") or 0)
    if not degrees:
        return BoxPx(label, left, top, right - left, bottom - top)
    notes.add("turned boxes became the upright ones around them", name)
    return turned(label, ((left + right) / 2, (top + bottom) / 2), (right - left, bottom - top), degrees)


def _points(shape: ElementTree.Element) -> list[tuple[float, float]]:
    pairs = [point.split(",") for point in shape.get("points", "").split(";")]
    return [(float(pair[0]), float(pair[-1])) for pair in pairs]
