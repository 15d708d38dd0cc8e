"""Procedural flowers: an example project for multi-label classification, several labels an image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from rcl_cli.examples.drawing import Picture, image_line, photographed, some_quality, tint

Pen = ImageDraw.ImageDraw
Rng = np.random.Generator
Colour = tuple[int, int, int]
Point = tuple[float, float]

SIZE = (256, 256)
# Drawn larger, for smooth edges.
_SCALE = 2
_SIDE = SIZE[0] * _SCALE
_GROUNDS: tuple[Colour, ...] = ((70, 110, 60), (150, 185, 215), (120, 95, 70), (200, 200, 190), (60, 70, 80))


def _petal(pen: Pen, centre: Point, angle: float, length: float, width: float, colour: Colour) -> None:
    """A leaf-shaped outline that begins at a point; angle in radians."""
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    steps = np.linspace(0, 1, 14)
    bulge = np.sin(np.pi * steps) ** 0.8 * width / 2
    one = [tuple(np.array(centre) + along * length * t + across * b) for t, b in zip(steps, bulge, strict=True)]
    other = [tuple(np.array(centre) + along * length * t - across * b) for t, b in zip(steps, bulge, strict=True)]
    pen.polygon([(float(x), float(y)) for x, y in [*one, *reversed(other)]], fill=colour)


def _ring(rng: Rng, pen: Pen, at: Point, size: float, count: int, width: float, colour: Colour) -> None:
    """Petals all around a point."""
    first = rng.uniform(0, 2 * np.pi)
    for number in range(count):
        angle = first + 2 * np.pi * number / count + rng.normal(0, 0.05)
        _petal(pen, at, angle, size * rng.uniform(0.9, 1.05), width, tint(rng, colour, 10))


def _disc(pen: Pen, at: Point, radius: float, colour: Colour) -> None:
    pen.ellipse([at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius], fill=colour)


def _daisy(rng: Rng, pen: Pen, at: Point, size: float) -> None:
    _ring(rng, pen, at, size, int(rng.integers(14, 20)), size * 0.26, (246, 246, 242))
    _disc(pen, at, size * 0.28, tint(rng, (245, 200, 40)))


def _sunflower(rng: Rng, pen: Pen, at: Point, size: float) -> None:
    for _ in range(2):
        _ring(rng, pen, at, size, int(rng.integers(16, 22)), size * 0.3, (245, 185, 30))
    _disc(pen, at, size * 0.5, tint(rng, (75, 45, 25), 12))
    for dx, dy in rng.normal(0, size * 0.2, (30, 2)):
        _disc(pen, (at[0] + dx, at[1] + dy), 3, tint(rng, (120, 80, 40)))


def _tulip(rng: Rng, pen: Pen, at: Point, size: float) -> None:
    colour = tint(rng, ((205, 40, 60), (235, 120, 170), (245, 200, 60), (130, 50, 130))[rng.integers(4)])
    low = (at[0], at[1] + size * 0.7)
    for angle in (-2.1, -1.05, -1.85, -1.3, -1.57):
        _petal(pen, low, angle + rng.normal(0, 0.04), size * 1.4, size * 0.62, tint(rng, colour, 14))


def _poppy(rng: Rng, pen: Pen, at: Point, size: float) -> None:
    colour = tint(rng, (215, 45, 25))
    _ring(rng, pen, at, size, 5, size * 1.05, colour)
    _disc(pen, at, size * 0.2, (25, 25, 28))
    for angle in rng.uniform(0, 2 * np.pi, 14):
        _disc(pen, (at[0] + size * 0.3 * np.cos(angle), at[1] + size * 0.3 * np.sin(angle)), 4, (30, 25, 30))


FLOWERS: dict[str, Callable[[Rng, Pen, Point, float], None]] = {
    "daisy": _daisy,
    "poppy": _poppy,
    "sunflower": _sunflower,
    "tulip": _tulip,
}
LEAVES, NO_LEAVES = "with_leaves", "without_leaves"


def _ground(rng: Rng) -> Image.Image:
    """Something out of focus."""
    ground = Image.new("RGB", (_SIDE, _SIDE), tint(rng, _GROUNDS[rng.integers(len(_GROUNDS))], 30))
    pen = ImageDraw.Draw(ground)
    for x, y, radius in rng.uniform((0, 0, 20), (_SIDE, _SIDE, 90), (14, 3)):
        _disc(pen, (x, y), radius, tint(rng, ground.getpixel((0, 0)), 45))  # type: ignore[arg-type]
    return ground.filter(ImageFilter.GaussianBlur(16))


def draw_flowers(rng: Rng) -> tuple[Image.Image, list[str]]:
    """Flowers of one kind or two, with leaves or without, and their labels."""
    image = _ground(rng)
    pen = ImageDraw.Draw(image)
    kinds = list(rng.permutation(list(FLOWERS))[: int(rng.integers(1, 3))])
    has_leaves = bool(rng.random() < 0.5)
    count = max(len(kinds), int(rng.integers(1, 5)))
    for number in range(count):
        kind = str(kinds[number % len(kinds)])
        size = float(rng.uniform(52, 92)) / (1 + 0.12 * count)
        x = _SIDE * (number + 0.5) / count + rng.normal(0, 14)
        y = float(rng.uniform(0.22, 0.5)) * _SIDE
        foot = (x + rng.normal(0, 30), float(_SIDE))
        pen.line([(x, y), foot], fill=tint(rng, (70, 130, 60)), width=int(rng.integers(7, 12)))
        if has_leaves:
            for share in rng.uniform(0.35, 0.9, int(rng.integers(2, 5))):
                at = (x + (foot[0] - x) * share, y + (foot[1] - y) * share)
                angle = float(rng.choice((-0.6, np.pi + 0.6)) + rng.normal(0, 0.3))
                _petal(pen, at, angle, size * rng.uniform(1.0, 1.6), size * 0.5, tint(rng, (50, 120, 50), 22))
        FLOWERS[kind](rng, pen, (x, y), size)
    image = image.resize(SIZE, Image.Resampling.LANCZOS)
    return photographed(image, rng), [*sorted(map(str, kinds)), LEAVES if has_leaves else NO_LEAVES]


def pictures(rng: Rng, _part: str, count: int) -> Iterator[Picture]:
    """Flowers with the labels that apply."""
    for number in range(1, count + 1):
        image, labels = draw_flowers(rng)
        yield Picture(f"flowers-{number:03}", image, partial(image_line, labels=labels), some_quality(rng))
