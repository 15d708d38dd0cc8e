"""`rcl dataset check`: every planted fault is found, and nothing else."""

from __future__ import annotations

import copy
import itertools
import json
import shutil
import subprocess
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from rcl_cli.formats.record import BoxPx, Notes, Record
from rcl_cli.imaging import clusters
from rcl_cli.imaging.clusters import Album
from rcl_cli.imaging.looks import Look
from rcl_cli.local.datasets.checking import names, run
from rcl_cli.local.datasets.checking.labels import check_labels
from tests.conftest import Home, write_manifest

Run = Callable[..., subprocess.CompletedProcess[str]]
SIZE = (240, 180)
COUNT = 500
Planted = dict[str, set[frozenset[str]]]


def scene(seed: int) -> Image.Image:
    """A picture of its own: large soft patches, like nothing that another seed gives."""
    random = np.random.default_rng(seed)
    patches = Image.fromarray(random.integers(0, 255, (6, 8, 3), dtype=np.uint8))
    return patches.resize(SIZE, Image.Resampling.BICUBIC)


def line_of(name: str, label: str, *boxes: tuple[float, float, float, float], size: tuple[int, int] = SIZE) -> Any:
    annotations = [dict(zip(("class_id", "left", "top", "width", "height"), (0, *box), strict=True)) for box in boxes]
    return {
        "source-ref": f"s3://photos/{name}",
        "boxes": {"image_size": [{"width": size[0], "height": size[1], "depth": 3}], "annotations": annotations},
        "boxes-metadata": {
            "objects": [{"confidence": 1}] * len(boxes), "class-map": {"0": label}, "human-annotated": "yes",
            "creation-date": "2026", "type": "groundtruth/object-detection",
        },
    }  # fmt: skip


class Set:
    """500 images with boxes, 400 for training, in a bucket; and what was done to some of them."""

    def __init__(self, bucket: Path) -> None:
        self.bucket = bucket
        self.lines: dict[str, dict[str, Any]] = {"train": {}, "test": {}}
        self.planted: Planted = defaultdict(set)
        bucket.mkdir(parents=True)
        for number in range(COUNT):
            part = "train" if number < COUNT * 0.8 else "test"
            name = f"photo{number:04d}.jpg"
            scene(number).save(bucket / name, quality=92)
            box = (20 + number % 50, 30, 60, 70)
            self.lines[part][name] = line_of(name, ("cat", "horse", "parrot")[number % 3], box)

    def plant(self, kind: str, *images: str) -> None:
        self.planted[kind].add(frozenset(images))

    def add(self, part: str, name: str, like: str) -> None:
        """An entry of another image's labels."""
        source = next(lines[like] for lines in self.lines.values() if like in lines)
        self.lines[part][name] = copy.deepcopy(source) | {"source-ref": f"s3://photos/{name}"}

    def boxes(self, name: str) -> list[dict[str, Any]]:
        line = next(lines[name] for lines in self.lines.values() if name in lines)
        found: list[dict[str, Any]] = line["boxes"]["annotations"]
        return found

    def also(self, name: str, **box: float) -> None:
        line = next(lines[name] for lines in self.lines.values() if name in lines)
        line["boxes"]["annotations"].append({"class_id": 0, **box})
        line["boxes-metadata"]["objects"].append({"confidence": 1})

    def write(self) -> list[str]:
        for part, lines in self.lines.items():
            write_manifest(self.bucket / f"{part}.manifest", list(lines.values()))
        return [str(self.bucket / f"{part}.manifest") for part in self.lines]


def spoil(made: Set) -> None:
    """Plant every kind of fault, some of them more than once."""
    bucket = made.bucket
    (bucket / "photo0010.jpg").unlink()
    made.plant("missing-image", "photo0010.jpg")
    for name, size in (("photo0011.jpg", 2000), ("photo0410.jpg", 3)):
        (bucket / name).write_bytes((bucket / name).read_bytes()[:size])
        made.plant("unreadable-image", name)
    scene(12).resize((60, 60)).save(bucket / "photo0012.jpg")
    made.plant("unusable-size", "photo0012.jpg")
    # Drawn by a tool that ignores EXIF.
    exif = Image.Exif()
    exif[0x0112] = 6
    scene(13).save(bucket / "photo0013.jpg", exif=exif)
    made.plant("rotated-image", "photo0013.jpg")
    # Labelled large, kept small.
    scene(14).resize((120, 90)).save(bucket / "photo0014.jpg")
    made.plant("wrong-image-size", "photo0014.jpg")
    # Copies: the same file, within and across; then nearly the same.
    shutil.copy(bucket / "photo0020.jpg", bucket / "other-a.jpg")
    made.add("train", "other-a.jpg", "photo0020.jpg")
    made.plant("duplicate-image", "photo0020.jpg", "other-a.jpg")
    shutil.copy(bucket / "photo0021.jpg", bucket / "other-b.jpg")
    made.add("test", "other-b.jpg", "photo0021.jpg")
    made.plant("duplicate-across-parts", "photo0021.jpg", "other-b.jpg")
    shutil.copy(bucket / "photo0022.jpg", bucket / "other-c.jpg")
    made.add("train", "other-c.jpg", "photo0022.jpg")
    made.boxes("other-c.jpg")[0]["left"] += 30
    made.plant("duplicate-image", "photo0022.jpg", "other-c.jpg")
    made.plant("contradicting-duplicates", "photo0022.jpg", "other-c.jpg")
    ImageEnhance.Brightness(scene(23)).enhance(0.7).save(bucket / "other-d.jpg", quality=40)
    made.add("train", "other-d.jpg", "photo0023.jpg")
    made.plant("near-duplicate", "photo0023.jpg", "other-d.jpg")
    scene(24).crop((3, 2, 238, 178)).resize(SIZE).save(bucket / "other-e.png")
    made.add("test", "other-e.png", "photo0024.jpg")
    made.plant("near-duplicate-across-parts", "photo0024.jpg", "other-e.png")
    # By name alone: what augmentation makes looks different.
    scene(25).transpose(Image.Transpose.ROTATE_180).save(bucket / "photo0025_aug1.jpg")
    made.add("test", "photo0025_aug1.jpg", "photo0025.jpg")
    made.plant("copy-by-name", "photo0025.jpg", "photo0025_aug1.jpg")
    # Boxes.
    made.also("photo0030.jpg", left=100, top=100, width=3, height=30)
    made.plant("tiny-box", "photo0030.jpg")
    made.boxes("photo0031.jpg")[0].update(left=0, top=0, width=SIZE[0], height=SIZE[1])
    made.plant("huge-box", "photo0031.jpg")
    made.also("photo0032.jpg", **{k: v for k, v in made.boxes("photo0032.jpg")[0].items() if k != "class_id"})
    made.plant("overlapping-boxes", "photo0032.jpg")
    made.boxes("photo0033.jpg")[0]["left"] = 220
    made.also("photo0033.jpg", left=10, top=10, width=50, height=50)
    made.plant("box-outside", "photo0033.jpg")
    # Labels.
    for name, label in (("photo0040.jpg", "Cat "), ("photo0041.jpg", "hrose"), ("photo0042.jpg", "zebra")):
        made.lines["train"][name]["boxes-metadata"]["class-map"]["0"] = label
    made.planted["label-spelling"].add(frozenset({"cat", "Cat "}))
    made.planted["label-typo"].add(frozenset({"hrose", "horse"}))
    for label in ("Cat ", "hrose", "zebra"):
        made.planted["few-images"].add(frozenset({label}))
        made.planted["label-only-in-train"].add(frozenset({label}))
    for number in range(50, 61):
        made.lines["train"][f"photo{number:04d}.jpg"]["boxes-metadata"]["class-map"]["0"] = "owl"
    made.planted["label-only-in-train"].add(frozenset({"owl"}))
    made.lines["test"]["photo0420.jpg"]["boxes-metadata"]["class-map"]["0"] = "snake"
    made.planted["label-only-in-test"].add(frozenset({"snake"}))
    del made.lines["train"]["photo0061.jpg"]["boxes"], made.lines["train"]["photo0061.jpg"]["boxes-metadata"]
    made.plant("unlabelled-image", "photo0061.jpg")


def found_by(done: subprocess.CompletedProcess[str]) -> Planted:
    """What was found, in the planted set's terms: images by name, labels as they are quoted."""
    found: Planted = defaultdict(set)
    for line in done.stdout.splitlines():
        one = json.loads(line)
        assert one["fix"]
        images = frozenset(image.rpartition("/")[2] for image in one["images"])
        labels = frozenset(part for number, part in enumerate(one["detail"].split("'")) if number % 2)
        found[one["kind"]].add(images or labels)
    return found


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Set:
    return Set(tmp_path_factory.mktemp("clean") / "buckets" / "photos")


def test_nothing_is_found_where_nothing_is_wrong(clean: Set, rcl: Run) -> None:
    done = rcl("dataset", "check", *clean.write(), RCL_BUCKETS_DIR=str(clean.bucket.parent))
    assert (done.returncode, done.stdout) == (0, "")
    assert "0 error(s), 0 warning(s)" in done.stderr


def test_everything_planted_is_found_and_nothing_else(tmp_path: Path, rcl: Run) -> None:
    made = Set(tmp_path / "buckets" / "photos")
    spoil(made)
    assert len(made.planted) >= 20
    done = rcl("dataset", "check", *made.write(), "--json", RCL_BUCKETS_DIR=str(tmp_path / "buckets"))
    assert done.returncode == 1, done.stderr
    found = found_by(done)
    assert dict(found) == dict(made.planted)
    # Errors come first.
    severities = [json.loads(line)["severity"] for line in done.stdout.splitlines()]
    assert severities == sorted(severities)


def test_people_read_what_to_do(tmp_path: Path, rcl: Run, home: Home) -> None:
    made = Set(home.buckets / "photos")
    made.also("photo0030.jpg", left=100, top=100, width=3, height=30)
    project = home.project("p")
    for part, lines in made.lines.items():
        home.dataset(project, part.upper(), list(lines.values()))
    done = rcl("dataset", "check", "p")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "warning: tiny-box (1)",
        "  train: s3://photos/photo0030.jpg: cat 3×30 at 100,100 of 240×180",
        "  → Remove it, or train at a larger image_size: at this size nothing is left of it.",
        "",
    ]
    assert rcl("dataset", "check", "p", "--fail-on", "warning").returncode == 1
    assert rcl("dataset", "check", "p", "--fail-on", "never").returncode == 0
    assert rcl("dataset", "check", "p/test").returncode == 0
    assert "no project" in rcl("dataset", "check", "q").stderr


def test_names_that_are_numbered_anew_in_each_part_say_nothing() -> None:
    numbered = [f"train/{n:04d}.jpg" for n in range(50)], [f"test/{n:04d}.jpg" for n in range(20)]
    assert list(names.across(*numbered)) == []
    train, test = ["a/IMG_1234.jpg", *numbered[0]], ["b/IMG_1234.jpg", *(f"test/{n}x.jpg" for n in range(20))]
    assert list(names.across(train, test)) == [("a/IMG_1234.jpg", "b/IMG_1234.jpg")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cat_jpg.rf.0a1b2c.jpg", "cat_jpg.rf.ffee00.jpg"), ("cat.jpg", "cat (1).jpg"), ("cat.jpg", "cat - Copy.png"),
        ("cat_rot90.jpg", "cat.jpg"), ("Cat.JPG", "cat_flipped.jpg"),
    ],
)  # fmt: skip
def test_copies_by_name(one: str, other: str) -> None:
    assert list(names.across([one], [other])) == [(one, other)]


@pytest.mark.parametrize(
    ("one", "other"), [("class 1", "class 2"), ("cat", "cats"), ("horse", "parrot"), ("IMG_1", "IMG_2")]
)
def test_labels_that_are_no_slips(one: str, other: str) -> None:
    from collections import Counter

    counts = {"train": Counter({one: 10, other: 200})}
    assert not [finding for finding in check_labels(counts) if finding.kind == "label-typo"]


# --- many that look alike ---------------------------------------------------------------------------------------------


def look(bits: int, thumbnail: np.ndarray, digest: bytes) -> Look:
    return Look((640, 480), 1, digest, bits.to_bytes(8, "big"), thumbnail.astype(np.uint8).tobytes())


def drawn(chance: np.random.Generator, count: int, scenes: int, noise: float, flips: int) -> list[Look]:
    """Looks of images of some scenes, a little different each."""
    bases = chance.integers(0, 2**63, scenes, dtype=np.uint64)
    pictures = chance.integers(30, 220, (scenes, 32 * 32))
    found = []
    for number in range(count):
        scene = int(chance.integers(scenes))
        bits = int(bases[scene])
        for place in chance.integers(0, 64, flips):
            bits ^= 1 << int(place)
        thumbnail = np.clip(pictures[scene] + chance.normal(0, noise, 32 * 32), 0, 255)
        found.append(look(bits, thumbnail, number.to_bytes(32, "big")))
    return found


def pair_by_pair(looks: list[Look]) -> set[tuple[int, ...]]:
    """Clusters as their definition has them."""
    groups = [{number} for number in range(len(looks))]
    for one, other in itertools.combinations(range(len(looks)), 2):
        bits = int.from_bytes(looks[one].bits, "big") ^ int.from_bytes(looks[other].bits, "big")
        a, b = (np.frombuffer(looks[number].thumbnail, np.uint8).astype(float) for number in (one, other))
        if bits.bit_count() <= 10 and a.std() and b.std() and np.corrcoef(a, b)[0, 1] >= clusters.LEAST_LIKENESS:
            both = groups[one] | groups[other]
            for number in both:
                groups[number] = both
    return {tuple(sorted(group)) for group in groups if len(group) > 1}


@pytest.mark.parametrize("rows", [3, 16, 256])
@pytest.mark.parametrize(("scenes", "noise", "flips"), [(1, 5, 6), (40, 8, 7), (120, 12, 4), (3, 14, 5)])
def test_clusters_are_those_of_all_pairs(
    scenes: int, noise: float, flips: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "_ROWS", rows)
    monkeypatch.setattr(clusters, "_COLUMNS", 5 * rows)
    looks = drawn(np.random.default_rng(scenes), 200, scenes, noise, flips)
    # Plain surfaces are like nothing.
    looks += [look(0, np.full(32 * 32, 7), bytes([1, number])) for number in range(4)]
    album = Album()
    assert [album.add(one) for one in looks] == list(range(204))
    assert album.add(looks[3]) == 3
    found = album.clusters()
    assert {cluster.files for cluster in found} == pair_by_pair(looks)
    assert all(clusters.LEAST_LIKENESS <= cluster.likeness <= 1.0001 for cluster in found)
    assert [cluster.files[0] for cluster in found] == sorted(cluster.files[0] for cluster in found)


def test_nothing_has_no_clusters() -> None:
    assert Album().clusters() == []


def images_of(count: int, kind: str) -> Iterator[tuple[str, Record]]:
    for number in range(count):
        part = "test" if number % 5 == 4 else "train"
        yield part, Record(Path(f"/{kind}/frame-{number:06d}.jpg"), (640, 480), (), (BoxPx("cat", 9, 9, 99, 99),))


@pytest.mark.parametrize("kind", ["the same file", "one camera", "pictures of their own"])
def test_many_images_take_little_more_than_looking_at_them(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pair by pair, ten thousand of one camera took minutes and gigabytes."""
    count = 10_000
    chance = np.random.default_rng(0)
    scenes = count if kind == "pictures of their own" else 1
    bases = chance.integers(0, 2**63, scenes, dtype=np.uint64)
    pictures = chance.integers(30, 220, (scenes, 32 * 32), dtype=np.uint8)

    def seen(path: Path) -> Look:
        number = 0 if kind == "the same file" else int(path.stem.rpartition("-")[2])
        scene = number % scenes
        thumbnail = pictures[scene] + chance.integers(0, 9, 32 * 32, dtype=np.uint8)
        return look(int(bases[scene]) ^ 1 << number % 64, thumbnail, number.to_bytes(32, "big"))

    monkeypatch.setattr(run, "look_at", seen)
    monkeypatch.setattr(run, "cpu_cores", lambda: 1)
    tracemalloc.start()
    start = time.process_time()
    found = run.check(images_of(count, kind), lambda record: Path(record.image), Notes(), lambda _: None)
    seconds, (_, most) = time.process_time() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 15
    assert most < 150 * 2**20
    (one,) = found if kind != "pictures of their own" else (*found, None)
    if one is not None:
        same = kind == "the same file"
        assert one.kind == ("duplicate-across-parts" if same else "near-duplicate-across-parts")
        assert len(one.images) == count
        says = "are the same file" if same else "look the same"
        assert one.detail.startswith(f"8000 of train and 2000 of test {says}: /{kind}/frame-000000.jpg (train), ")
        assert "frame-000004.jpg (test), " in one.detail
        assert f" and {count - 5} more" in one.detail
