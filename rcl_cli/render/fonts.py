"""A font that has the characters of a text: Pillow's own one, or one of the system."""

from __future__ import annotations

import shutil
import subprocess
from functools import lru_cache
from typing import Any

from PIL import ImageFont

# No font has a character for it: what is drawn instead is what is drawn for every other that it lacks.
_LACKING = "\uffff"
# Where there is no fontconfig: what macOS has for everything.
_WIDE_FONTS = ("Arial Unicode.ttf",)


def font_for(text: str, size_px: int) -> Any:
    """The font that a text is drawn with.

    Args:
        size_px: of its letters.
    """
    beyond = "".join(sorted({character for character in text if _is_lacking(character)}))
    path = _system_font(beyond) if beyond else None
    return ImageFont.truetype(path, size_px) if path else ImageFont.load_default(size_px)


@lru_cache(maxsize=4096)
def _is_lacking(character: str) -> bool:
    """Whether Pillow's own font does not have a character."""
    if character.isascii():
        return False
    font = ImageFont.load_default(12)
    return bytes(font.getmask(character)) == bytes(font.getmask(_LACKING))


@lru_cache(maxsize=256)
def _system_font(characters: str) -> str | None:
    """The path of a font that has characters; None where the system has none."""
    if shutil.which("fc-match"):
        charset = " ".join(f"{ord(character):x}" for character in characters)
        words = ["fc-match", "--format=%{file}", f"sans:charset={charset}"]
        path = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
        return path if path and _opens(path) else None
    return next((name for name in _WIDE_FONTS if _opens(name)), None)


def _opens(path: str) -> bool:
    try:
        ImageFont.truetype(path, 12)
    except OSError:
        return False
    return True
