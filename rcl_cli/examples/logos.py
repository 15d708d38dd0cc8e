"""Procedural logos for brand detection: training images with one image-level label, test scenes with boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from rcl_cli.examples.drawing import Picture, box_line, image_line, photographed, tint

Pen = ImageDraw.ImageDraw
_SIDE = 400
_SCENE = (480, 384)


def _sunrise(pen: Pen) -> None:
    pen.pieslice([40, 100, 360, 420], 180, 360, fill=(240, 120, 20))
    for i in range(5):
        angle = np.pi * (0.1 + 0.2 * i)
        x, y = 200 - 190 * np.cos(angle), 260 - 190 * np.sin(angle)
        pen.line([(200 - 160 * np.cos(angle), 260 - 160 * np.sin(angle)), (x, y)], fill=(250, 190, 30), width=14)
    pen.rectangle([20, 262, 380, 290], fill=(30, 60, 120))


def _hexagon(pen: Pen) -> None:
    def ring(radius: float) -> list[tuple[float, float]]:
        return [(200 + radius * np.cos(a), 200 + radius * np.sin(a)) for a in np.arange(6) * np.pi / 3]

    pen.polygon(ring(180), fill=(20, 130, 90))
    pen.polygon(ring(130), fill=(240, 240, 235))
    pen.polygon(ring(70), fill=(200, 40, 60))


def _wave(pen: Pen) -> None:
    pen.rounded_rectangle([20, 60, 380, 340], 60, fill=(30, 70, 200))
    for k, colour in enumerate(((255, 255, 255), (140, 210, 255), (255, 255, 255))):
        points = [(x, 150 + 55 * k + 26 * np.sin(x / 38 + k)) for x in range(40, 361, 4)]
        pen.line(points, fill=colour, width=18)


def _monogram(pen: Pen) -> None:
    pen.ellipse([20, 20, 380, 380], fill=(120, 30, 140))
    pen.ellipse([44, 44, 356, 356], outline=(250, 220, 120), width=10)
    pen.text((200, 196), "QX", fill=(250, 220, 120), font=ImageFont.load_default(190), anchor="mm")


LOGOS: dict[str, Callable[[Pen], None]] = {
    "sunrise": _sunrise,
    "hexagon": _hexagon,
    "wave": _wave,
    "monogram": _monogram,
}


def _drawn(name: str) -> Image.Image:
    logo = Image.new("RGBA", (_SIDE, _SIDE), (0, 0, 0, 0))
    LOGOS[name](ImageDraw.Draw(logo))
    return logo.crop(logo.getbbox())


def _logo_photo(rng: np.random.Generator, name: str) -> Image.Image:
    """A logo alone on a plain ground, as a style guide shows it."""
    logo = _drawn(name)
    size = int(rng.integers(300, 480))
    ground = tint(rng, ((255, 255, 255), (235, 235, 235), (20, 20, 20), (200, 225, 240))[rng.integers(4)], 8)
    photo = Image.new("RGB", (size, size), ground)
    scale = float(rng.uniform(0.55, 0.85)) * size / max(logo.size)
    logo = logo.resize((round(logo.width * scale), round(logo.height * scale)), Image.Resampling.LANCZOS)
    photo.paste(logo, ((size - logo.width) // 2, (size - logo.height) // 2), logo)
    return photo


def _street(rng: np.random.Generator) -> Image.Image:
    """A scene of walls, windows, signs and lamps: drawn, on purpose, by other code than the training scenes."""
    width, height = _SCENE
    scene = Image.new("RGB", _SCENE, tint(rng, (150, 170, 195), 40))
    pen = ImageDraw.Draw(scene)
    x = 0
    while x < width:
        house = int(rng.integers(70, 170))
        top = int(rng.integers(0, 120))
        wall = tint(rng, ((170, 120, 95), (195, 185, 165), (120, 125, 135), (90, 75, 70))[rng.integers(4)], 25)
        pen.rectangle([x, top, x + house, height - 60], fill=wall)
        for wy in range(top + 14, height - 90, int(rng.integers(34, 52))):
            for wx in range(x + 10, x + house - 22, int(rng.integers(26, 40))):
                pen.rectangle([wx, wy, wx + 15, wy + 22], fill=tint(rng, (70, 85, 105), 35), outline=(40, 40, 40))
        x += house
    pen.rectangle([0, height - 60, width, height], fill=tint(rng, (85, 85, 88), 15))
    for _ in range(int(rng.integers(2, 6))):
        sx, sy = int(rng.integers(0, width)), int(rng.integers(40, height))
        w, h = int(rng.integers(30, 110)), int(rng.integers(14, 60))
        pen.rectangle([sx, sy, sx + w, sy + h], fill=tint(rng, (200, 80, 60), 90))
        pen.text((sx + 4, sy + 2), "".join(rng.choice(tuple("ABCEHKLMNOPRSTU"), 5)), fill=(240, 240, 240))
    return scene.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 1.5))))


def _scene(rng: np.random.Generator) -> tuple[Image.Image, list[tuple[str, tuple[int, int, int, int]]]]:
    scene = _street(rng)
    boxes: list[tuple[str, tuple[int, int, int, int]]] = []
    names = list(LOGOS)
    for _ in range(int(rng.integers(1, 4))):
        name = names[rng.integers(len(names))]
        logo = _drawn(name).rotate(float(rng.normal(0, 8)), expand=True, resample=Image.Resampling.BICUBIC)
        logo = logo.crop(logo.getbbox())
        scale = float(rng.uniform(48, 170)) / max(logo.size)
        size = (round(logo.width * scale * rng.uniform(0.8, 1.0)), round(logo.height * scale))
        logo = logo.resize(size, Image.Resampling.LANCZOS)
        left, top = int(rng.integers(0, _SCENE[0] - size[0])), int(rng.integers(0, _SCENE[1] - size[1]))
        if any(left < x + w and x < left + size[0] and top < y + h and y < top + size[1] for _, (x, y, w, h) in boxes):
            continue
        scene.paste(logo, (left, top), logo)
        boxes.append((name, (left, top, *size)))
    return photographed(scene, rng), boxes


def pictures(rng: np.random.Generator, part: str, count: int) -> Iterator[Picture]:
    """Logos alone for training, each kind in turn; scenes with boxes for all else."""
    names = list(LOGOS)
    for number in range(count):
        if part == "train":
            name = names[number % len(names)]
            photo = _logo_photo(rng, name)
            yield Picture(f"{name}-{number // len(names) + 1}", photo, partial(image_line, labels=[name]), 92)
        else:
            scene, boxes = _scene(rng)
            yield Picture(f"scene-{number + 1:03}", scene, partial(box_line, size=_SCENE, boxes=boxes), 90)
