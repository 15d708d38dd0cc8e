"""Contact sheets of labelled images: as a picture, or as a page."""

from __future__ import annotations

import base64
import io
from collections import Counter
from typing import Any, NamedTuple

from PIL import Image, ImageDraw

from rcl_cli.render.boxes import COLOURS, Colour, Tags, colours_of, outline
from rcl_cli.render.fonts import font_for
from rcl_cli.render.page import page

Share = tuple[float, float, float, float]
_GAP, _TEXT_PX, _TITLE_PX = 14, 15, 24
_LINE = _TEXT_PX + 6
_PAPER, _INK, _SOFT, _FRAME = (255, 255, 255), (27, 34, 48), (91, 101, 117), (213, 217, 224)
_SHOWN_LABELS = 60
# Beyond so many, colours mean several labels each, and boxes say their names.
_MOST_COLOURS = len(COLOURS)


class Tile(NamedTuple):
    """An image of a sheet.

    Args:
        part: `train`, `test`, or empty where there are no parts.
        boxes: labels, and (left, top, width, height) as shares of the image.
        jpeg: the image, upright and small; empty where it can't be read.
        size: (width, height) of that in pixels.
    """

    name: str
    part: str
    labels: tuple[str, ...]
    boxes: tuple[tuple[str, Share], ...]
    jpeg: bytes
    size: tuple[int, int]


class Sheet(NamedTuple):
    """Some images, and what there is in all.

    Args:
        images: how many there are, by part; the part is empty where there are none.
        labels: images with each label.
        boxed: labels that boxes have.
    """

    title: str
    images: dict[str, int]
    labels: Counter[str]
    boxed: frozenset[str]
    tiles: tuple[Tile, ...]


def _said(sheet: Sheet) -> str:
    """What is shown of what there is."""
    parts = ", ".join(f"{count} {part}" for part, count in sheet.images.items() if part)
    return f"{len(sheet.tiles)} of {sum(sheet.images.values())} images" + (f" ({parts})" if parts else "")


def _name(tile: Tile) -> str:
    return f"{tile.part}: {tile.name}" if tile.part else tile.name


def labels_below(tile: Tile) -> str:
    """What is said below an image: its labels, and how many boxes of each."""
    boxes = Counter(label for label, _ in tile.boxes)
    return ", ".join([*tile.labels, *(f"{label} x{n}" if n > 1 else label for label, n in boxes.items())])


# --- a picture --------------------------------------------------------------------------------------------------------


def sheet_picture(sheet: Sheet, columns: int, tile_px: int) -> Image.Image:
    """A sheet as one picture.

    Args:
        columns: images in a row.
        tile_px: the side of the square that an image lies in.
    """
    columns = min(columns, len(sheet.tiles))
    width = max(_GAP + columns * (tile_px + _GAP), 2 * tile_px)
    counts = sheet.labels
    colours = colours_of(counts)
    legend = _legend(counts, width)
    top = _GAP + _TITLE_PX + _LINE + (max(row for _, _, row, _ in legend) + 1) * _LINE + _GAP if legend else 90
    down = tile_px + 2 * _LINE + _GAP
    rows = -(-len(sheet.tiles) // columns)
    canvas = Image.new("RGB", (width, top + rows * down), _PAPER)
    pen = ImageDraw.Draw(canvas)
    _write(pen, (_GAP, _GAP), sheet.title, _INK, _TITLE_PX, width - 2 * _GAP)
    _write(pen, (_GAP, _GAP + _TITLE_PX + 6), _said(sheet), _SOFT, _TEXT_PX, width - 2 * _GAP)
    first = _GAP + _TITLE_PX + _LINE + 8
    for label, x, row, text in legend:
        _swatch(pen, (x, first + row * _LINE), colours[label] if label in sheet.boxed else _FRAME)
        _write(pen, (x + _LINE, first + row * _LINE), text, _INK, _TEXT_PX, width - x)
    for number, tile in enumerate(sheet.tiles):
        corner = (_GAP + number % columns * (tile_px + _GAP), top + number // columns * down)
        canvas.paste(_picture(tile, tile_px, colours, names=len(counts) > _MOST_COLOURS), corner)
        below = corner[1] + tile_px + 3
        _write(pen, (corner[0], below), labels_below(tile) or "no label", _INK, _TEXT_PX, tile_px)
        _write(pen, (corner[0], below + _LINE), _name(tile), _SOFT, _TEXT_PX, tile_px)
    return canvas


def _legend(counts: Counter[str], width: int) -> list[tuple[str, int, int, str]]:
    """(label, left edge, row, text) of each label, in rows as wide as the sheet."""
    found, x, row = [], _GAP, 0
    for label, count in counts.most_common(_SHOWN_LABELS):
        text = _cut(f"{label} {count}", _TEXT_PX, width - 2 * _GAP - _LINE)
        wide = _LINE + int(font_for(text, _TEXT_PX).getlength(text)) + _GAP
        if x + wide > width and x > _GAP:
            x, row = _GAP, row + 1
        found.append((label, x, row, text))
        x += wide
    return found


def _swatch(pen: ImageDraw.ImageDraw, corner: tuple[int, int], colour: Colour) -> None:
    x, y = corner
    pen.rectangle([x, y + 2, x + _TEXT_PX, y + 2 + _TEXT_PX], fill=colour, outline=(0, 0, 0))


def _cut(text: str, size_px: int, width: int) -> str:
    """A text that is not wider than so many pixels."""
    text = "".join(character if character.isprintable() else " " for character in text)
    font = font_for(text, size_px)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[: -max(1, len(text) // 20)]
    return text + "…"


def _write(pen: ImageDraw.ImageDraw, at: tuple[int, int], text: str, colour: Colour, size_px: int, width: int) -> None:
    cut = _cut(text, size_px, width)
    pen.text(at, cut, fill=colour, font=font_for(cut, size_px))


def _picture(tile: Tile, side: int, colours: dict[str, Colour], *, names: bool) -> Image.Image:
    """An image in the middle of a square, with its boxes; with their names too where colours are too few."""
    square = Image.new("RGB", (side, side), _FRAME)
    if not tile.jpeg:
        _write(ImageDraw.Draw(square), (12, side // 2 - 10), "can't be read", _SOFT, _TEXT_PX, side - 24)
        return square
    small = Image.open(io.BytesIO(tile.jpeg))
    ratio = side / max(small.size)
    image = small.resize((max(1, round(small.width * ratio)), max(1, round(small.height * ratio))))
    tags = Tags(image, 11)
    for label, (left, top, width, height) in tile.boxes:
        x, y = left * image.width, top * image.height
        outline(tags.pen, (x, y, x + width * image.width, y + height * image.height), colours[label], 2)
        if names and font_for(label, 11).getlength(label) <= max(40, width * image.width):
            tags.add(label, (int(x), int(y)), colours[label], above=True)
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


# --- a page -----------------------------------------------------------------------------------------------------------


def sheet_page(sheet: Sheet) -> str:
    """A sheet as one HTML file, with labels to choose by."""
    counts = sheet.labels
    colours = colours_of(counts)
    data: dict[str, Any] = {
        "title": sheet.title,
        "said": _said(sheet),
        "labels": [
            {"name": label, "images": images, "colour": _css(colours[label]) if label in sheet.boxed else ""}
            for label, images in counts.most_common()
        ],
        "tiles": [
            {
                "name": _name(tile),
                "labels": tile.labels,
                "boxes": tile.boxes,
                "url": _url(tile),
                "size": tile.size,
            }
            for tile in sheet.tiles
        ],
    }
    return page("sheet", sheet.title, data)


def _css(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _url(tile: Tile) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(tile.jpeg).decode()}" if tile.jpeg else ""
