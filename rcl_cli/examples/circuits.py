"""Procedural circuit boards with labelled parts: an example project for object localization."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from PIL import Image, ImageDraw

from rcl_cli.examples.drawing import Picture, box_line, photographed, some_quality, tint

Size = tuple[int, int]
_SCALE = 4
_SIZE = (320, 256)
_BOARDS = ((24, 92, 48), (18, 66, 110), (122, 28, 34), (38, 38, 42), (160, 150, 110), (86, 40, 110))
_BANDS = ((120, 60, 20), (20, 20, 20), (200, 40, 30), (235, 140, 20), (240, 210, 40), (60, 140, 60), (210, 180, 90))


def _canvas(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    part = Image.new("RGBA", (width * _SCALE, height * _SCALE), (0, 0, 0, 0))
    return part, ImageDraw.Draw(part)


def _resistor(rng: np.random.Generator) -> Image.Image:
    length, thick = int(rng.integers(34, 56)), int(rng.integers(10, 16))
    part, draw = _canvas(length, thick)
    w, h = part.size
    draw.line([(0, h // 2), (w, h // 2)], fill=tint(rng, (190, 190, 195)), width=h // 6)
    draw.rounded_rectangle([w // 6, 0, w - w // 6, h - 1], h // 2, fill=tint(rng, (205, 180, 135)))
    for i in range(4):
        x = w // 6 + (i + 1) * (w - w // 3) // 5
        draw.rectangle([x - w // 40, h // 12, x + w // 40, h - h // 12], fill=_BANDS[rng.integers(len(_BANDS))])
    return part


def _capacitor(rng: np.random.Generator) -> Image.Image:
    side = int(rng.integers(20, 36))
    part, draw = _canvas(side, side)
    w, _ = part.size
    body = tint(rng, ((40, 50, 90), (60, 35, 30), (35, 35, 35))[rng.integers(3)])
    draw.ellipse([0, 0, w - 1, w - 1], fill=body)
    draw.ellipse([w // 8, w // 8, w - w // 8, w - w // 8], fill=tint(rng, (185, 188, 195)))
    draw.line([(w // 2, w // 4), (w // 2, w - w // 4)], fill=(110, 112, 118), width=w // 20)
    draw.line([(w // 4, w // 2), (w - w // 4, w // 2)], fill=(110, 112, 118), width=w // 20)
    draw.pieslice([0, 0, w - 1, w - 1], 60, 120, fill=tint(rng, (215, 215, 220)))
    return part


def _chip(rng: np.random.Generator) -> Image.Image:
    pins = int(rng.integers(4, 9))
    length, thick = pins * int(rng.integers(7, 10)), int(rng.integers(24, 36))
    part, draw = _canvas(length, thick)
    w, h = part.size
    for i in range(pins):
        x = (2 * i + 1) * w // (2 * pins)
        draw.rectangle([x - w // (5 * pins), 0, x + w // (5 * pins), h - 1], fill=tint(rng, (200, 200, 205)))
    draw.rectangle([0, h // 6, w - 1, h - h // 6], fill=tint(rng, (34, 34, 36), 10))
    draw.ellipse([w // 24, h // 2 - h // 14, w // 24 + h // 7, h // 2 + h // 14], fill=(90, 90, 92))
    for row in range(2):
        y = h // 3 + row * h // 5
        draw.line([(w // 4, y), (w - w // 4, y)], fill=(130, 130, 132), width=h // 24)
    return part


def _led(rng: np.random.Generator) -> Image.Image:
    side = int(rng.integers(16, 28))
    part, draw = _canvas(side, side)
    w, _ = part.size
    colour = ((240, 50, 40), (60, 230, 80), (70, 120, 255), (250, 220, 60))[rng.integers(4)]
    draw.ellipse([0, 0, w - 1, w - 1], fill=tint(rng, (225, 225, 225)))
    draw.ellipse([w // 10, w // 10, w - w // 10, w - w // 10], fill=tint(rng, colour))
    draw.ellipse([w // 4, w // 5, w // 2, w // 2], fill=tuple(min(255, c + 110) for c in colour))
    return part


def _connector(rng: np.random.Generator) -> Image.Image:
    pins = int(rng.integers(3, 7))
    length, thick = pins * int(rng.integers(9, 12)), int(rng.integers(14, 20))
    part, draw = _canvas(length, thick)
    w, h = part.size
    draw.rectangle(
        [0, 0, w - 1, h - 1], fill=tint(rng, ((238, 236, 228), (30, 60, 140), (25, 25, 25))[rng.integers(3)])
    )
    for i in range(pins):
        x = (2 * i + 1) * w // (2 * pins)
        r = min(h // 4, w // (4 * pins))
        draw.rectangle([x - r, h // 2 - r, x + r, h // 2 + r], fill=tint(rng, (220, 185, 70)), outline=(20, 20, 20))
    return part


PARTS: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    "resistor": _resistor,
    "capacitor": _capacitor,
    "chip": _chip,
    "led": _led,
    "connector": _connector,
}


def _board(rng: np.random.Generator, size: Size) -> Image.Image:
    """An empty board: traces, vias, mounting holes and silk marks, none of which is a part."""
    width, height = size
    colour = _BOARDS[rng.integers(len(_BOARDS))]
    image = Image.new("RGB", size, tint(rng, colour, 25))
    draw = ImageDraw.Draw(image)
    trace = tuple(min(255, int(c * 1.35) + 12) for c in colour)
    for _ in range(int(rng.integers(10, 24))):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        points = [(x, y)]
        for _ in range(int(rng.integers(2, 5))):
            step = int(rng.integers(15, 70)) * int(rng.choice((-1, 1)))
            dx, dy = ((step, 0), (0, step), (step, step))[rng.integers(3)]
            x, y = x + dx, y + dy
            points.append((x, y))
        draw.line(points, fill=trace, width=int(rng.integers(1, 4)))
    for _ in range(int(rng.integers(8, 30))):
        x, y, r = int(rng.integers(0, width)), int(rng.integers(0, height)), int(rng.integers(2, 4))
        draw.ellipse([x - r, y - r, x + r, y + r], fill=(200, 175, 90), outline=(30, 30, 30))
    for _ in range(int(rng.integers(0, 4))):
        x, y, r = int(rng.integers(0, width)), int(rng.integers(0, height)), int(rng.integers(6, 10))
        draw.ellipse([x - r, y - r, x + r, y + r], fill=(225, 225, 220), outline=(150, 130, 60), width=3)
    for _ in range(int(rng.integers(3, 9))):
        mark = f"{rng.choice(tuple('RCUDJ'))}{rng.integers(1, 99)}"
        draw.text((int(rng.integers(0, width)), int(rng.integers(0, height))), mark, fill=(225, 225, 220))
    return image


def draw_board(rng: np.random.Generator, size: Size) -> tuple[Image.Image, list[tuple[str, tuple[int, int, int, int]]]]:
    """A populated board, and (label, (left, top, width, height) in pixels) of each part."""
    image = _board(rng, size)
    boxes: list[tuple[str, tuple[int, int, int, int]]] = []
    names = list(PARTS)
    for _ in range(int(rng.integers(4, 11))):
        name = names[rng.integers(len(names))]
        part = PARTS[name](rng)
        angle = float(rng.choice((0, 90, 180, 270))) + float(rng.normal(0, 4))
        part = part.rotate(angle, expand=True, resample=Image.Resampling.BICUBIC)
        part = part.resize((part.width // _SCALE, part.height // _SCALE), Image.Resampling.LANCZOS)
        part = part.crop(part.getbbox())
        spot = _free_spot(rng, size, part.size, [box for _, box in boxes])
        if spot is None:
            continue
        shadow = Image.new("RGBA", part.size, (0, 0, 0, 255))
        shadow.putalpha(part.getchannel("A").point(lambda a: a // 3))
        image.paste(shadow, (spot[0] + 2, spot[1] + 2), shadow)
        image.paste(part, spot, part)
        boxes.append((name, (*spot, *part.size)))
    return photographed(image, rng), boxes


def _free_spot(rng: np.random.Generator, size: Size, part: Size, taken: list[tuple[int, int, int, int]]) -> Size | None:
    for _ in range(30):
        if part[0] >= size[0] or part[1] >= size[1]:
            return None
        left, top = int(rng.integers(0, size[0] - part[0])), int(rng.integers(0, size[1] - part[1]))
        clear = all(
            left >= x + w + 2 or x >= left + part[0] + 2 or top >= y + h + 2 or y >= top + part[1] + 2
            for x, y, w, h in taken
        )
        if clear:
            return left, top
    return None


def pictures(rng: np.random.Generator, _part: str, count: int) -> Iterator[Picture]:
    """Boards, with boxes around their parts."""
    for number in range(1, count + 1):
        image, boxes = draw_board(rng, _SIZE)
        yield Picture(f"board-{number:03}", image, partial(box_line, size=_SIZE, boxes=boxes), some_quality(rng))
