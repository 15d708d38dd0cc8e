"""Boxes and labels drawn into images, legible on any background and at any size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from rcl_cli.imaging.decode import decode

# Okabe and Ito's palette: apart for colour-blind readers too.
_COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167))


def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size_px)


def _text_colour(background: tuple[int, int, int]) -> tuple[int, int, int]:
    """Black on light, white on dark (relative luminance after ITU-R BT.601)."""
    red, green, blue = background
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else (255, 255, 255)


def _outline(
    pen: ImageDraw.ImageDraw, box: tuple[float, float, float, float], colour: tuple[int, int, int], width: int
) -> None:
    """A frame with a thin dark rim on both sides, so that it shows on any background."""
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
    canvas = Image.fromarray(decode(image))
    # Small images are enlarged, or the text would cover what it names.
    factor = max(1, round(900 / max(canvas.size)))
    if factor > 1:
        canvas = canvas.resize((canvas.width * factor, canvas.height * factor), Image.Resampling.LANCZOS)
    pen = ImageDraw.Draw(canvas)
    size_px = max(12, max(canvas.size) // 60)
    font = _font(size_px)
    names = sorted({label["Name"] for label in labels})
    colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}
    width = max(2, size_px // 6)
    row = 0
    taken: list[tuple[float, float, float, float]] = []
    for label in labels:
        colour = colours[label["Name"]]
        text = f"{label['Name']} {label['Confidence']:.0f}%"
        box = label.get("Geometry", {}).get("BoundingBox")
        if box is None:
            anchor = (width, width + row * (size_px + 8))
            row += 1
        else:
            left, top = box["Left"] * canvas.width, box["Top"] * canvas.height
            frame = (left, top, left + box["Width"] * canvas.width, top + box["Height"] * canvas.height)
            _outline(pen, frame, colour, width)
            anchor = (int(left), int(top))
        _tag(pen, text, anchor, colour, font, canvas.size, taken, below=box is None)
    canvas.save(out)
    return len(labels)


def _tag(
    pen: ImageDraw.ImageDraw,
    text: str,
    anchor: tuple[int, int],
    colour: tuple[int, int, int],
    font: Any,
    size: tuple[int, int],
    taken: list[tuple[float, float, float, float]],
    *,
    below: bool,
) -> None:
    """A filled name tag above its box, moved inside the image and off other tags."""
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    w, h = right - left + 8, bottom - top + 6
    x = min(max(anchor[0], 0), max(0, size[0] - w))
    y = anchor[1] if below else anchor[1] - h
    y = min(max(y, 0), max(0, size[1] - h))
    for _ in range(20):
        if not any(x < tx + tw and tx < x + w and y < ty + th and ty < y + h for tx, ty, tw, th in taken):
            break
        y = y + h if y + 2 * h <= size[1] else 0
    taken.append((x, y, w, h))
    pen.rectangle([x, y, x + w, y + h], fill=colour, outline=(0, 0, 0))
    pen.text((x + 4 - left, y + 3 - top), text, fill=_text_colour(colour), font=font)
