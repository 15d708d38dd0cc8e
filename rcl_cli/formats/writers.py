"""Labelled images in formats of other tools: a folder with the images in it, in parts for training and testing."""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, NamedTuple, Protocol
from xml.etree import ElementTree

from rcl_cli.errors import UsageError
from rcl_cli.formats.lines import LineWriter, plain
from rcl_cli.formats.record import TEST, TRAIN, BoxPx, FormatError, Record
from rcl_cli.formats.registry import FORMATS
from rcl_cli.regular import open_bytes


class Names:
    """Gives each image a name of its own, whose stem no other has: some formats know images by it."""

    def __init__(self) -> None:
        self._stems: set[str] = set()

    def name(self, image: Path) -> str:
        # A newline in a name would end a line in a list of them.
        first = "".join(c if c.isprintable() else "_" for c in image.stem)
        stem, number = first, 1
        while stem.casefold() in self._stems:
            number += 1
            stem = f"{first}-{number}"
        self._stems.add(stem.casefold())
        return stem + image.suffix.lower()


class Target(NamedTuple):
    """Where a format is written.

    Args:
        folder: empty.
        final: where the folder will lie: manifests hold whole paths.
        created: the creation date that manifests carry.
    """

    folder: Path
    final: Path
    created: str


class Writer(Protocol):
    """Writes one format into an empty folder."""

    def add(self, record: Record, image: Path, part: str) -> None:
        """Write a record.

        Args:
            image: the file to copy.
            part: `train` or `test`.

        Raises:
            FormatError: the format can't hold it.
        """
        ...

    def close(self) -> None:
        """Write what can only be written last."""
        ...


def _needs_boxes(record: Record, form: str) -> None:
    if record.labels:
        raise FormatError(
            f"{form} holds boxes, and {record.image} has image-level labels: choose csv, folders or manifest."
        )


def _copy(image: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with open_bytes(image) as source, target.open("wb") as out:
        shutil.copyfileobj(source, out)


class CocoWriter:
    """`annotations/instances_PART.json` and `images/PART/`."""

    def __init__(self, target: Target) -> None:
        folder = target.folder
        self._folder, self._names = folder, Names()
        self._categories: dict[str, int] = {}
        self._stack = ExitStack()
        self._parts: dict[str, tuple[IO[str], IO[str]]] = {}
        self._images = self._annotations = 0

    def _files(self, part: str) -> tuple[IO[str], IO[str]]:
        """Where a part's images and annotations are collected; the file has all images before all annotations."""
        if part not in self._parts:
            self._parts[part] = self._temporary(), self._temporary()
        return self._parts[part]

    def _temporary(self) -> IO[str]:
        return self._stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8", dir=self._folder))

    def add(self, record: Record, image: Path, part: str) -> None:
        _needs_boxes(record, "COCO")
        name = f"{part}/{self._names.name(image)}"
        _copy(image, self._folder / "images" / name)
        images, annotations = self._files(part)
        self._images += 1
        entry = {"id": self._images, "file_name": name, "width": record.size[0], "height": record.size[1]}
        images.write(json.dumps(entry) + "\n")
        for box in record.boxes:
            self._annotations += 1
            sides = [plain(value) for value in box[1:]]
            category = self._categories.setdefault(box.label, len(self._categories) + 1)
            annotations.write(
                json.dumps(
                    {"id": self._annotations, "image_id": self._images, "category_id": category, "bbox": sides,
                     "area": plain(box.width * box.height), "iscrowd": 0, "segmentation": []}
                ) + "\n"
            )  # fmt: skip

    def close(self) -> None:
        categories = [{"id": number, "name": name} for name, number in self._categories.items()]
        with self._stack:
            for part, files in self._parts.items():
                path = self._folder / "annotations" / f"instances_{part}.json"
                path.parent.mkdir(exist_ok=True)
                with path.open("w", encoding="utf-8") as out:
                    out.write('{"info": {"description": "written by rcl"}, "licenses": [],\n')
                    out.write(f'"categories": {json.dumps(categories, ensure_ascii=False)}')
                    for name, file in zip(("images", "annotations"), files, strict=True):
                        file.seek(0)
                        out.write(f',\n"{name}": [')
                        for number, line in enumerate(file):
                            out.write(("," if number else "") + "\n" + line.rstrip("\n"))
                        out.write("]")
                    out.write("}\n")


class YoloWriter:
    """Ultralytics' layout: `data.yaml`, `images/PART/`, `labels/PART/`."""

    def __init__(self, target: Target) -> None:
        folder = target.folder
        self._folder, self._names = folder, Names()
        self._classes: dict[str, int] = {}
        self._parts: dict[str, None] = {}

    def add(self, record: Record, image: Path, part: str) -> None:
        _needs_boxes(record, "YOLO")
        self._parts[part] = None
        name = Path(self._names.name(image))
        _copy(image, self._folder / "images" / part / name)
        labels = self._folder / "labels" / part / f"{name.stem}.txt"
        labels.parent.mkdir(parents=True, exist_ok=True)
        labels.write_text("".join(self._line(box, record.size) + "\n" for box in record.boxes), encoding="utf-8")

    def _line(self, box: BoxPx, size: tuple[int, int]) -> str:
        number = self._classes.setdefault(box.label, len(self._classes))
        x, y = (box.left + box.width / 2) / size[0], (box.top + box.height / 2) / size[1]
        return f"{number} {x:.8f} {y:.8f} {box.width / size[0]:.8f} {box.height / size[1]:.8f}"

    def close(self) -> None:
        # Ultralytics wants a part for validation; the test images are it, as nothing is chosen by them.
        validation = TEST if TEST in self._parts else TRAIN
        lines = ["# Written by rcl.", "path: .", f"train: images/{TRAIN}", f"val: images/{validation}"]
        lines += [f"test: images/{TEST}"] if TEST in self._parts else []
        lines += ["names:", *(f"  {number}: {json.dumps(name)}" for name, number in self._classes.items())]
        (self._folder / "data.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


class VocWriter:
    """`JPEGImages/`, `Annotations/`, `ImageSets/Main/PART.txt`."""

    def __init__(self, target: Target) -> None:
        folder = target.folder
        self._folder, self._names = folder, Names()
        for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
            (folder / name).mkdir(parents=True)

    def add(self, record: Record, image: Path, part: str) -> None:
        _needs_boxes(record, "VOC")
        name = self._names.name(image)
        _copy(image, self._folder / "JPEGImages" / name)
        root = ElementTree.Element("annotation")
        ElementTree.SubElement(root, "folder").text = "JPEGImages"
        ElementTree.SubElement(root, "filename").text = name
        size = ElementTree.SubElement(root, "size")
        for side, value in zip(("width", "height", "depth"), (*record.size, 3), strict=True):
            ElementTree.SubElement(size, side).text = str(value)
        for box in record.boxes:
            _add_object(root, box)
        ElementTree.indent(root)
        stem = Path(name).stem
        ElementTree.ElementTree(root).write(self._folder / "Annotations" / f"{stem}.xml", encoding="utf-8")
        with (self._folder / "ImageSets" / "Main" / f"{part}.txt").open("a", encoding="utf-8") as out:
            out.write(f"{stem}\n")

    def close(self) -> None:
        return None


def _add_object(root: ElementTree.Element, box: BoxPx) -> None:
    found = ElementTree.SubElement(root, "object")
    for name, text in (("name", box.label), ("pose", "Unspecified"), ("truncated", "0"), ("difficult", "0")):
        ElementTree.SubElement(found, name).text = text
    corners = ElementTree.SubElement(found, "bndbox")
    sides = (box.left, box.top, box.left + box.width, box.top + box.height)
    for name, value in zip(("xmin", "ymin", "xmax", "ymax"), sides, strict=True):
        ElementTree.SubElement(corners, name).text = str(plain(value))


class FolderWriter:
    """`PART/LABEL/`, as Ultralytics' and torchvision's classifiers read it."""

    def __init__(self, target: Target) -> None:
        folder = target.folder
        self._folder, self._names = folder, Names()

    def add(self, record: Record, image: Path, part: str) -> None:
        if len(record.labels) != 1 or record.boxes:
            raise FormatError(
                f"Folders hold one label an image, and {record.image} has others: choose csv or manifest."
            )
        label = record.labels[0]
        if "/" in label or label.startswith("."):
            raise FormatError(f"The label {label!r} can't be the name of a folder: choose csv or manifest.")
        _copy(image, self._folder / part / label / self._names.name(image))

    def close(self) -> None:
        return None


class CsvWriter:
    """`labels.csv`, a row an image, and `images/`."""

    def __init__(self, target: Target) -> None:
        folder = target.folder
        self._folder, self._names = folder, Names()
        self._file = (folder / "labels.csv").open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file)
        self._rows.writerow(["file", "labels", "split"])

    def add(self, record: Record, image: Path, part: str) -> None:
        if record.boxes or any(";" in label or "|" in label for label in record.labels):
            raise FormatError(f"A CSV file can't hold what is known of {record.image}: choose manifest.")
        name = f"images/{self._names.name(image)}"
        _copy(image, self._folder / name)
        self._rows.writerow([name, ";".join(record.labels), part])

    def close(self) -> None:
        self._file.close()


class ManifestWriter:
    """`PART.manifest` and `images/`."""

    def __init__(self, target: Target) -> None:
        self._folder, self._final, self._names = target.folder, target.final, Names()
        self._line = LineWriter(target.created, "rcl-export")

    def add(self, record: Record, image: Path, part: str) -> None:
        name = self._names.name(image)
        _copy(image, self._folder / "images" / name)
        with (self._folder / f"{part}.manifest").open("a", encoding="utf-8") as out:
            out.write(self._line(record._replace(image=self._final / "images" / name)) + "\n")

    def close(self) -> None:
        return None


_WRITERS: dict[str, Callable[[Target], Writer]] = {
    one.__name__: one for one in (CocoWriter, YoloWriter, VocWriter, FolderWriter, CsvWriter, ManifestWriter)
}


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Fill a folder that is there, whole, afterwards, or as it was if something fails.

    Args:
        folder: empty, or not there yet.

    Yields:
        Where to write meanwhile.

    Raises:
        UsageError: it is not empty.
    """
    final = folder.absolute()
    if final.exists() and (not final.is_dir() or any(final.iterdir())):
        raise UsageError(f"{folder} is not an empty folder.")
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{final.name}-", dir=final.parent))
    try:
        yield partial
        partial.chmod(0o755)
        partial.replace(final)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


@contextmanager
def writing(name: str, folder: Path, created: str) -> Iterator[Writer]:
    """Write a format into a folder; see `whole_folder`.

    Args:
        name: of `registry.WRITTEN`.
        created: the creation date that manifests carry.

    Raises:
        UsageError: the folder is not empty.
    """
    with whole_folder(folder) as partial:
        writer = _WRITERS[str(FORMATS[name].writer)](Target(partial, folder.absolute(), created))
        yield writer
        writer.close()
