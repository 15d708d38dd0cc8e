"""Pieces that the procedural example projects share: noise, light, and manifests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image, ImageFilter

if TYPE_CHECKING:
    from numpy.typing import NDArray

Line = Callable[[str], str]
_CREATED = "2026-01-01T00:00:00"


def tint(rng: np.random.Generator, colour: tuple[int, int, int], spread: int = 18) -> tuple[int, int, int]:
    """A colour near the given one."""
    red, green, blue = (int(np.clip(c + rng.integers(-spread, spread + 1), 0, 255)) for c in colour)
    return red, green, blue


def photographed(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Uneven light, a little blur and sensor noise, so that no two pictures share their pixels."""
    if rng.random() < 0.4:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.2, 0.9))))
    pixels = np.asarray(image, dtype=np.float32)
    height, width = pixels.shape[:2]
    light = _light(rng, height, width)
    noise = rng.normal(0, rng.uniform(2, 8), pixels.shape)
    lit = pixels * light[..., None] * rng.uniform(0.75, 1.2) + noise
    return Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))


def _light(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    slope = (np.cos(angle) * columns / width + np.sin(angle) * rows / height) * rng.uniform(0, 0.4)
    return np.asarray(1.0 + slope - slope.mean(), dtype=np.float32)


def box_line(source_ref: str, size: tuple[int, int], boxes: list[tuple[str, tuple[int, int, int, int]]]) -> str:
    """A Ground Truth detection line; boxes are (left, top, width, height) in pixels."""
    names = sorted({name for name, _ in boxes})
    ids = {name: i for i, name in enumerate(names)}
    annotations = [
        {"class_id": ids[name], "top": top, "left": left, "width": width, "height": height}
        for name, (left, top, width, height) in boxes
    ]
    document: dict[str, Any] = {
        "source-ref": source_ref,
        "bounding-box": {
            "image_size": [{"width": size[0], "height": size[1], "depth": 3}],
            "annotations": annotations,
        },
        "bounding-box-metadata": {
            "objects": [{"confidence": 1} for _ in annotations],
            "class-map": {str(i): name for name, i in ids.items()},
            "type": "groundtruth/object-detection",
            "human-annotated": "yes",
            "creation-date": _CREATED,
            "job-name": "rcl-example",
        },
    }
    return json.dumps(document)


def image_line(source_ref: str, labels: list[str]) -> str:
    """A Ground Truth line with one image-level pair per label."""
    document: dict[str, Any] = {"source-ref": source_ref}
    for label in labels:
        document[label] = 1
        document[f"{label}-metadata"] = {
            "confidence": 1,
            "class-name": label,
            "human-annotated": "yes",
            "creation-date": _CREATED,
            "type": "groundtruth/image-classification",
            "job-name": "rcl-example",
        }
    return json.dumps(document)


def write_lines(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


class Picture(NamedTuple):
    """An image of an example project.

    Args:
        name: without suffix.
        line: makes its manifest line of its source-ref.
        quality: of its JPEG.
    """

    name: str
    image: Image.Image
    line: Line
    quality: int


def some_quality(rng: np.random.Generator) -> int:
    """As cameras differ."""
    return int(rng.integers(80, 96))


def make_project(folder: Path, bucket: str, pictures: Pictures, counts: Mapping[str, int], seed: int) -> None:
    """Write an example project into a bucket folder.

    Args:
        folder: becomes a folder of images for each part, and a manifest for each but `new`, whose have no labels.
        bucket: the name that source-refs use for `folder`.
        pictures: draws so many pictures of a part.
        counts: how many, by part: `train`, `test`, `new`.
    """
    rng = np.random.default_rng(seed)
    for part, count in counts.items():
        (folder / part).mkdir(parents=True, exist_ok=True)
        lines = []
        for picture in pictures(rng, part, count):
            key = f"{part}/{picture.name}.jpg"
            picture.image.save(folder / key, quality=picture.quality)
            lines.append(picture.line(f"s3://{bucket}/{key}"))
        if part != "new":
            write_lines(folder / f"{part}.manifest", lines)


Pictures = Callable[[np.random.Generator, str, int], Iterable[Picture]]
