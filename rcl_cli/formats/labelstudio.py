"""Label Studio's own exports: JSON and JSON-MIN.

Boxes are in percent and may be turned; images are URLs of the server that they were uploaded to, with eight digits
before the name.
"""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Iterator
from math import cos, radians, sin
from pathlib import Path
from typing import Any

from rcl_cli.formats.damaged import fault_of, start_of
from rcl_cli.formats.files import ImageFinder, found_with_size
from rcl_cli.formats.record import BoxPx, FormatError, Notes, Record, bounding
from rcl_cli.regular import read_bytes

_BOXES = ("rectanglelabels", "labels")
_LEFT_OUT = ("brushlabels", "keypointlabels", "ellipselabels", "bitmask")


def fits(source: Path) -> bool:
    path = _file(source)
    if path is None:
        return False
    start = start_of(path)[: 1 << 16]
    is_list = start.removeprefix(BOM_UTF8).lstrip().startswith(b"[")
    words = (b'"annotations"', b'"data"', b'"annotator"', b'"rectanglelabels"', b'"choice"', b'"annotation_id"')
    return is_list and any(word in start for word in words)


def _file(source: Path) -> Path | None:
    if source.is_file():
        return source if source.suffix.lower() == ".json" else None
    found = sorted(source.glob("*.json")) if source.is_dir() else []
    return next((path for path in found if fits(path)), None)


def read(source: Path, images: Path | None, notes: Notes) -> Iterator[Record]:
    path = _file(source)
    if path is None:
        raise FormatError(f"{source} holds no JSON export of Label Studio.")
    try:
        tasks = json.loads(read_bytes(path).decode("utf-8-sig"))
    except ValueError as error:
        raise FormatError(f"{path}: {fault_of(path) or error}") from error
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise FormatError(f"{path} is no export of Label Studio: it must be a list of tasks.")
    finder = ImageFinder(images, path.parent / "images", path.parent)
    for task in tasks:
        record = _record(task, finder, notes)
        if record is not None:
            yield record


def _record(task: dict[str, Any], finder: ImageFinder, notes: Notes) -> Record | None:
    where = f"task {task.get('id', '?')}"
    data = task["data"] if isinstance(task.get("data"), dict) else task
    name = _image_of(data)
    if name is None:
        notes.add("tasks have no image", where)
        return None
    image = finder.find(name)
    found = found_with_size(image, name, notes)
    if found is None:
        return None
    image, size = found
    labels: list[str] = []
    boxes: list[BoxPx] = []
    for value in _results(task, where, notes):
        try:
            _add(value, size, labels, boxes, notes, where)
        except (ValueError, TypeError, KeyError):
            notes.add("results make no sense and were left out", where)
    split = data.get("split")
    return Record(image, size, tuple(dict.fromkeys(labels)), tuple(boxes), split if isinstance(split, str) else "")


def _image_of(data: dict[str, Any]) -> str | None:
    """The first value that names an image."""
    texts = [value for value in data.values() if isinstance(value, str)]
    named = [data[key] for key in ("image", "img", "captioning", "ocr") if isinstance(data.get(key), str)]
    endings = (".jpg", ".jpeg", ".png")
    return next(iter([*named, *(text for text in texts if text.lower().split("?")[0].endswith(endings))]), None)


def _results(task: dict[str, Any], where: str, notes: Notes) -> Iterator[dict[str, Any]]:
    """What one annotator said; JSON-MIN has it in the task itself."""
    if not isinstance(task.get("annotations"), list):
        for value in task.values():
            if isinstance(value, list):
                yield from (one for one in value if isinstance(one, dict))
            elif isinstance(value, dict) and isinstance(value.get("choices"), list):
                yield value
        if isinstance(task.get("choice"), str):
            yield {"choices": [task["choice"]]}
        return
    given = [a for a in task["annotations"] if isinstance(a, dict) and not a.get("was_cancelled")]
    if len(given) > 1:
        notes.add("tasks have several annotations; the first one counts", where)
    results = given[0].get("result") if given else []
    for result in results if isinstance(results, list) else []:
        if isinstance(result, dict) and isinstance(result.get("value"), dict):
            yield {**result, **result["value"]}


def _add(
    value: dict[str, Any], size: tuple[int, int], labels: list[str], boxes: list[BoxPx], notes: Notes, where: str
) -> None:
    if isinstance(value.get("choices"), list):
        labels += [choice for choice in value["choices"] if isinstance(choice, str)]
        return
    names = next((value[key] for key in _BOXES if isinstance(value.get(key), list) and value[key]), None)
    if names and "width" in value:
        boxes.extend(_box(str(name), value, size, notes, where) for name in names)
    elif isinstance(value.get("polygonlabels"), list) and isinstance(value.get("points"), list):
        points = [(float(x) * size[0] / 100, float(y) * size[1] / 100) for x, y in value["points"]]
        boxes.extend(bounding(str(name), points) for name in value["polygonlabels"])
        notes.add("outlines became the boxes around them", where)
    elif any(key in value for key in _LEFT_OUT):
        notes.add("shapes that are neither boxes nor outlines were left out", where)


def _box(label: str, value: dict[str, Any], size: tuple[int, int], notes: Notes, where: str) -> BoxPx:
    left, top = float(value["x"]) * size[0] / 100, float(value["y"]) * size[1] / 100
    width, height = float(value["width"]) * size[0] / 100, float(value["height"]) * size[1] / 100
    angle = radians(float(value.get("rotation") or 0))
    if not angle:
        return BoxPx(label, left, top, width, height)
    notes.add("turned boxes became the upright ones around them", where)
    # Label Studio turns about the top left corner.
    corners = [(0.0, 0.0), (width, 0.0), (0.0, height), (width, height)]
    return bounding(
        label, [(left + x * cos(angle) - y * sin(angle), top + x * sin(angle) + y * cos(angle)) for x, y in corners]
    )
