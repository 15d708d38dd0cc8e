"""Procedural pictures of rooms: an example project for image classification, one label an image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from PIL import Image, ImageDraw

from rcl_cli.examples.drawing import Picture, image_line, photographed, some_quality, tint

Pen = ImageDraw.ImageDraw
Rng = np.random.Generator
Colour = tuple[int, int, int]

SIZE = (288, 216)
# Drawn larger, for smooth edges.
_SCALE = 2
_WIDTH, _HEIGHT = SIZE[0] * _SCALE, SIZE[1] * _SCALE
_WALLS: tuple[Colour, ...] = ((228, 222, 208), (200, 214, 220), (214, 205, 190), (190, 200, 180), (226, 205, 200))
_WOODS: tuple[Colour, ...] = ((140, 96, 58), (176, 132, 84), (96, 66, 44), (200, 170, 130), (235, 232, 226))
_CLOTHS: tuple[Colour, ...] = ((60, 90, 150), (150, 60, 60), (90, 120, 80), (190, 160, 110), (110, 110, 120))


def _pick(rng: Rng, colours: tuple[Colour, ...], spread: int = 18) -> Colour:
    return tint(rng, colours[rng.integers(len(colours))], spread)


def _darker(colour: Colour, share: float = 0.75) -> Colour:
    red, green, blue = (int(part * share) for part in colour)
    return red, green, blue


def _between(rng: Rng, low: float, high: float) -> int:
    return int(rng.uniform(low, high))


def _box(pen: Pen, left: float, top: float, width: float, height: float, colour: Colour, radius: float = 0) -> None:
    pen.rounded_rectangle(
        [left, top, left + width, top + height], radius, fill=colour, outline=_darker(colour), width=2
    )


# --- what may be in any room ------------------------------------------------------------------------------------------


def _window(rng: Rng, pen: Pen, floor: int) -> None:
    width, height = _between(rng, 70, 130), _between(rng, 70, 120)
    left, top = _between(rng, 10, _WIDTH - width - 10), _between(rng, 16, max(20, floor - height - 60))
    _box(pen, left, top, width, height, tint(rng, (235, 235, 235)))
    _box(pen, left + 6, top + 6, width - 12, height - 12, tint(rng, (150, 190, 225), 30))
    pen.line([(left + width / 2, top), (left + width / 2, top + height)], fill=(230, 230, 230), width=5)


def _picture(rng: Rng, pen: Pen, floor: int) -> None:
    width, height = _between(rng, 40, 80), _between(rng, 30, 60)
    left, top = _between(rng, 10, _WIDTH - width - 10), _between(rng, 16, max(20, floor - height - 90))
    _box(pen, left, top, width, height, _pick(rng, _WOODS))
    _box(pen, left + 6, top + 6, width - 12, height - 12, _pick(rng, _CLOTHS, 60))


def _plant(rng: Rng, pen: Pen, floor: int) -> None:
    x, base = _between(rng, 20, _WIDTH - 20), floor + _between(rng, 0, 40)
    for angle in rng.uniform(-1.2, 1.2, 9):
        end = (x + 46 * np.sin(angle), base - 26 - 60 * np.cos(angle))
        pen.line([(x, base - 24), end], fill=tint(rng, (60, 130, 70), 25), width=7)
    _box(pen, x - 16, base - 28, 32, 30, tint(rng, (170, 90, 60)), 4)


_ANYWHERE = (_window, _picture, _plant)


# --- rooms ------------------------------------------------------------------------------------------------------------


def _kitchen(rng: Rng, pen: Pen, floor: int) -> None:
    cupboard, top = _pick(rng, _WOODS), floor - _between(rng, 70, 90)
    unit = _between(rng, 64, 84)
    for left in range(0, _WIDTH, unit):
        _box(pen, left, top, unit, floor - top + 20, cupboard)
        pen.line([(left + unit - 12, top + 20), (left + unit - 12, top + 40)], fill=(60, 60, 60), width=4)
        if rng.random() < 0.7:
            _box(pen, left, 14, unit, _between(rng, 60, 90), cupboard)
    _box(pen, 0, top - 12, _WIDTH, 14, tint(rng, (90, 90, 95), 40))
    stove = _between(rng, 0, _WIDTH - 100)
    _box(pen, stove, top - 4, 90, floor - top + 24, tint(rng, (215, 215, 220)))
    _box(pen, stove + 14, top + 26, 62, 40, (30, 30, 34))
    for number in range(4):
        pen.ellipse([stove + 8 + 20 * number, top + 4, stove + 20 + 20 * number, top + 16], fill=(40, 40, 44))
    fridge = (stove + _between(rng, 170, 340)) % (_WIDTH - 90)
    _box(pen, fridge, top - 110, 86, floor - top + 130, tint(rng, (225, 228, 230)), 6)
    pen.line([(fridge, top - 30), (fridge + 86, top - 30)], fill=(120, 120, 125), width=4)


def _bathroom(rng: Rng, pen: Pen, floor: int) -> None:
    grout, tile = tint(rng, (170, 180, 190)), _between(rng, 22, 36)
    for x in range(0, _WIDTH, tile):
        pen.line([(x, 40), (x, floor)], fill=grout, width=2)
    for y in range(40, floor, tile):
        pen.line([(0, y), (_WIDTH, y)], fill=grout, width=2)
    white, tub = tint(rng, (242, 242, 244), 8), _between(rng, 0, _WIDTH - 280)
    _box(pen, tub, floor - 40, 260, 90, white, 34)
    _box(pen, tub + 12, floor - 34, 236, 22, tint(rng, (170, 205, 220)), 10)
    pen.line([(tub + 30, floor - 40), (tub + 30, floor - 80), (tub + 56, floor - 80)], fill=(120, 125, 130), width=7)
    basin = (tub + _between(rng, 290, 400)) % (_WIDTH - 110)
    pen.pieslice([basin, floor - 90, basin + 100, floor - 10], 0, 180, fill=white, outline=(150, 150, 155), width=3)
    _box(pen, basin + 40, floor - 46, 20, 80, white)
    pen.ellipse(
        [basin + 14, floor - 220, basin + 86, floor - 120],
        fill=tint(rng, (205, 222, 230)),
        outline=(120, 120, 120),
        width=5,
    )


def _bedroom(rng: Rng, pen: Pen, floor: int) -> None:
    wood, width = _pick(rng, _WOODS), _between(rng, 230, 310)
    left = _between(rng, 60, _WIDTH - width - 60)
    _box(pen, left, floor - 110, width, 120, wood, 12)
    _box(pen, left - 6, floor - 30, width + 12, 110, _pick(rng, _CLOTHS, 40), 14)
    for x in (left + 16, left + width / 2 + 8):
        _box(pen, x, floor - 66, width / 2 - 26, 46, tint(rng, (242, 240, 235), 10), 16)
    for x in (left - 58, left + width + 10):
        if rng.random() < 0.75:
            _box(pen, x, floor - 30, 46, 60, wood)
            pen.polygon(
                [(x + 8, floor - 60), (x + 38, floor - 60), (x + 32, floor - 94), (x + 14, floor - 94)],
                fill=tint(rng, (250, 225, 160)),
            )
            pen.line([(x + 23, floor - 60), (x + 23, floor - 30)], fill=(80, 80, 80), width=4)


def _living_room(rng: Rng, pen: Pen, floor: int) -> None:
    cloth, width = _pick(rng, _CLOTHS, 40), _between(rng, 230, 300)
    left = _between(rng, 10, _WIDTH - width - 10)
    pen.ellipse([left - 40, floor + 40, left + width + 40, floor + 120], fill=_pick(rng, _CLOTHS, 50))
    _box(pen, left, floor - 80, width, 80, cloth, 18)
    _box(pen, left + 24, floor - 30, width - 48, 56, _darker(cloth, 0.9), 10)
    for x in (left - 14, left + width - 24):
        _box(pen, x, floor - 46, 38, 80, cloth, 16)
    for _ in range(int(rng.integers(1, 4))):
        x = _between(rng, left + 30, left + width - 70)
        _box(pen, x, floor - 62, 40, 38, _pick(rng, _CLOTHS, 70), 10)
    if rng.random() < 0.8:
        _box(pen, left + width / 3, floor + 50, 120, 14, _pick(rng, _WOODS))
        pen.line([(left + width / 3 + 14, floor + 64), (left + width / 3 + 14, floor + 90)], fill=(60, 45, 30), width=8)
        pen.line(
            [(left + width / 3 + 106, floor + 64), (left + width / 3 + 106, floor + 90)], fill=(60, 45, 30), width=8
        )


def _office(rng: Rng, pen: Pen, floor: int) -> None:
    wood, width = _pick(rng, _WOODS), _between(rng, 240, 320)
    left = _between(rng, 10, _WIDTH - width - 10)
    for row in range(int(rng.integers(1, 3))):
        shelf = _between(rng, 10, _WIDTH - 200)
        y = 60 + 60 * row
        _box(pen, shelf, y, 190, 10, wood)
        for x in range(shelf + 4, shelf + 170, 14):
            height = _between(rng, 26, 44)
            _box(pen, x, y - height, 12, height, _pick(rng, _CLOTHS, 80))
    _box(pen, left, floor - 50, width, 16, wood)
    for x in (left + 6, left + width - 20):
        _box(pen, x, floor - 34, 14, 90, _darker(wood))
    for number in range(int(rng.integers(1, 3))):
        x = left + 40 + 120 * number
        _box(pen, x, floor - 130, 104, 64, (26, 28, 32), 4)
        _box(pen, x + 6, floor - 124, 92, 52, tint(rng, (90, 140, 190), 60))
        pen.line([(x + 52, floor - 66), (x + 52, floor - 50)], fill=(40, 40, 44), width=10)
    x = left + _between(rng, 40, width - 100)
    _box(pen, x, floor - 40, 70, 66, (44, 46, 52), 12)
    pen.line([(x + 35, floor + 26), (x + 35, floor + 64)], fill=(60, 60, 64), width=8)
    pen.line([(x, floor + 70), (x + 70, floor + 70)], fill=(60, 60, 64), width=8)


def _backyard(rng: Rng, pen: Pen, floor: int) -> None:
    pen.rectangle([0, 0, _WIDTH, floor], fill=tint(rng, (150, 195, 235), 30))
    pen.rectangle([0, floor, _WIDTH, _HEIGHT], fill=tint(rng, (80, 145, 65), 25))
    fence, step = _pick(rng, _WOODS), _between(rng, 26, 40)
    top = floor - _between(rng, 60, 110)
    for x in range(0, _WIDTH, step):
        pen.polygon(
            [(x, floor + 8), (x, top), (x + step / 2 - 3, top - 12), (x + step - 6, top), (x + step - 6, floor + 8)],
            fill=fence,
        )
    for _ in range(int(rng.integers(1, 4))):
        x, size = _between(rng, 30, _WIDTH - 30), _between(rng, 40, 80)
        pen.rectangle([x - 8, floor - 90, x + 8, floor + 20], fill=tint(rng, (95, 65, 40)))
        for dx, dy in rng.uniform(-0.7, 0.7, (6, 2)) * size:
            shade = tint(rng, (50, 115, 55), 25)
            pen.ellipse(
                [x + dx - size / 2, floor - 110 + dy - size / 2, x + dx + size / 2, floor - 110 + dy + size / 2],
                fill=shade,
            )


ROOMS: dict[str, Callable[[Rng, Pen, int], None]] = {
    "backyard": _backyard,
    "bathroom": _bathroom,
    "bedroom": _bedroom,
    "kitchen": _kitchen,
    "living_room": _living_room,
    "office": _office,
}


def draw_room(rng: Rng, name: str) -> Image.Image:
    """A room: its wall and floor, what makes it such a room, and what may be anywhere."""
    floor = int(_HEIGHT * rng.uniform(0.58, 0.7))
    room = Image.new("RGB", (_WIDTH, _HEIGHT), _pick(rng, _WALLS, 25))
    pen = ImageDraw.Draw(room)
    pen.rectangle([0, floor, _WIDTH, _HEIGHT], fill=_pick(rng, _WOODS, 25))
    things = [thing for thing in _ANYWHERE if rng.random() < 0.5]
    if name != "backyard":
        for thing in things:
            thing(rng, pen, floor)
    ROOMS[name](rng, pen, floor)
    if name == "backyard" and _plant in things:
        _plant(rng, pen, floor)
    if rng.random() < 0.5:
        room = room.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return photographed(room.resize(SIZE, Image.Resampling.LANCZOS), rng)


def pictures(rng: Rng, _part: str, count: int) -> Iterator[Picture]:
    """Rooms of all kinds in turn."""
    names = list(ROOMS)
    for number in range(1, count + 1):
        name = names[number % len(names)]
        image = draw_room(rng, name)
        yield Picture(f"room-{number:03}", image, partial(image_line, labels=[name]), some_quality(rng))
