"""The same labelled images, laid out as other tools publish or export them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import quoteattr

from tests.conftest import noisy

Boxes = list[tuple[str, float, float, float, float]]


class Picture(NamedTuple):
    """An image and its truth: boxes are (label, left, top, width, height) in pixels."""

    name: str
    size: tuple[int, int]
    boxes: Boxes
    part: str


# Labels with spaces and accents; sizes that are no round numbers; an image without boxes.
PICTURES = [
    Picture("one.jpg", (203, 151), [("red cell", 10, 20, 30, 40), ("plätt", 60.5, 70.25, 20.5, 30)], "train"),
    Picture("two.png", (128, 96), [("red cell", 0, 0, 128, 96)], "train"),
    Picture("three.jpeg", (301, 99), [("Größe", 200.125, 3, 100, 90.5), ("red cell", 1, 1, 9, 9)], "train"),
    Picture("empty.jpg", (100, 100), [], "train"),
    Picture("four.jpg", (90, 111), [("plätt", 5, 6, 7, 8)], "test"),
]
LABELS = ["red cell", "plätt", "Größe"]


def save(picture: Picture, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noisy((90, 120, 150), picture.size, len(picture.name)).save(path)


def dump(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


def coco(folder: Path) -> Path:
    """As on cocodataset.org: `annotations/instances_*.json`, a folder of images a part; ids with gaps."""
    ids = {label: 7 * number + 3 for number, label in enumerate(LABELS)}
    for part in ("train", "test"):
        images, annotations = [], []
        for number, picture in enumerate(p for p in PICTURES if p.part == part):
            save(picture, folder / f"{part}2017" / picture.name)
            images.append(
                {"id": 900 + number, "file_name": picture.name, "width": picture.size[0], "height": picture.size[1],
                 "license": 1, "coco_url": "http://localhost/x"}
            )  # fmt: skip
            for label, *box in picture.boxes:
                annotations.append(
                    {"id": len(annotations), "image_id": 900 + number, "category_id": ids[label], "bbox": box,
                     "area": box[2] * box[3], "iscrowd": 0, "segmentation": [[0, 0, 1, 1, 2, 2]]}
                )  # fmt: skip
        categories = [{"id": number, "name": label, "supercategory": "none"} for label, number in ids.items()]
        document = {"info": {}, "licenses": [], "images": images, "annotations": annotations, "categories": categories}
        dump(folder / "annotations" / f"instances_{part}2017.json", document)
    return folder


def roboflow_coco(folder: Path) -> Path:
    """As Roboflow exports: `_annotations.coco.json` beside the images; category 0 is none of them."""
    for part in ("train", "test"):
        images, annotations = [], []
        for number, picture in enumerate(p for p in PICTURES if p.part == part):
            save(picture, folder / part / picture.name)
            images.append(
                {"id": number, "file_name": picture.name, "height": picture.size[1], "width": picture.size[0]}
            )
            for label, *box in picture.boxes:
                category = LABELS.index(label) + 1
                annotations.append({"id": len(annotations), "image_id": number, "category_id": category, "bbox": box})
        categories = [{"id": 0, "name": "things"}] + [{"id": n, "name": label} for n, label in enumerate(LABELS, 1)]
        document = {"images": images, "annotations": annotations, "categories": categories}
        dump(folder / part / "_annotations.coco.json", document)
    return folder


def _yolo_lines(picture: Picture) -> str:
    width, height = picture.size
    return "".join(
        f"{LABELS.index(label)} {(x + w / 2) / width:.6f} {(y + h / 2) / height:.6f} {w / width:.6f} {h / height:.6f}\n"
        for label, x, y, w, h in picture.boxes
    )


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def yolo(folder: Path) -> Path:
    """Ultralytics' layout; an image without boxes has no label file. `path` is of another machine."""
    for picture in PICTURES:
        save(picture, folder / "images" / picture.part / picture.name)
        if picture.boxes:
            _write(folder / "labels" / picture.part / f"{Path(picture.name).stem}.txt", _yolo_lines(picture))
    names = "".join(f"  {number}: {label}\n" for number, label in enumerate(LABELS))
    _write(folder / "data.yaml", f"path: ../datasets/x\ntrain: images/train\nval: images/test\ntest:\nnames:\n{names}")
    return folder


def roboflow_yolo(folder: Path) -> Path:
    """As Roboflow exports: `../train/images` whatever lies where."""
    for picture in PICTURES:
        save(picture, folder / picture.part / "images" / picture.name)
        _write(folder / picture.part / "labels" / f"{Path(picture.name).stem}.txt", _yolo_lines(picture))
    text = f"train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 3\nnames: {json.dumps(LABELS)}\n"
    _write(folder / "data.yaml", text)
    return folder


def darknet(folder: Path) -> Path:
    """As CVAT exports YOLO 1.1."""
    _write(folder / "obj.names", "\n".join(LABELS) + "\n")
    _write(folder / "obj.data", "classes = 3\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n")
    for part in ("train", "test"):
        listed = ""
        for picture in (p for p in PICTURES if p.part == part):
            save(picture, folder / f"obj_{part}_data" / picture.name)
            _write(folder / f"obj_{part}_data" / f"{Path(picture.name).stem}.txt", _yolo_lines(picture))
            listed += f"data/obj_{part}_data/{picture.name}\n"
        _write(folder / f"{part}.txt", listed)
    return folder


def voc(folder: Path) -> Path:
    """As the challenge ships: `VOCdevkit/VOC2012/…`."""
    root = folder / "VOCdevkit" / "VOC2012"
    for picture in PICTURES:
        save(picture, root / "JPEGImages" / picture.name)
        objects = "".join(
            f"<object><name>{label}</name><pose>Left</pose><truncated>1</truncated><difficult>0</difficult><bndbox>"
            f"<xmax>{x + w}</xmax><xmin>{x}</xmin><ymax>{y + h}</ymax><ymin>{y}</ymin></bndbox>"
            "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"
            "</object>"
            for label, x, y, w, h in picture.boxes
        )
        size = f"<size><width>{picture.size[0]}</width><height>{picture.size[1]}</height><depth>3</depth></size>"
        text = f"<annotation><folder>VOC2012</folder><filename>{picture.name}</filename>{size}{objects}</annotation>"
        _write(root / "Annotations" / f"{Path(picture.name).stem}.xml", text)
    for part in ("train", "test"):
        stems = [Path(p.name).stem for p in PICTURES if p.part == part]
        _write(root / "ImageSets" / "Main" / f"{part}.txt", "\n".join(stems) + "\n")
        _write(root / "ImageSets" / "Main" / f"red_{part}.txt", "".join(f"{stem} -1\n" for stem in stems))
    return folder


def cvat(folder: Path) -> Path:
    """CVAT for images 1.1 of a project: subsets, and folders of them."""
    text = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n<meta><task/></meta>\n'
    for number, picture in enumerate(PICTURES):
        subset = picture.part.capitalize()
        save(picture, folder / "images" / subset / picture.name)
        text += (
            f'<image id="{number}" name={quoteattr(picture.name)} subset="{subset}" task_id="1" '
            f'width="{picture.size[0]}" height="{picture.size[1]}">\n'
        )
        for label, x, y, w, h in picture.boxes:
            text += (
                f'<box label={quoteattr(label)} source="manual" occluded="0" xtl="{x:.2f}" ytl="{y:.2f}" '
                f'xbr="{x + w:.2f}" ybr="{y + h:.2f}" z_order="0"><attribute name="a">b</attribute></box>\n'
            )
        text += "</image>\n"
    _write(folder / "annotations.xml", text + "</annotations>\n")
    return folder


def cvat_of_datumaro(folder: Path) -> Path:
    """CVAT's format as Datumaro writes it: a file a part, images together."""
    for part in ("train", "test"):
        text = "<annotations><version>1.1</version>"
        for picture in (p for p in PICTURES if p.part == part):
            save(picture, folder / "images" / picture.name)
            text += f'<image id="0" name={quoteattr(picture.name)} width="1" height="1">'
            for label, x, y, w, h in picture.boxes:
                text += f'<box label={quoteattr(label)} xtl="{x}" ytl="{y}" xbr="{x + w}" ybr="{y + h}"/>'
            text += "</image>"
        _write(folder / f"{part}.xml", text + "</annotations>")
    return folder


def label_studio(folder: Path) -> Path:
    """Label Studio's JSON: percent, upload names, answers of the backend that must not count."""
    tasks = []
    for number, picture in enumerate(PICTURES):
        save(picture, folder / "upload" / picture.name)
        results = [
            {"id": f"r{i}", "type": "rectanglelabels", "from_name": "label", "to_name": "image",
             "original_width": picture.size[0], "original_height": picture.size[1], "image_rotation": 0,
             "value": {"rotation": 0, "x": 100 * x / picture.size[0], "y": 100 * y / picture.size[1],
                       "width": 100 * w / picture.size[0], "height": 100 * h / picture.size[1],
                       "rectanglelabels": [label]}}
            for i, (label, x, y, w, h) in enumerate(picture.boxes)
        ]  # fmt: skip
        tasks.append(
            {"id": number, "data": {"image": f"/data/upload/1/0a1b2c3d-{picture.name}", "split": picture.part},
             "annotations": [{"id": 1, "was_cancelled": True, "result": results[:1] * 2},
                             {"id": 2, "was_cancelled": False, "result": results}],
             "predictions": [{"result": results[:1] * 3}], "file_upload": f"0a1b2c3d-{picture.name}"}
        )  # fmt: skip
    dump(folder / "project-1-at-2026.json", tasks)
    return folder


def label_studio_min(folder: Path) -> Path:
    """Label Studio's JSON-MIN."""
    tasks = []
    for number, picture in enumerate(PICTURES):
        save(picture, folder / picture.name)
        found = [
            {"x": 100 * x / picture.size[0], "y": 100 * y / picture.size[1], "width": 100 * w / picture.size[0],
             "height": 100 * h / picture.size[1], "rotation": 0, "rectanglelabels": [label],
             "original_width": picture.size[0], "original_height": picture.size[1]}
            for label, x, y, w, h in picture.boxes
        ]  # fmt: skip
        task = {"image": f"/data/local-files/?d=x/{picture.name}", "split": picture.part, "id": number, "annotator": 1}
        tasks.append({**task, **({"label": found} if found else {}), "annotation_id": 1, "lead_time": 1.5})
    dump(folder / "min.json", tasks)
    return folder


def table(folder: Path) -> Path:
    """A row a box, as TensorFlow's tutorials have it."""
    folder.mkdir(parents=True)
    with (folder / "boxes.csv").open("w", encoding="utf-8", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax", "split"])
        for picture in PICTURES:
            save(picture, folder / "pictures" / picture.name)
            for label, x, y, w, h in picture.boxes or [("", "", "", "", "")]:  # type: ignore[list-item]
                corners = [x, y, x + w, y + h] if label else [""] * 4
                rows.writerow([picture.name, *picture.size, label, *corners, picture.part])
    return folder / "boxes.csv"


BOX_LAYOUTS: list[Callable[[Path], Path]] = [
    coco, roboflow_coco, yolo, roboflow_yolo, darknet, voc, cvat, cvat_of_datumaro, label_studio, label_studio_min,
    table,
]  # fmt: skip
