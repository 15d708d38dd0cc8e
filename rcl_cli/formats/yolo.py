"""YOLO: a text file an image, a line a box, in shares of the image.

Read are Ultralytics' layout (`data.yaml`), darknet's (`obj.data`, `obj.names`, as CVAT writes it), and a folder with
`classes.txt`, as Label Studio and labelImg write it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from rcl_cli import plain_yaml
from rcl_cli.formats.damaged import fault_of, start_of, text_of
from rcl_cli.formats.files import is_image, is_inside, size_of, walk_images
from rcl_cli.formats.record import BoxPx, FormatError, Notes, Record, bounding
from rcl_cli.regular import read_bytes

_SPLITS = ("train", "val", "valid", "test")
_NAME_FILES = ("classes.txt", "obj.names", "names.txt")
_DATA_FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_NAMES, _PARTS = (
    re.compile(rb"(?:^|[{,])\s*[\"']?(?:%s)[\"']?\s*:" % keys, re.MULTILINE) for keys in (b"names", b"train|val|nc")
)


def fits(source: Path) -> bool:
    if source.is_file():
        return source.suffix.lower() in (".yaml", ".yml") and _promise(source) > 0
    return _data_file(source) is not None or _names_file(source) is not None or _has_label_files(source)


def _promise(path: Path) -> int:
    """How much a YAML file looks like what names the classes, 0 for not at all; it may be damaged."""
    start = start_of(path).replace(b"\0", b"")
    is_named = path.name.lower() in _DATA_FILES
    return 2 * bool(_NAMES.search(start)) + (is_named or bool(_PARTS.search(start)))


def _data_file(folder: Path) -> Path | None:
    there = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    return max((path for path in there if _promise(path)), key=_promise, default=None)


def _has_label_files(folder: Path) -> bool:
    """Whether `labels` lies beside `images`, in a folder or in those of its parts."""
    places = [path.parent for path in (folder / "labels", *folder.glob("*/labels")) if path.is_dir()]
    return any((place / "images").is_dir() for place in places)


def _names_file(folder: Path) -> Path | None:
    return next((folder / name for name in _NAME_FILES if (folder / name).is_file()), None)


def _settings(path: Path) -> dict[str, Any]:
    """
    Raises:
        FormatError: it can't be read, or is no map.
    """
    try:
        found = plain_yaml.load(path)
    except (OSError, plain_yaml.PlainYamlError) as error:
        raise FormatError(f"{path}: {fault_of(path) or error}") from error
    if not isinstance(found, dict):
        raise FormatError(f"{path}: it must hold `names:` and the parts, as `key: value` lines.")
    return found


def read(source: Path, images: Path | None, notes: Notes) -> Iterator[Record]:
    data = source if source.is_file() else _data_file(source)
    root = source if source.is_dir() else source.parent
    if data is not None:
        settings = _settings(data)
        names = _class_names(settings.get("names"), data)
        parts = _parts_of(data, settings, notes)
        if not parts and images is None and any(settings.get(split) for split in _SPLITS):
            raise FormatError(f"{data} names parts that lead to no images: mend its paths, or give --images.")
    else:
        names_file = _names_file(source)
        if names_file is None:
            raise FormatError(f"{source} has no data.yaml and no classes.txt, so its classes have no names.")
        names = dict(enumerate(text_of(names_file).splitlines()))
        if not names:
            raise FormatError(f"{names_file}: it names no classes.")
        parts = _darknet_parts(source)
    parts = parts or [("", path) for path in walk_images(images or root, notes)]
    if not parts:
        raise FormatError(f"{source} leads to no images.")
    labels = _Labels(root)
    for split, image in parts:
        size = size_of(image, notes)
        if size is not None:
            yield Record(image, size, (), tuple(_boxes(image, labels.file_of(image), size, names, notes)), split)


def _class_names(names: Any, path: Path) -> dict[int, str]:
    if isinstance(names, list):
        return {number: str(name) for number, name in enumerate(names)}
    if isinstance(names, dict) and all(str(number).isdecimal() for number in names):
        return {int(number): str(name) for number, name in names.items()}
    raise FormatError(f"{path}: `names` must be a list, or numbers with names.")


def _parts_of(data: Path, settings: dict[str, Any], notes: Notes) -> list[tuple[str, Path]]:
    """(split, image) of all parts that a data.yaml names."""
    base = data.parent / str(settings.get("path") or "")
    # A path from another machine, or relative to Ultralytics' own folder of datasets.
    roots = [base, data.parent] if base.is_dir() else [data.parent]
    found: list[tuple[str, Path]] = []
    seen: set[str] = set()
    for split in _SPLITS:
        value = settings.get(split)
        for place in value if isinstance(value, list) else [value] if value else []:
            images = _images_at(str(place), roots)
            if not images:
                notes.add("parts lead to no images", f"{split}: {place}")
            for image in images:
                if str(image) not in seen:
                    seen.add(str(image))
                    found.append((split, image))
    return found


def _images_at(place: str, roots: list[Path]) -> list[Path]:
    """The images of a folder, or of a text file that lists them."""
    # Roboflow writes `../train/images` whatever lies where.
    for text in (place, place.lstrip("./")):
        for root in roots:
            path = Path(os.path.normpath(root / text))
            if not is_inside(path):
                continue
            if path.is_dir():
                return [image for image in sorted(path.rglob("*")) if is_image(image)]
            if path.is_file():
                lines = [line.strip() for line in read_bytes(path).decode("utf-8", "replace").splitlines()]
                return [Path(os.path.normpath(_listed(line, path.parent, root))) for line in lines if line]
    return []


def _listed(line: str, beside: Path, root: Path) -> Path:
    for base in (beside, root):
        if (base / line).is_file():
            return base / line
    # CVAT lists `data/obj_train_data/a.jpg` where there is no `data`.
    return root / line.removeprefix("data/")


def _darknet_parts(folder: Path) -> list[tuple[str, Path]]:
    found = []
    for split in _SPLITS:
        if (folder / f"{split}.txt").is_file():
            found += [(split, image) for image in _images_at(f"{split}.txt", [folder])]
    return found


class _Labels:
    """Finds images' label files.

    Args:
        root: looked through for those of images that lie elsewhere.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @cached_property
    def _by_stem(self) -> dict[str, Path]:
        return {path.stem: path for path in sorted(self._root.rglob("*.txt"))}

    def file_of(self, image: Path) -> Path | None:
        """`images/a.jpg` has `labels/a.txt`, or `a.txt` beside it."""
        parts = list(image.parts)
        for index in range(len(parts) - 2, -1, -1):
            if parts[index] == "images":
                moved = Path(*parts[:index], "labels", *parts[index + 1 :]).with_suffix(".txt")
                if moved.is_file():
                    return moved
                break
        beside = image.with_suffix(".txt")
        if beside.is_file():
            return beside
        return None if image.is_relative_to(self._root) else self._by_stem.get(image.stem)


def _whole(text: str) -> int:
    """
    Raises:
        ValueError: it is no whole number.
    """
    value = float(text)
    if not value.is_integer():
        raise ValueError(text)
    return int(value)


def _boxes(
    image: Path, file: Path | None, size: tuple[int, int], names: dict[int, str], notes: Notes
) -> Iterator[BoxPx]:
    if file is None:
        notes.add("images have no label file and count as unlabelled", image)
        return
    for number, line in enumerate(read_bytes(file).decode("utf-8", "replace").splitlines(), 1):
        words = line.split()
        if not words:
            continue
        try:
            class_id, values = _whole(words[0]), [float(word) for word in words[1:]]
        except ValueError:
            notes.add("lines are no boxes", f"{file}:{number}")
            continue
        if class_id not in names:
            notes.add("boxes are of classes without a name", f"{file}:{number}")
        elif len(values) in (4, 5):
            # A fifth value is the confidence of a prediction.
            x, y, width, height = values[:4]
            width, height = width * size[0], height * size[1]
            yield BoxPx(names[class_id], x * size[0] - width / 2, y * size[1] - height / 2, width, height)
        elif len(values) >= 6 and len(values) % 2 == 0:
            notes.add("outlines became the boxes around them", f"{file}:{number}")
            points = [(x * size[0], y * size[1]) for x, y in zip(values[::2], values[1::2], strict=True)]
            yield bounding(names[class_id], points)
        else:
            notes.add("lines are no boxes", f"{file}:{number}")
