"""Boxes and labels drawn into images, legible on any background and at any size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from rcl_cli.imaging.decode import decode_picture
from rcl_cli.render.fonts import font_for

Colour = tuple[int, int, int]
Frame = tuple[float, float, float, float]
# Okabe and Ito's palette: apart for colour-blind readers too.
COLOURS: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)


def colours_of(labels: Iterable[str]) -> dict[str, Colour]:
    """A colour for each label, the same for the same labels."""
    return {label: COLOURS[number % len(COLOURS)] for number, label in enumerate(sorted(set(labels)))}


def text_colour(background: Colour) -> Colour:
    """Black on light, white on dark (relative luminance after ITU-R BT.601)."""
    red, green, blue = background
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else (255, 255, 255)


def outline(pen: ImageDraw.ImageDraw, box: Frame, colour: Colour, width: int) -> None:
    """A frame with a thin dark rim on both sides, so that it shows on any background.

    Args:
        box: left, top, right, bottom in pixels.
    """
    left, top, right, bottom = box
    pen.rectangle([left - 1, top - 1, right + 1, bottom + 1], outline=(0, 0, 0), width=width + 2)
    pen.rectangle([left, top, right, bottom], outline=colour, width=width)


def draw_labels(image: bytes | Path, labels: Sequence[dict[str, Any]], out: Path) -> int:
    """Draw CustomLabels into a copy of an image.

    Args:
        image: JPEG or PNG, as bytes or a path; drawn upright.
        labels: as DetectCustomLabels returns them.
        out: PNG or JPEG to write.

    Returns:
        How many labels were drawn.

    Raises:
        ServiceError: the image can't be decoded.
        OSError: `out` can't be written.
    """
    canvas = decode_picture(image)
    # Small images are enlarged, or the text would cover what it names.
    factor = max(1, round(900 / max(canvas.size)))
    if factor > 1:
        canvas = canvas.resize((canvas.width * factor, canvas.height * factor), Image.Resampling.LANCZOS)
    size_px = max(12, max(canvas.size) // 60)
    width = max(2, size_px // 6)
    tags = Tags(canvas, size_px)
    colours = colours_of(label["Name"] for label in labels)
    corners = [_drawn_frame(tags.pen, canvas.size, label, colours[label["Name"]], width) for label in labels]
    row = 0
    # After all frames: none of them may go through what is written.
    for label, corner in zip(labels, corners, strict=True):
        text, colour = f"{label['Name']} {label['Confidence']:.0f}%", colours[label["Name"]]
        if corner is None:
            tags.add(text, (width, width + row * (size_px + 8)), colour, above=False)
            row += 1
        else:
            tags.add(text, corner, colour, above=True)
    canvas.save(out)
    return len(labels)


def _drawn_frame(
    pen: ImageDraw.ImageDraw, size: tuple[int, int], label: dict[str, Any], colour: Colour, width: int
) -> tuple[int, int] | None:
    """Draw the frame of a label's box; its upper left corner, None where it has no box."""
    box = label.get("Geometry", {}).get("BoundingBox")
    if box is None:
        return None
    across, down = size
    left, top = box["Left"] * across, box["Top"] * down
    outline(pen, (left, top, left + box["Width"] * across, top + box["Height"] * down), colour, width)
    return int(left), int(top)


class Tags:
    """Filled name tags on an image, kept inside it and off each other.

    Args:
        size_px: of their letters.
    """

    def __init__(self, canvas: Image.Image, size_px: int) -> None:
        self.pen = ImageDraw.Draw(canvas)
        self._size, self._size_px = canvas.size, size_px
        self._taken: list[Frame] = []

    def add(self, text: str, anchor: tuple[int, int], colour: Colour, *, above: bool) -> None:
        """Draw a tag.

        Args:
            anchor: its left edge, and its lower edge if it lies above, else its upper one; pixels.
        """
        font = font_for(text, self._size_px)
        left, top, right, bottom = self.pen.textbbox((0, 0), text, font=font)
        w, h = right - left + 8, bottom - top + 6
        x = min(max(anchor[0], 0), max(0, self._size[0] - w))
        y = anchor[1] - h if above else anchor[1]
        y = min(max(y, 0), max(0, self._size[1] - h))
        for _ in range(20):
            if not any(x < tx + tw and tx < x + w and y < ty + th and ty < y + h for tx, ty, tw, th in self._taken):
                break
            y = y + h if y + 2 * h <= self._size[1] else 0
        self._taken.append((x, y, w, h))
        self.pen.rectangle([x, y, x + w, y + h], fill=colour, outline=(0, 0, 0))
        self.pen.text((x + 4 - left, y + 3 - top), text, fill=text_colour(colour), font=font)
