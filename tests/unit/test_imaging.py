"""One decoder for training and serving: every odd file gets its pixels or the right error."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rcl_cli.errors import ImageTooLarge, InvalidImageFormat, InvalidParameter, ServiceError
from rcl_cli.imaging.decode import decode, read_header, verify
from rcl_cli.imaging.geometry import letterbox, stretch
from tests.conftest import noisy


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


GRADIENT = Image.fromarray(np.tile(np.arange(100, dtype=np.uint8)[None, :, None], (80, 1, 3)))


def claimed_png(width: int, height: int) -> bytes:
    """A PNG that only claims its size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(64)))


@pytest.mark.parametrize(
    "image",
    [
        GRADIENT.convert("CMYK"),
        GRADIENT.convert("L"),
        GRADIENT.convert("1"),
        GRADIENT.convert("P"),
        GRADIENT.convert("RGBA"),
        GRADIENT.convert("LA"),
    ],
    ids=lambda image: image.mode,
)
def test_modes(image: Image.Image) -> None:
    kind = "JPEG" if image.mode == "CMYK" else "PNG"
    pixels = decode(encoded(image, kind))
    assert pixels.shape == (80, 100, 3)
    assert pixels.dtype == np.uint8


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    image = Image.fromarray(np.full((70, 70), 32768, dtype=np.uint16))
    assert abs(int(decode(encoded(image))[0, 0, 0]) - 128) <= 1


def test_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (70, 70), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert decode(data)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(GRADIENT, "JPEG", exif=exif, quality=95)
    pixels = decode(data)
    turned = orientation >= 5
    assert pixels.shape[:2] == ((100, 80) if turned else (80, 100))
    header = read_header(data)
    assert (header.height, header.width) == pixels.shape[:2]


def test_what_xmp_says_of_orientation_is_nothing() -> None:
    """Neither browsers nor other tools turn by it, and boxes are drawn on what they show."""
    xmp = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
        <rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>
        </rdf:RDF></x:xmpmeta>"""
    out = io.BytesIO()
    noisy((10, 20, 30), (120, 80), 0).save(out, "JPEG", xmp=xmp)
    assert decode(out.getvalue()).shape == (80, 120, 3)
    header = read_header(out.getvalue())
    assert (header.width, header.height) == (120, 80)


def test_exif_of_a_png_is_left_alone() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(encoded(GRADIENT, "PNG", exif=exif)).shape[:2] == (80, 100)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"hello, I am a text file called photo.jpg", InvalidImageFormat),
        (encoded(GRADIENT, "GIF"), InvalidImageFormat),
        (encoded(GRADIENT, "BMP"), InvalidImageFormat),
        (encoded(GRADIENT, "JPEG")[:700], InvalidImageFormat),
        (encoded(GRADIENT)[:-30], InvalidImageFormat),
        (b"", InvalidImageFormat),
        (claimed_png(100_000, 100_000), ImageTooLarge),
        (claimed_png(4097, 100), ImageTooLarge),
        (claimed_png(1, 1), InvalidParameter),
        (claimed_png(63, 100), InvalidParameter),
        (claimed_png(2000, 64), InvalidParameter),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else f"{len(value)} bytes",
)
def test_refused(data: bytes, error: type[ServiceError]) -> None:
    with pytest.raises(error):
        decode(data)


def test_a_palette_that_is_missing_is_damage() -> None:
    """Pillow asserts that it is there."""
    out = io.BytesIO()
    noisy((9, 99, 9), (80, 80), 1).convert("P").save(out, "PNG", transparency=0)
    data = out.getvalue()
    at = data.index(b"PLTE") - 4
    length = int.from_bytes(data[at : at + 4], "big")
    with pytest.raises(InvalidImageFormat):
        decode(data[:at] + data[at + 12 + length :])


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidImageFormat):
        decode(tmp_path / "none.jpg")


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([encoded(GRADIENT, "JPEG"), encoded(GRADIENT, "PNG")]), st.data())
def test_damaged_bytes_never_escape_as_other_errors(data: bytes, pick: st.DataObject) -> None:
    damaged = bytearray(data)
    for _ in range(pick.draw(st.integers(1, 8))):
        damaged[pick.draw(st.integers(0, len(data) - 1))] = pick.draw(st.integers(0, 255))
    try:
        assert decode(bytes(damaged)).ndim == 3
    except ServiceError:
        pass


def test_letterbox_centres_with_a_margin() -> None:
    canvas, frame = letterbox(np.zeros((480, 640, 3), np.uint8), 320, 32)
    assert canvas.shape == (256, 352, 3)
    assert (frame.left, frame.top, frame.width, frame.height) == (16, 8, 320, 240)
    assert canvas[0, 0].tolist() == [114, 114, 114]


def test_stretch() -> None:
    assert stretch(np.zeros((480, 640, 3), np.uint8), 128).shape == (128, 128, 3)


def test_large_jpegs_are_decoded_no_larger_than_needed() -> None:
    big = noisy((90, 120, 150), (1600, 1200), 3)
    for kind, longer, shorter, expected in (
        ("JPEG", 0, 0, (1200, 1600)),
        ("JPEG", 640, 0, (600, 800)),
        ("JPEG", 801, 0, (1200, 1600)),
        ("JPEG", 100, 0, (150, 200)),
        ("JPEG", 0, 300, (300, 400)),
        ("JPEG", 0, 301, (600, 800)),
        ("PNG", 100, 0, (1200, 1600)),
    ):
        assert decode(encoded(big, kind), longer_px=longer, shorter_px=shorter).shape[:2] == expected
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = decode(encoded(big, "JPEG", exif=exif), longer_px=400)
    assert turned.shape[:2] == (400, 300)


def test_decoding_small_looks_like_resizing() -> None:
    rows = np.linspace(0, 255, 1200)[:, None, None] * np.ones((1, 1600, 3))
    data = encoded(Image.fromarray(rows.astype(np.uint8)), "JPEG", quality=95)
    small = letterbox(decode(data, longer_px=400), 400, 32)[0].astype(int)
    whole = letterbox(decode(data), 400, 32)[0].astype(int)
    assert small.shape == whole.shape
    assert np.abs(small - whole).max() <= 3


def test_truncated_jpegs_are_refused_at_any_size() -> None:
    data = encoded(noisy((90, 120, 150), (1600, 1200), 3))
    for longer in (0, 640, 100):
        with pytest.raises(InvalidImageFormat):
            decode(data[: len(data) // 2], longer_px=longer)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["plain", "progressive"])
def test_verifying_finds_what_decoding_would(kind: str, options: dict[str, bool]) -> None:
    data = encoded(noisy((90, 120, 150), (320, 240), 3), kind, **options)
    assert verify(data) == (240, 320)
    verdicts = []
    for end in range(10, len(data), max(1, len(data) // 60)):
        found = [_verdict(look, data[:end]) for look in (decode, verify)]
        assert found[0] == found[1], end
        verdicts.append(found[0])
    assert InvalidImageFormat in verdicts


def _verdict(look: Callable[[bytes], object], data: bytes) -> type | None:
    try:
        look(data)
    except ServiceError as error:
        return type(error)
    return None


def test_verifying_tells_the_size_of_the_upright_image() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert verify(encoded(noisy((90, 120, 150), (320, 240), 3), "JPEG", exif=exif)) == (320, 240)
