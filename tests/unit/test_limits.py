"""The service's limits, and what is there without them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rcl_cli import limits
from rcl_cli.backends.boxes.planning import most_boxes
from rcl_cli.child import environment
from rcl_cli.config import load_config
from rcl_cli.context import make_context
from rcl_cli.domain import Box, Sample
from rcl_cli.errors import ConfigError, ImageTooLarge
from rcl_cli.imaging.decode import decode
from rcl_cli.manifest.line import parse_line
from rcl_cli.manifest.reader import read_rows
from tests.conftest import box_line


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    limits.keep("service")


def test_a_home_lifts_them_for_this_process_and_its_children(tmp_path: Path) -> None:
    assert load_config(tmp_path, {}).limits == "service"
    assert make_context(tmp_path).config.limits == "service"
    assert limits.limits() == limits.SERVICE
    (tmp_path / "config.yaml").write_text("limits: none\n")
    make_context(tmp_path)
    assert limits.limits() == limits.LIFTED
    assert environment()[limits.VARIABLE] == "none"
    make_context(tmp_path / "other")
    assert limits.limits() == limits.SERVICE, "each home has its own"


def test_other_words_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("limits: 3\n")
    with pytest.raises(ConfigError, match="service or none"):
        load_config(tmp_path, {})


def test_a_line_with_500_boxes_has_them_all_or_none() -> None:
    many = [("a", 10 * (n % 50), 10 * (n // 50), 9, 9) for n in range(500)]
    text = json.dumps(box_line("data", "a.jpg", (640, 480), *many))
    assert parse_line(text).labels == ()
    limits.keep("none")
    assert len(parse_line(text).labels) == 500


def test_a_large_image_is_decoded_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.fromarray(np.zeros((300, 5000, 3), np.uint8)).save(path)
    with pytest.raises(ImageTooLarge, match="the maximum is 4096"):
        decode(path)
    limits.keep("none")
    assert decode(path).shape == (300, 5000, 3)


def test_as_many_boxes_come_out_as_may_be_there() -> None:
    full = Sample("a.jpg", (), tuple(("a", Box(0, 0, 0.01, 0.01)) for _ in range(500)))
    assert most_boxes([full, Sample("b.jpg")]) == 1000
    assert most_boxes([Sample("b.jpg")]) == 300


def test_too_many_pixels_are_told_as_such(tmp_path: Path) -> None:
    limits.keep("none")
    path = tmp_path / "huge.png"
    Image.new("L", (20_000, 9_000)).save(path)
    with pytest.raises(ImageTooLarge, match="more than 170 million pixels"):
        decode(path)


def test_long_lines_are_read_where_there_may_be_many_boxes() -> None:
    text = json.dumps(box_line("data", "a.jpg", (4000, 4000), *[("a", 10, 10, 9, 9)] * 2000))
    assert len(text) > limits.SERVICE.line_chars
    assert list(read_rows(io.BytesIO(text.encode()))) == [None]
    limits.keep("none")
    (row,) = read_rows(io.BytesIO(text.encode()))
    assert len(parse_line(row or "").labels) == 2000
