"""Mutated images, manifests and annotation files; `RCL_FUZZ_FILES` sets how many of each, `RCL_FUZZ_SEED` which.

What can't be used is refused by an error that rcl means, in less than two seconds of this process' time; what is taken
must hold what it says.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rcl_cli.errors import RclError, ServiceError
from rcl_cli.imaging.decode import decode, orientation_of, read_header, verify
from rcl_cli.imaging.looks import Look, look_at
from rcl_cli.limits import SERVICE
from rcl_cli.local.datasets.imports import Request, import_images
from rcl_cli.manifest.line import parse_line
from rcl_cli.manifest.listing import listing, validation
from tests.conftest import Home, box_line, image_line, in_time, noisy
from tests.functional.layouts import BOX_LAYOUTS
from tests.process.mutations import change_bytes, change_text, changed_json

FILES = int(os.environ.get("RCL_FUZZ_FILES", "200"))
SEED = os.environ.get("RCL_FUZZ_SEED", "1")
LONGEST_S = 2.0
IMAGES = (".jpg", ".jpeg", ".png")


# --- images -----------------------------------------------------------------------------------------------------------


def images() -> list[bytes]:
    """Of all kinds that are taken: modes, interlaced and progressive, with EXIF and colour profiles."""
    picture = noisy((90, 140, 30), (96, 80), 1)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "x" * 50
    palette = picture.convert("P")
    deep = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    made: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (picture, "JPEG", {"quality": 70}), (picture, "JPEG", {"progressive": True, "exif": exif}),
        (picture.convert("CMYK"), "JPEG", {}), (picture.convert("L"), "JPEG", {"optimize": True}),
        (picture, "JPEG", {"restart_marker_blocks": 2, "comment": b"a" * 90}), (picture, "PNG", {"exif": exif}),
        (palette, "PNG", {"transparency": 3}), (picture.convert("RGBA"), "PNG", {"icc_profile": b"p" * 200}),
        (deep, "PNG", {}), (picture.convert("1"), "PNG", {}), (picture.convert("LA"), "PNG", {"optimize": True}),
        (picture, "PNG", {"save_all": True, "append_images": [picture.rotate(90, expand=False)]}),
    ]  # fmt: skip
    found = []
    for image, kind, more in made:
        out = io.BytesIO()
        image.save(out, kind, **more)
        found.append(out.getvalue())
    return found


def changed_image(rng: Random, valid: list[bytes]) -> bytes:
    """Changed anywhere, or in its head, where sizes, depths and tables stand; sums of PNG are made right again."""
    data = rng.choice(valid)
    match rng.randrange(4):
        case 0:
            return change_bytes(rng, data)
        case 1:
            return data[: rng.randrange(len(data))] + rng.choice(valid)[rng.randrange(2000) :]
        case _:
            head = bytearray(data)
            for _ in range(rng.randrange(1, 6)):
                head[rng.randrange(min(len(head), 700))] = rng.choice([0, 1, 255, rng.randrange(256)])
            return _with_sums(bytes(head))


def _with_sums(data: bytes) -> bytes:
    """A PNG whose chunks have the checksums of what is in them, so that decoders look into them."""
    import zlib

    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    out, at = data[:8], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if at + 12 + length > len(data):
            break
        body = data[at + 4 : at + 8 + length]
        out += data[at : at + 4] + body + zlib.crc32(body).to_bytes(4, "big")
        at += 12 + length
    return out + data[at:]


def test_mutated_images(tmp_path: Path) -> None:
    valid, tally = images(), Counter[str]()
    for number in range(FILES):
        data = changed_image(Random(f"{SEED} image {number}"), valid)
        path = tmp_path / "x"
        path.write_bytes(data)
        found: dict[str, Any] = {}
        for name, work in (
            ("header", read_header), ("turn", orientation_of), ("whole", verify), ("pixels", decode),
            ("small", lambda source: decode(source, longer_px=20)),
        ):  # fmt: skip
            with in_time(LONGEST_S, of_cpu=True, what=f"{name} of image {number}"):
                try:
                    found[name] = work(data)
                except ServiceError as error:
                    found[name] = error.code
        with in_time(LONGEST_S, of_cpu=True, what=f"look at image {number}"):
            look = look_at(path)
        tally[found["pixels"] if isinstance(found["pixels"], str) else "taken"] += 1
        # What is said to be sound is decoded, in the size that was said.
        assert isinstance(found["whole"], str) == isinstance(found["pixels"], str) == isinstance(found["small"], str)
        if not isinstance(found["pixels"], str):
            assert found["pixels"].shape[:2] == found["whole"] == (found["header"].height, found["header"].width)
            assert isinstance(look, Look)
    print(f"{FILES} images: {dict(tally.most_common())}")
    assert tally["taken"]
    assert tally["InvalidImageFormatException"]


# --- manifests --------------------------------------------------------------------------------------------------------


def lines() -> list[dict[str, Any]]:
    boxes = box_line("data", "a b.jpg", (128, 96), ("red", 1, 2, 30, 40), ("grün", 5, 5, 9, 9))
    return [
        image_line("data", "0.jpg", "cat"), image_line("data", "0.jpg", "cat", "dog"), boxes,
        {**boxes, **image_line("data", "1.jpg", "x")}, {"source-ref": "s3://data/bare.jpg"},
        {"source-ref": "s3://data/m.jpg", "many": [0, 2], "many-metadata": {
            "class-map": {"0": "a", "2": "b"}, "confidence-map": {"0": 0.5, "2": 1}, "job-name": "j",
            "type": "groundtruth/image-classification-multilabel", "human-annotated": "no",
            "creation-date": "2026-01-01T00:00:00"}},
    ]  # fmt: skip


def test_mutated_manifests(home: Home) -> None:
    """Every line by itself, and hundreds of them as a dataset: what it counts is what its lines are."""
    valid, tally, texts = lines(), Counter[str](), []
    for number in range(FILES):
        rng = Random(f"{SEED} line {number}")
        text = changed_json(rng, rng.choice(valid)).decode("utf-8", "replace")
        if rng.random() < 0.3:
            text = change_text(rng, text)
        with in_time(LONGEST_S, of_cpu=True, what=f"line {number}: {text[:200]}"):
            line = parse_line(text)
            shown = listing(text, is_labeled=line.is_labeled, has_errors=line.has_listed_errors)
            checked = validation(line)
        tally[line.problems[0].code.code if line.problems else "faultless"] += 1
        if not line.removed_from_datasets:
            assert json.loads(shown)["source-ref"] == line.source_ref
            assert json.loads(checked)["source-ref"] == line.source_ref
        texts.append(text)
    print(f"{FILES} lines: {dict(tally.most_common())}")
    assert tally["faultless"]
    assert len(tally) > 8
    # Files of as many bad lines as a manifest may have.
    project = home.project()
    good = [json.dumps({**lines()[0], "source-ref": f"s3://data/good-{number}.jpg"}) for number in range(_GOOD)]
    for number in range(0, FILES, _BAD):
        part = [*good, *texts[number : number + _BAD]]
        Random(f"{SEED} file {number}").shuffle(part)
        short = [text for text in _lines_of(part) if len(text) <= SERVICE.line_chars]
        kept = {line.source_ref for line in map(parse_line, short) if not line.removed_from_datasets}
        dataset = home.dataset(project, "TRAIN", "\n".join(part).encode("utf-8", "replace"))
        described = home.describe(dataset)
        tally[described["Status"] + " " + described["StatusMessage"][:60]] += 1
        if described["Status"] == "CREATE_COMPLETE":
            assert described["DatasetStats"]["TotalEntries"] == len(kept)
            assert listed(home, dataset) == kept
        home.call("DeleteDataset", DatasetArn=dataset)
    print(dict(tally))
    assert sum(count for name, count in tally.items() if name.startswith("CREATE_COMPLETE"))


_GOOD, _BAD = 100, 10


def listed(home: Home, dataset: str) -> set[str]:
    """The images of a dataset, page by page."""
    found: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = home.call("ListDatasetEntries", DatasetArn=dataset, MaxResults=100, **token)
        found += [json.loads(line)["source-ref"] for line in page["DatasetEntries"]]
        if "NextToken" not in page:
            assert len(found) == len(set(found))
            return set(found)
        token = {"NextToken": page["NextToken"]}


def _lines_of(texts: list[str]) -> list[str]:
    """As a file of them is read; a mark of the byte order at its beginning is none of the first line."""
    return [line for line in "\n".join(texts).removeprefix("\ufeff").split("\n") if line.strip()]


# --- annotations ------------------------------------------------------------------------------------------------------


def changed_file(rng: Random, path: Path, data: bytes) -> bytes:
    """By what it is: documents inside, words of a text, numbers, lines, or bytes."""
    if path.suffix == ".json" and rng.random() < 0.6:
        return changed_json(rng, json.loads(data))
    match rng.randrange(4):
        case 0:
            return change_bytes(rng, data)
        case 1:
            return change_text(rng, data.decode()).encode("utf-8", "surrogatepass")
        case 2:
            words = re.split(r"(\W+)", data.decode())
            words[rng.randrange(len(words))] = rng.choice(_WORDS)
            return "".join(words).encode("utf-8", "surrogatepass")
        case _:
            text = data.decode().split("\n")
            rng.shuffle(text) if rng.random() < 0.3 else text.insert(rng.randrange(len(text)), rng.choice(text))
            return "\n".join(text).encode()


_WORDS = [
    "", "-1", "0", "1e999", "NaN", "inf", "9" * 400, "é", "\x00", "\x1b]0;x\x07", "<", ">", "&lol;", "&#0;", "]]>", "{",
    "}", "[", '"', "'", "\n", "\t", ",", ";", ":", "#", "..", "/", "../../etc/passwd", "null", "true", "images",
    "a" * 9999, "<!DOCTYPE x [<!ENTITY a 'b'>]>", "*a", "&a", "!!python/object:os.system", "- ", "0x10", "1_0", "٣",
]  # fmt: skip
# What a dataset counts as an error stays in: leaving it out would call the place empty.
_TOO_SMALL = {"ERROR_BOUNDING_BOX_TOO_SMALL", "ERROR_NO_VALID_ANNOTATIONS"}


@pytest.mark.parametrize("layout", BOX_LAYOUTS, ids=lambda layout: layout.__name__)
def test_mutated_annotations(layout: Callable[[Path], Path], home: Home, tmp_path: Path) -> None:
    """Manifests that come of them have no line with a fault, but for what was told."""
    source, out, tally = layout(tmp_path / "set"), tmp_path / "out", Counter[str]()
    files = [path for path in sorted((tmp_path / "set").rglob("*")) if path.is_file() and path.suffix not in IMAGES]
    kept = {path: path.read_bytes() for path in files}
    for number in range(FILES // len(BOX_LAYOUTS) + 1):
        rng = Random(f"{SEED} {layout.__name__} {number}")
        path = rng.choice(files)
        path.write_bytes(changed_file(rng, path, kept[path]))
        with in_time(LONGEST_S, of_cpu=True, what=f"{path.name} {number}: {path.read_bytes()[:3000]!r}"):
            try:
                events: list[object] = []
                for made in import_images(home.context, Request(source, out=out), events.append):
                    for line in Path(made).read_text("utf-8").splitlines():
                        wrong = {problem.code.code for problem in parse_line(line).errors}
                        assert wrong <= _TOO_SMALL, (path.read_bytes(), line)
                        assert not wrong or "a pixel or less" in repr(events)
                tally["taken"] += 1
            except RclError as error:
                assert str(error), path
                tally["refused"] += 1
        shutil.rmtree(out, ignore_errors=True)
        path.write_bytes(kept[path])
    print(f"{layout.__name__}: {dict(tally)}")
    assert tally["taken"]
