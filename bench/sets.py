"""Public sets of labelled images for benchmarks, from clones of their repositories to Ground Truth manifests.

    python bench/sets.py --clones FOLDER --out FOLDER raccoon deeppcb …

FOLDER has a git directory of each repository, named `owner+name` (or with `repo` in it, or `repo/.git`). Commits that
RESULTS.md used stand in `SETS`; other ones may hold other images. A set gets `train.manifest`, `test.manifest` and
`images/`, as `levers.py` wants them. What has no part of its own is split 75/25 at a fixed seed, doubles (SHA-1) on one
side. Each set's own licence holds; none of them is part of rcl.
"""

from __future__ import annotations

import argparse
import ast
import csv
import hashlib
import io
import json
import random
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from xml.etree import ElementTree

from PIL import Image

MOST_PX, SEED, TEST_SHARE = 4096, 0, 0.25
Boxes = list[tuple[str, float, float, float, float]]


class Item(NamedTuple):
    """An image: its label or its boxes (label, left, top, right, bottom), its own part, and what it must stay with."""

    name: str
    data: bytes
    truth: str | Boxes
    part: str = ""
    group: Hashable = None


class Clone:
    """Files of a repository's newest commit."""

    def __init__(self, folder: Path, name: str) -> None:
        base = folder / name.replace("/", "+")
        self._git = next(
            p for p in (base / "repo" / ".git", base / "repo", base / ".git", base) if (p / "HEAD").exists()
        )
        listed = self._run("ls-tree", "-r", "-z", "HEAD").decode("utf-8", "replace").split("\0")
        self.paths = sorted(line.split("\t", 1)[1] for line in listed if "\t" in line)

    def _run(self, *words: str) -> bytes:
        return subprocess.run(["git", f"--git-dir={self._git}", *words], stdout=subprocess.PIPE, check=True).stdout

    def __getitem__(self, path: str) -> bytes:
        return self._run("cat-file", "blob", f"HEAD:{path}")

    def text(self, path: str) -> str:
        return self[path].decode("utf-8-sig", "replace")

    def matching(self, pattern: str) -> list[str]:
        return [path for path in self.paths if re.search(pattern, path)]


def voc(text: str) -> Boxes:
    found = []
    for one in ElementTree.fromstring(text).iter("object"):  # noqa: S314 - of the sets that are named below
        box = one.find("bndbox")
        assert box is not None
        left, top, right, bottom = (float(box.findtext(side) or 0) for side in ("xmin", "ymin", "xmax", "ymax"))
        found.append(((one.findtext("name") or "").strip(), left, top, right, bottom))
    return found


# --- sets -------------------------------------------------------------------------------------------------------------


def raccoon(clone: Clone) -> Iterator[Item]:
    for path in clone.matching(r"^annotations/.*\.xml$"):
        image = f"images/{Path(path).stem}.jpg"
        if image in clone.paths:
            yield Item(f"{Path(path).stem}.jpg", clone[image], voc(clone.text(path)))


def deeppcb(clone: Clone) -> Iterator[Item]:
    names = ("", "open", "short", "mousebite", "spur", "copper", "pin-hole")
    for part, listing in (("train", "PCBData/trainval.txt"), ("test", "PCBData/test.txt")):
        for line in clone.text(listing).splitlines():
            image, labels = (f"PCBData/{word}" for word in line.split())
            rows = [row.replace(",", " ").split() for row in clone.text(labels).splitlines()]
            boxes = [(names[int(row[4])], *map(float, row[:4])) for row in rows if len(row) == 5]
            yield Item(f"{Path(image).stem}.jpg", clone[f"{image[:-4]}_test.jpg"], boxes, part)  # type: ignore[arg-type]


PANEL_CELLS, PANEL_CELL_PX, PANEL_FAULTY = 7, 320, 8


def panels(clone: Clone) -> Iterator[Item]:
    """Circuit boards of DeepPCB as they lie on a panel of 2 240 pixels: 8 of 49 have defects, of 7 to 20 pixels."""
    rng = random.Random(SEED)
    faulty = list(deeppcb(clone))
    for part, most in (("train", 40), ("test", 12)):
        boards = [one for one in faulty if one.part == part]
        rng.shuffle(boards)
        sound = clone.matching(r"_temp\.jpg$")
        sound = [path for path in sound if any(one.name[:8] == Path(path).name[:8] for one in boards)]
        for number in range(min(most, len(boards) // PANEL_FAULTY)):
            yield _panel(clone, f"{part}-{number:03}.jpg", boards[number * PANEL_FAULTY :][:PANEL_FAULTY], sound, rng)


def _panel(clone: Clone, name: str, faulty: list[Item], sound: list[str], rng: random.Random) -> Item:
    side = PANEL_CELLS * PANEL_CELL_PX
    panel, boxes = Image.new("RGB", (side, side)), []
    cells = [*faulty, *rng.sample(sound, PANEL_CELLS**2 - len(faulty))]
    rng.shuffle(cells)
    for place, cell in enumerate(cells):
        down, across = (n * PANEL_CELL_PX for n in divmod(place, PANEL_CELLS))
        with Image.open(io.BytesIO(clone[cell] if isinstance(cell, str) else cell.data)) as board:
            scale = PANEL_CELL_PX / board.width
            panel.paste(
                board.convert("RGB").resize((PANEL_CELL_PX, PANEL_CELL_PX), Image.Resampling.BILINEAR), (across, down)
            )
        for label, *sides in () if isinstance(cell, str) else cell.truth:
            left, top, right, bottom = (scale * float(s) for s in sides)
            boxes.append((label, across + left, down + top, across + right, down + bottom))
    stream = io.BytesIO()
    panel.save(stream, "JPEG", quality=92)
    return Item(name, stream.getvalue(), boxes, name.split("-")[0])


def neudet(clone: Clone) -> Iterator[Item]:
    folders = {"ANNOTATIONS": "IMAGES", "Validation_Annotations": "Validation_Images"}
    for path in clone.matching(r"^(ANNOTATIONS|Validation_Annotations)/[^/]*\.xml$"):
        image = f"{folders[path.split('/')[0]]}/{Path(path).stem}.jpg"
        if image in clone.paths:
            yield Item(f"{Path(path).stem}.jpg", clone[image], voc(clone.text(path)))


def chess(clone: Clone) -> Iterator[Item]:
    for folder in ("train", "valid", "test"):
        found = json.loads(clone.text(f"{folder}/_annotations.coco.json"))
        names = {one["id"]: one["name"] for one in found["categories"]}
        boxes: dict[int, Boxes] = defaultdict(list)
        for one in found["annotations"]:
            left, top, width, height = map(float, one["bbox"])
            boxes[one["image_id"]].append((names[one["category_id"]], left, top, left + width, top + height))
        for image in found["images"]:
            if all(label != "bishop" for label, *_ in boxes[image["id"]]):
                name = image["file_name"].split(".rf.")[0]
                yield Item(f"{name}.jpg", clone[f"{folder}/{image['file_name']}"], boxes[image["id"]])


def airbus(clone: Clone) -> Iterator[Item]:
    boxes: dict[str, Boxes] = defaultdict(list)
    for row in csv.DictReader(clone.text("annotations.csv").splitlines()):
        xs, ys = zip(*ast.literal_eval(row["geometry"]), strict=True)
        boxes[row["image_id"]].append((row["class"], min(xs), min(ys), max(xs), max(ys)))
    for path in clone.matching(r"^images/.*jpg$"):
        yield Item(Path(path).name, clone[path], boxes[Path(path).name])


def grocery(clone: Clone) -> Iterator[Item]:
    """Apples, melons, pears, peaches and citrus fruit that look alike."""
    wanted = {
        "Golden-Delicious", "Granny-Smith", "Pink-Lady", "Red-Delicious", "Royal-Gala", "Cantaloupe", "Galia-Melon",
        "Honeydew-Melon", "Anjou", "Conference", "Kaiser", "Nectarine", "Peach", "Orange", "Satsumas", "Red-Grapefruit",
        "Lemon", "Lime",
    }  # fmt: skip
    rows = csv.DictReader(clone.text("dataset/classes.csv").splitlines())
    names = {row["Class ID (int)"]: row["Class Name (str)"] for row in rows}
    for listing, part in (("train", "train"), ("val", "train"), ("test", "test")):
        for line in clone.text(f"dataset/{listing}.txt").splitlines():
            path, number, *_ = (word.strip() for word in line.split(","))
            if names[number] in wanted:
                yield Item(f"{listing}_{Path(path).name}", clone[f"dataset/{path}"], names[number], part)


def mtile(clone: Clone) -> Iterator[Item]:
    """Defects of magnetic tiles; a tile's six exposures, whose numbers are close, stay together."""
    paths = clone.matching(r"^MT_\w+/Imgs/.*\.jpg$")
    numbered = sorted((path.split("/")[0][3:], int(re.findall(r"num_(\d+)", path)[0]), path) for path in paths)
    group, before = 0, ("", 0)
    for label, number, path in numbered:
        group += label != before[0] or number - before[1] > 150
        before = (label, number)
        yield Item(f"{label}/{Path(path).name}", clone[path], label, group=group)


def elpv(clone: Clone) -> Iterator[Item]:
    """Cells of solar panels, sound or broken, of two kinds; those that annotators were unsure of are left out."""
    (listing,) = clone.matching(r"data/labels\.csv$")
    for line in clone.text(listing).splitlines():
        path, share, kind = line.split()
        if not 0.1 < float(share) < 0.9:
            label = ("defect" if float(share) > 0.5 else "ok") + f"_{kind}"
            yield Item(f"{kind}_{Path(path).name}", clone[str(Path(listing).parent / path)], label)


class Source(NamedTuple):
    """Where a set comes from: repository, commit, and how many images of each part, or of each label, are taken."""

    repository: str
    commit: str
    read: Callable[[Clone], Iterator[Item]]
    most: Mapping[str, int] = MappingProxyType({})
    most_a_label: int = 0


SETS = {
    "raccoon": Source("datitran/raccoon_dataset", "93938849", raccoon),
    "deeppcb": Source("tangsanli5201/DeepPCB", "08e98c4d", deeppcb, {"train": 300, "test": 100}),
    "panels": Source("tangsanli5201/DeepPCB", "08e98c4d", panels),
    "neudet": Source("siddhartamukherjee/NEU-DET-Steel-Surface-Defect-Detection", "351bee21", neudet, {"": 480}),
    "chess": Source("jsansao/ChessPiecesv23", "246442c3", chess),
    "airbus": Source("KI-1-AI-Sec/airbus-aircraft-dataset", "d36a1031", airbus),
    "grocery": Source("marcusklasson/GroceryStoreDataset", "fc80ba90", grocery),
    "mtile": Source("abin24/Magnetic-tile-defect-datasets.", "cc4eb530", mtile, most_a_label=200),
    "elpv": Source("zae-bayern/elpv-dataset", "411fd729", elpv, most_a_label=250),
}


# --- parts and manifests ----------------------------------------------------------------------------------------------


@dataclass
class Picture:
    """An image as it goes into a set."""

    item: Item
    size: tuple[int, int]
    depth: int
    group: Hashable
    boxes: list[tuple[str, int, int, int, int]] = field(default_factory=list)


def looked_at(item: Item) -> Picture | str:
    """A picture, or why it is left out."""
    try:
        with Image.open(io.BytesIO(item.data)) as image:
            image.load()
            size, depth, turned = image.size, len(image.getbands()), image.getexif().get(274, 1)
    except OSError:
        return "unreadable"
    if turned not in (0, 1) or max(size) > MOST_PX:
        return "turned or too large"
    found = Picture(item, size, depth, item.group if item.group is not None else hashlib.sha1(item.data).digest())  # noqa: S324
    if isinstance(item.truth, str):
        return found
    for label, *sides in item.truth:
        left, top, right, bottom = (min(max(0, round(s)), size[i % 2]) for i, s in enumerate(sides))
        if right > left and bottom > top:
            found.boxes.append((label, left, top, right, bottom))
    return found if found.boxes else "without boxes"


def divided(pictures: list[Picture], source: Source) -> dict[str, list[Picture]]:
    rng = random.Random(SEED)
    if pictures[0].item.part:
        parts = {part: [one for one in pictures if one.item.part == part] for part in ("train", "test")}
        trained_on = {one.group for one in parts["train"]}
        parts["test"] = [one for one in parts["test"] if one.group not in trained_on]
        return {
            part: rng.sample(them, min(len(them), source.most.get(part, len(them)))) for part, them in parts.items()
        }
    parts = {"train": [], "test": []}
    kinds: dict[str, dict[Hashable, list[Picture]]] = defaultdict(lambda: defaultdict(list))
    for one in pictures:
        kinds[one.item.truth if isinstance(one.item.truth, str) else ""][one.group].append(one)
    for label, groups in sorted(kinds.items()):
        them = list(groups.values())
        rng.shuffle(them)
        most, taken = source.most_a_label or source.most.get(label, sys.maxsize), list[list[Picture]]()
        while them and sum(map(len, taken)) < most:
            taken.append(them.pop())
        wanted = max(1, round(TEST_SHARE * sum(map(len, taken))))
        while taken and wanted > 0:
            parts["test"] += taken[-1]
            wanted -= len(taken.pop())
        parts["train"] += [one for group in taken for one in group]
    return parts


def line_of(name: str, one: Picture, numbers: dict[str, int]) -> dict[str, Any]:
    made = {"human-annotated": "yes", "creation-date": "2026-11-27T00:00:00", "job-name": name}
    line: dict[str, Any] = {"source-ref": f"s3://{name}/images/{one.item.name}"}
    if isinstance(one.item.truth, str):
        line |= {"label": numbers[one.item.truth]}
        about = {"confidence": 1, "class-name": one.item.truth, "type": "groundtruth/image-classification"}
        return {**line, "label-metadata": {**made, **about}}
    boxes = [
        {"class_id": numbers[label], "left": left, "top": top, "width": right - left, "height": bottom - top}
        for label, left, top, right, bottom in one.boxes
    ]
    size = {"width": one.size[0], "height": one.size[1], "depth": one.depth}
    known = {str(number): label for label, number in numbers.items()}
    about = {"objects": [{"confidence": 1} for _ in boxes], "class-map": known, "type": "groundtruth/object-detection"}
    return {**line, "boxes": {"image_size": [size], "annotations": boxes}, "boxes-metadata": {**made, **about}}


def write(name: str, clones: Path, out: Path) -> None:
    source, left_out, pictures = SETS[name], defaultdict[str, int](int), []
    for item in source.read(Clone(clones, source.repository)):
        one = looked_at(item)
        if isinstance(one, str):
            left_out[one] += 1
        else:
            pictures.append(one)
    parts = divided(pictures, source)
    kept = [one for them in parts.values() for one in them]
    labels = {one.item.truth for one in kept if isinstance(one.item.truth, str)}
    numbers = {s: n for n, s in enumerate(sorted(labels | {box[0] for one in kept for box in one.boxes}))}
    for part, them in parts.items():
        for one in them:
            path = out / name / "images" / one.item.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(one.item.data)
        texts = [json.dumps(line_of(name, one, numbers)) for one in sorted(them, key=lambda one: one.item.name)]
        (out / name / f"{part}.manifest").write_text("\n".join(texts) + "\n")
    counts = {part: len(them) for part, them in parts.items()}
    print(name, counts, f"{len(numbers)} labels", f"left out: {dict(left_out)}" if left_out else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=SETS)
    parser.add_argument("--clones", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    for name in args.names:
        write(name, args.clones, args.out)


if __name__ == "__main__":
    main()
