"""Control characters written out, so that no name that somebody else chose can steer a terminal."""

from __future__ import annotations

# C0 but the line end, DEL and C1; what turns the direction of writing; what ends lines elsewhere.
_STEERING = (
    *range(0x0A), *range(0x0B, 0x20), *range(0x7F, 0xA0),
    0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029,
)  # fmt: skip
_ESCAPES = {code: chr(code).encode("unicode_escape").decode("ascii") for code in _STEERING}


def shown(text: str) -> str:
    """A text for people: what a terminal would obey is written as in Python, with a backslash; line ends stay."""
    return text if text.isprintable() else text.translate(_ESCAPES)
