"""`rcl dataset show`: labelled images as people look at them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rcl_cli.render.boxes import COLOURS, draw_labels
from rcl_cli.render.fonts import font_for
from tests.conftest import Home, box_line, image_line, noisy, write_manifest
from tests.functional.browser import needs_browser, opened
from tests.functional.layouts import PICTURES, coco

Run = Callable[..., subprocess.CompletedProcess[str]]


def page_data(path: Path) -> dict[str, Any]:
    text = path.read_text("utf-8")
    found: dict[str, Any] = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
    return found


def test_a_page_shows_what_there_is(rcl: Run, tmp_path: Path) -> None:
    source = coco(tmp_path / "coco")
    out = tmp_path / "sheet.html"
    done = rcl("dataset", "show", str(source), "-o", str(out))
    assert (done.returncode, done.stdout) == (0, f"{out}\n"), done.stderr
    data = page_data(out)
    assert data["said"] == "5 of 5 images (4 train, 1 test)"
    assert {label["name"]: label["images"] for label in data["labels"]} == {"red cell": 3, "plätt": 2, "Größe": 1}
    for picture in PICTURES:
        tile = next(tile for tile in data["tiles"] if tile["name"] == f"{picture.part}: {picture.name}")
        across, down = picture.size
        expected = [
            (label, pytest.approx([left / across, top / down, width / across, height / down]))
            for label, left, top, width, height in picture.boxes
        ]
        assert [(label, box) for label, box in tile["boxes"]] == expected
        assert tile["url"].startswith("data:image/jpeg;base64,")
    # Nothing is asked of any network.
    assert not re.search(r"(?:src|href)\s*=\s*[\"'](?!data:)", out.read_text("utf-8"))


@needs_browser
def test_the_page_in_a_browser(rcl: Run, tmp_path: Path) -> None:
    out = tmp_path / "sheet.html"
    assert rcl("dataset", "show", str(coco(tmp_path / "coco")), "-o", str(out)).returncode == 0
    document = opened(out.as_uri(), tmp_path / "profile")
    assert document.count("<figure>") == len(PICTURES)
    # Each box has a rim and a line of its own.
    assert document.count("<rect") == 2 * sum(len(picture.boxes) for picture in PICTURES)
    assert "red cell, plätt" in document


def test_a_picture_has_boxes_in_their_colours(home: Home, rcl: Run, tmp_path: Path) -> None:
    (home.buckets / "data").mkdir(parents=True)
    noisy((120, 120, 120), (320, 320), 1).save(home.buckets / "data" / "0.jpg")
    home.dataset(home.project(), "TRAIN", [box_line("data", "0.jpg", (320, 320), ("cat", 100, 50, 120, 200))])
    out = tmp_path / "sheet.png"
    assert rcl("dataset", "show", "p/train", "-o", str(out)).returncode == 0
    with Image.open(out) as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    rows, columns = np.nonzero((pixels == COLOURS[0]).all(axis=2))
    # The frame, below the legend's swatch of the same colour.
    below = rows > 90
    assert columns[below].max() - columns[below].min() == pytest.approx(120, abs=2)
    assert rows[below].max() - rows[below].min() == pytest.approx(200, abs=2)


def test_images_are_chosen_by_label_part_and_chance(home: Home, rcl: Run, tmp_path: Path) -> None:
    (home.buckets / "data").mkdir(parents=True)
    lines = []
    for number in range(30):
        noisy((120, 120, 120), (72, 72), number).save(home.buckets / "data" / f"{number}.jpg")
        lines.append(image_line("data", f"{number}.jpg", "cat" if number % 3 else "dog"))
    project = home.project()
    home.dataset(project, "TRAIN", lines[:20])
    home.dataset(project, "TEST", lines[20:])

    def names(*words: str) -> list[str]:
        out = tmp_path / "sheet.html"
        assert rcl("dataset", "show", "p", "-o", str(out), *words).returncode == 0
        return [tile["name"] for tile in page_data(out)["tiles"]]

    assert len(names()) == 30
    some = names("--count", "10")
    assert some == names("--count", "10") != names("--count", "10", "--seed", "1")
    assert len(set(some)) == 10
    assert {name.partition(":")[0] for name in some} == {"train", "test"}
    assert names("--part", "test") == [f"test: {number}.jpg" for number in range(20, 30)]
    assert names("--part", "train", "--label", "dog") == [f"train: {number}.jpg" for number in range(0, 20, 3)]


def test_hostile_names_and_broken_images_do_no_harm(home: Home, rcl: Run, tmp_path: Path) -> None:
    folder = home.buckets / "data"
    folder.mkdir(parents=True)
    label = "</script><script>alert(1)</script>"
    noisy((1, 2, 3), (80, 80), 1).save(folder / "0.jpg")
    (folder / "1.jpg").write_bytes((folder / "0.jpg").read_bytes()[:200])
    labels = {"0.jpg": label, "1.jpg": "日本語", "gone.jpg": "a\tb"}
    write_manifest(tmp_path / "m.manifest", [image_line("data", name, one) for name, one in labels.items()])
    page = tmp_path / "sheet.html"
    assert rcl("dataset", "show", str(tmp_path / "m.manifest"), "-o", str(page)).returncode == 0
    assert "alert(1)</script>" not in page.read_text("utf-8")
    assert [bool(tile["url"]) for tile in page_data(page)["tiles"]] == [True, False, False]
    picture = tmp_path / "sheet.jpg"
    assert rcl("dataset", "show", str(tmp_path / "m.manifest"), "-o", str(picture)).returncode == 0
    with Image.open(picture) as image:
        assert image.width >= 640


def test_no_image_is_ever_replaced(home: Home, rcl: Run, tmp_path: Path) -> None:
    image = home.buckets / "data" / "0.jpg"
    image.parent.mkdir(parents=True)
    noisy((1, 2, 3), (80, 80), 1).save(image)
    before = image.read_bytes()
    (tmp_path / "link.jpg").hardlink_to(image)
    home.dataset(home.project(), "TRAIN", [image_line("data", "0.jpg", "a")])
    for source in ("p", str(home.buckets / "data" / "TRAIN.manifest")):
        for target in (image, tmp_path / "link.jpg"):
            done = rcl("dataset", "show", source, "-o", str(target))
            assert (done.returncode, "is one of the images" in done.stderr) == (252, True)
    assert image.read_bytes() == before


def test_odd_names_and_boxes_are_shown_as_they_are(rcl: Run, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "dog").mkdir(parents=True)
    names = ["a#1?x%20y.jpg", "plain.jpg"]
    for name in names:
        noisy((1, 2, 3), (80, 80), 1).save(folder / "dog" / name)
    out = tmp_path / "sheet.html"
    assert rcl("dataset", "show", str(folder), "-o", str(out)).returncode == 0
    assert sorted(tile["name"] for tile in page_data(out)["tiles"]) == names
    (tmp_path / "boxes.csv").write_text(
        "image,label,xmin,ymin,xmax,ymax\n"
        f"{folder}/dog/plain.jpg,cat,50,10,20,40\n{folder}/dog/plain.jpg,cat,nan,10,20,40\n"
        f"{folder}/dog/plain.jpg,cat,10,10,20,40\n"
    )
    for target in ("odd.png", "odd.html"):
        done = rcl("dataset", "show", str(tmp_path / "boxes.csv"), "-o", str(tmp_path / target))
        assert done.returncode == 0, done.stderr
    assert [len(tile["boxes"]) for tile in page_data(tmp_path / "odd.html")["tiles"]] == [1]
    with contextlib.suppress(OSError):  # some file systems have only UTF-8
        (folder / "dog" / os.fsdecode(b"\xff\xfe.jpg")).write_bytes((folder / "dog" / "plain.jpg").read_bytes())
        assert rcl("dataset", "show", str(folder), "-o", str(out)).returncode == 0
        assert len(page_data(out)["tiles"]) == 3


def test_a_sheet_that_cannot_be_written_leaves_the_old_one(rcl: Run, tmp_path: Path) -> None:
    (tmp_path / "photos" / "dog").mkdir(parents=True)
    noisy((1, 2, 3), (80, 80), 1).save(tmp_path / "photos" / "dog" / "0.jpg")
    out = tmp_path / "sheet.html"
    out.write_text("mine")
    words = f"ulimit -f 1; exec {sys.executable} -m rcl_cli dataset show {tmp_path}/photos -o {out}"
    done = subprocess.run(
        ["bash", "-c", words], capture_output=True, text=True, env={**os.environ, "RCL_HOME": str(tmp_path / "h")}
    )
    assert done.returncode != 0
    assert out.read_text() == "mine"
    too_many = rcl("dataset", "show", str(tmp_path / "photos"), "-o", "x.jpg", "--count", "2000")
    assert (too_many.returncode, "too much for one picture" in too_many.stderr) == (252, True)


def test_what_makes_no_sense_is_refused(home: Home, rcl: Run, tmp_path: Path) -> None:
    photo = tmp_path / "photos" / "cat" / "0.png"
    photo.parent.mkdir(parents=True)
    noisy((1, 2, 3), (80, 80), 1).save(photo)
    before = photo.read_bytes()
    for words, code, says in (
        ([""], 252, "A source is needed"),
        (["nothing"], 254, "no file or folder, and no project"),
        ([str(tmp_path / "photos"), "-o", str(photo)], 252, "is one of the images"),
        ([str(tmp_path / "photos"), "-o", "sheet.pdf"], 252, "must end in .html"),
        ([str(tmp_path / "photos"), "--label", "dog"], 255, "has no such images"),
        ([str(tmp_path / "photos"), "-o", str(tmp_path / "no" / "sheet.png")], 255, "No such file"),
        ([str(tmp_path / "photos"), "--count", "0"], 252, "--count"),
    ):
        done = rcl("dataset", "show", *words)
        assert (done.returncode, done.stdout) == (code, ""), words
        assert says in " ".join(done.stderr.split()), words
    assert photo.read_bytes() == before


def test_letters_that_the_own_font_lacks_come_from_the_system(tmp_path: Path) -> None:
    def drawn(name: str) -> bytes:
        out = tmp_path / "out.png"
        noisy((90, 90, 90), (400, 300), 1).save(tmp_path / "in.png")
        draw_labels(tmp_path / "in.png", [{"Name": name, "Confidence": 90.0}], out)
        return out.read_bytes()

    assert drawn("cat") != drawn("dog")
    if shutil.which("fc-match") is None or font_for("жук", 12).getname() == font_for("cat", 12).getname():
        pytest.skip("no fontconfig, or no font with Cyrillic letters")
    assert drawn("жук") != drawn("шар")


def test_no_frame_goes_through_a_name(tmp_path: Path) -> None:
    """A box over another one's tag: what is written stays legible."""
    noisy((90, 90, 90), (900, 600), 1).save(tmp_path / "in.png")

    def label(name: str, left: float, top: float) -> dict[str, Any]:
        box = {"Left": left, "Top": top, "Width": 0.2, "Height": 0.3}
        return {"Name": name, "Confidence": 90.0, "Geometry": {"BoundingBox": box}}

    draw_labels(tmp_path / "in.png", [label("a", 0.3, 0.4), label("b", 0.31, 0.38)], tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    # Just above the first box, inside its tag: its own colour and its letters, and nothing of the second frame.
    tag = pixels[229:238, 273:283].reshape(-1, 3)
    assert not (tag == COLOURS[1]).all(axis=1).any()
