"""Labelled images of other tools: in, out, and in again, box by box."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Home, noisy
from tests.functional.layouts import BOX_LAYOUTS, PICTURES, Boxes, coco, dump, voc, yolo

Run = Callable[..., subprocess.CompletedProcess[str]]


def imported(rcl: Run, source: Path, *words: str) -> subprocess.CompletedProcess[str]:
    done = rcl("dataset", "import", str(source), *words)
    assert done.returncode == 0, done.stderr
    return done


def boxes_in(lines: list[dict[str, Any]]) -> dict[str, Boxes]:
    """Boxes by the name of the image."""
    found: dict[str, Boxes] = {}
    for line in lines:
        boxes = []
        for annotation in line.get("boxes", {}).get("annotations", []):
            label = line["boxes-metadata"]["class-map"][str(annotation["class_id"])]
            boxes.append((label, *(annotation[side] for side in ("left", "top", "width", "height"))))
        found[line["source-ref"].rpartition("/")[2]] = boxes
    return found


def labels_in(lines: list[dict[str, Any]]) -> dict[str, set[str]]:
    """Image-level labels by the name of the image."""
    return {
        line["source-ref"].rpartition("/")[2]: {
            value["class-name"] for value in line.values() if isinstance(value, dict) and "class-name" in value
        }
        for line in lines
    }


def read(folder: Path, part: str) -> list[dict[str, Any]]:
    path = folder / f"{part}.manifest"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def assert_same(found: dict[str, Boxes], part: str, tolerance: float) -> None:
    expected = {picture.name: picture.boxes for picture in PICTURES if picture.part == part}
    assert found.keys() == expected.keys()
    for name, boxes in expected.items():
        assert [box[0] for box in found[name]] == [box[0] for box in boxes], name
        for ours, theirs in zip(found[name], boxes, strict=True):
            assert ours[1:] == pytest.approx(theirs[1:], abs=tolerance), name


@pytest.mark.parametrize("layout", BOX_LAYOUTS, ids=lambda layout: layout.__name__)
def test_boxes_arrive_as_they_were(layout: Callable[[Path], Path], rcl: Run, tmp_path: Path) -> None:
    source = layout(tmp_path / "so urce")
    imported(rcl, source, "-o", str(tmp_path / "out"))
    for part in ("train", "test"):
        # Formats round: YOLO to a millionth of the image, CVAT to a hundredth of a pixel.
        assert_same(boxes_in(read(tmp_path / "out", part)), part, tolerance=0.01)


@pytest.mark.parametrize("form", ["coco", "yolo", "voc", "manifest"])
@pytest.mark.parametrize("layout", [coco, yolo, voc], ids=lambda layout: layout.__name__)
def test_round_trips_change_no_box(
    layout: Callable[[Path], Path], form: str, home: Home, rcl: Run, tmp_path: Path
) -> None:
    done = imported(rcl, layout(tmp_path / "source"), "--project", "p")
    first = {}
    for arn, part in zip(done.stdout.split(), ("train", "test"), strict=True):
        first[part] = home.entries(arn)
        assert_same(boxes_in(first[part]), part, tolerance=0.01)
    out = rcl("dataset", "export", "p", "--format", form, "-o", str(tmp_path / "export"))
    assert out.returncode == 0, out.stderr
    imported(rcl, tmp_path / "export", "-o", str(tmp_path / "again"))
    for part, lines in first.items():
        expected, found = boxes_in(lines), boxes_in(read(tmp_path / "again", part))
        assert found.keys() == expected.keys()
        for name, boxes in expected.items():
            assert [box[0] for box in found[name]] == [box[0] for box in boxes]
            for ours, theirs in zip(found[name], boxes, strict=True):
                assert ours[1:] == pytest.approx(theirs[1:], abs=0.002)


def test_datasets_are_ready_to_train(home: Home, rcl: Run, tmp_path: Path) -> None:
    done = imported(rcl, coco(tmp_path / "source"), "--project", "p")
    for arn, part in zip(done.stdout.split(), ("train", "test"), strict=True):
        described = home.describe(arn)
        assert described["Status"] == "CREATE_COMPLETE"
        stats = described["DatasetStats"]
        assert stats["TotalEntries"] == sum(picture.part == part for picture in PICTURES)
        assert stats["ErrorEntries"] == 0
    assert "plätt" in done.stderr


def test_images_may_lie_elsewhere(rcl: Run, tmp_path: Path) -> None:
    """As exports of servers are: the labels here, the images somewhere else, or nowhere."""
    source = yolo(tmp_path / "source")
    (source / "images").rename(tmp_path / "pictures")
    (source / "data.yaml").write_text("names: [red cell, plätt, Größe]\nnc: 3\n", encoding="utf-8")
    done = rcl("dataset", "import", str(source), "-o", str(tmp_path / "out"))
    assert "leads to no images" in done.stderr
    imported(rcl, source, "--images", str(tmp_path / "pictures"), "-o", str(tmp_path / "out"))
    found = boxes_in(read(tmp_path / "out", "train"))
    expected = {picture.name: [box[0] for box in picture.boxes] for picture in PICTURES}
    assert {name: [box[0] for box in boxes] for name, boxes in found.items()} == expected


def test_whole_paths_are_found(rcl: Run, tmp_path: Path) -> None:
    noisy((90, 120, 150), (80, 80), 1).save(tmp_path / "a.jpg")
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "labels.csv").write_text(f"path,label\n{tmp_path / 'a.jpg'},cat\n")
    imported(rcl, tmp_path / "far", "-o", str(tmp_path / "out"))
    assert labels_in(read(tmp_path / "out", "train")) == {"a.jpg": {"cat"}}


def test_json_in_tables_is_no_label(rcl: Run, tmp_path: Path) -> None:
    noisy((90, 120, 150), (80, 80), 1).save(tmp_path / "a.jpg")
    (tmp_path / "labels.csv").write_text('image,label\na.jpg,"[{""x"": 1}]"\n')
    done = rcl("dataset", "import", str(tmp_path / "labels.csv"), "-o", str(tmp_path / "out"))
    assert "export JSON" in done.stderr


# --- image-level labels -----------------------------------------------------------------------------------------------


def folders(folder: Path, *, parts: bool) -> Path:
    for part in ("train", "valid") if parts else ("",):
        for number, label in enumerate(["cat", "dog house"]):
            for index in range(3):
                path = folder / part / label / ("deep" if index else "") / f"{part}{label[:3]}{index}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                noisy((90, 80 * number, 150), (80, 80), index).save(path)
    return folder


def test_folders_are_labels(rcl: Run, tmp_path: Path) -> None:
    imported(rcl, folders(tmp_path / "photos", parts=False), "-o", str(tmp_path / "out"))
    expected = {f"{label[:3]}{index}.jpg": {label} for label in ("cat", "dog house") for index in range(3)}
    assert labels_in(read(tmp_path / "out", "train")) == expected


def test_validation_images_are_for_testing_where_there_are_no_others(rcl: Run, tmp_path: Path) -> None:
    imported(rcl, folders(tmp_path / "photos", parts=True), "-o", str(tmp_path / "out"))
    assert all(name.startswith("train") for name in labels_in(read(tmp_path / "out", "train")))
    assert len(labels_in(read(tmp_path / "out", "test"))) == 6


@pytest.mark.parametrize(
    "text",
    [
        "file,labels\na.jpg,sun;beach\nb.jpg,sun\nc.jpg,\n",
        "image,tags\na.jpg,sun|beach\nb.jpg,sun\nc.jpg,\n",
        "filename,label\na.jpg,sun\na.jpg,beach\nb.jpg,sun\nc.jpg,\n",
        "\ufefffile,sun,beach\na.jpg,1,1\nb.jpg,1,0\nc.jpg,0,0\n",
    ],
)
def test_tables_hold_several_labels(text: str, rcl: Run, tmp_path: Path) -> None:
    for number, name in enumerate(["a.jpg", "b.jpg", "c.jpg"]):
        noisy((90, 120, 150), (80, 80), number).save(tmp_path / name)
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    imported(rcl, tmp_path / "labels.csv", "-o", str(tmp_path / "out"))
    found = labels_in(read(tmp_path / "out", "train"))
    assert found == {"a.jpg": {"sun", "beach"}, "b.jpg": {"sun"}, "c.jpg": set()}


def test_ground_truth_of_several_labels_is_converted(home: Home, rcl: Run, tmp_path: Path) -> None:
    line = {
        "source-ref": "s3://photos/a.jpg", "flowers": [0, 2],
        "flowers-metadata": {
            "job-name": "labeling-job/flowers", "class-map": {"0": "rose", "2": "tulip"},
            "confidence-map": {"0": 0.95, "2": 0.7}, "human-annotated": "yes", "creation-date": "2026-01-01T00:00:00",
            "type": "groundtruth/image-classification-multilabel",
        },
    }  # fmt: skip
    (tmp_path / "m.manifest").write_text(json.dumps(line) + "\n")
    done = imported(rcl, tmp_path / "m.manifest", "--project", "p")
    assert labels_in(home.entries(done.stdout.strip())) == {"a.jpg": {"rose", "tulip"}}


@pytest.mark.parametrize("form", ["csv", "folders", "manifest"])
def test_image_level_labels_make_round_trips(form: str, rcl: Run, tmp_path: Path) -> None:
    imported(rcl, folders(tmp_path / "photos", parts=True), "--project", "p")
    done = rcl("dataset", "export", "p", "--format", form, "-o", str(tmp_path / "export"))
    assert done.returncode == 0, done.stderr
    imported(rcl, tmp_path / "export", "-o", str(tmp_path / "again"))
    for part, prefix in (("train", "train"), ("test", "valid")):
        expected = {f"{prefix}{label[:3]}{i}.jpg": {label} for label in ("cat", "dog house") for i in range(3)}
        assert labels_in(read(tmp_path / "again", part)) == expected


# --- what can't be used -----------------------------------------------------------------------------------------------


def test_what_was_left_out_is_counted_and_named(rcl: Run, tmp_path: Path) -> None:
    coco(tmp_path / "source")
    path = tmp_path / "source" / "annotations" / "instances_train2017.json"
    document = json.loads(path.read_text("utf-8"))
    document["images"].append({"id": 1, "file_name": "gone.jpg", "width": 10, "height": 10})
    more = [
        {"id": 101, "image_id": 900, "category_id": 3, "bbox": [5, 5, 0, 10]},
        {"id": 102, "image_id": 900, "category_id": 3, "bbox": [190, 5, 30, 10]},
        {"id": 103, "image_id": 900, "category_id": 3, "bbox": [500, 5, 30, 10]},
        {"id": 104, "image_id": 900, "category_id": 99, "bbox": [5, 5, 10, 10]},
        {"id": 105, "image_id": 900, "category_id": 3, "bbox": [5, 5, 10, 10], "iscrowd": 1},
    ]
    document["annotations"] += more
    dump(path, document)
    (tmp_path / "source" / "train2017" / "two.png").write_bytes(b"no image")
    done = imported(rcl, tmp_path / "source", "-o", str(tmp_path / "out"))
    for note in (
        "1 images are missing: gone.jpg",
        "1 images can't be used (InvalidImageFormatException)",
        "1 boxes have no area and were left out",
        "1 boxes reached beyond their image and were cut",
        "1 boxes lie outside their image and were left out",
        "1 annotations are of categories that the file does not list",
        "1 annotations of crowds were left out",
    ):
        assert note in " ".join(done.stderr.split()), note
    boxes = boxes_in(read(tmp_path / "out", "train"))["one.jpg"]
    assert boxes[2] == ("red cell", 190, 5, 13, 10)


@pytest.mark.parametrize(
    ("make", "words", "message"),
    [
        (lambda p: None, [], "is not there"),
        (lambda p: p.mkdir(), [], "in no format that rcl knows"),
        (lambda p: p.mkdir(), ["--format", "coco"], "holds no COCO annotations"),
        (lambda p: p.mkdir(), ["--format", "voc"], "holds no Pascal VOC annotations"),
        (lambda p: p.mkdir(), ["--format", "yolo"], "classes have no names"),
        (lambda p: p.mkdir(), ["--format", "cvat"], "holds no annotations.xml"),
        (lambda p: p.mkdir(), ["--format", "labelstudio"], "no JSON export of Label Studio"),
        (lambda p: p.mkdir(), ["--format", "folders"], "has no folders"),
        (lambda p: p.mkdir(), ["--format", "manifest"], "no Ground Truth manifest"),
        (lambda p: p.mkdir(), ["--format", "csv"], "is no CSV file"),
        (lambda p: p.write_text("a,b\n1,2\n"), ["--format", "csv"], "the first line must name the columns"),
        (lambda p: p.write_text("file,b\n1.jpg,2\n"), ["--format", "csv"], "every column names a label"),
    ],
)
def test_what_is_no_dataset_says_so(
    make: Callable[[Path], object], words: list[str], message: str, rcl: Run, tmp_path: Path
) -> None:
    make(tmp_path / "source")
    done = rcl("dataset", "import", str(tmp_path / "source"), *words, "--project", "p")
    assert done.returncode != 0
    assert message in " ".join(done.stderr.split())
    assert not done.stdout
    assert json.loads(rcl("describe-projects").stdout)["ProjectDescriptions"] == []


def test_packed_exports_are_to_be_unpacked(rcl: Run, tmp_path: Path) -> None:
    (tmp_path / "export.zip").write_bytes(b"PK")
    done = rcl("dataset", "import", str(tmp_path / "export.zip"), "--project", "p")
    assert "unpack it" in done.stderr


def test_datasets_that_are_there_stay(rcl: Run, tmp_path: Path) -> None:
    imported(rcl, yolo(tmp_path / "source"), "--project", "p")
    done = rcl("dataset", "import", str(tmp_path / "source"), "--project", "p")
    assert done.returncode != 0
    assert "has a train dataset already" in " ".join(done.stderr.split())


def test_exports_that_fail_leave_nothing(rcl: Run, tmp_path: Path) -> None:
    imported(rcl, folders(tmp_path / "photos", parts=False), "--project", "p")
    done = rcl("dataset", "export", "p", "--format", "coco", "-o", str(tmp_path / "new" / "export"))
    assert done.returncode != 0
    assert "choose csv, folders or manifest" in " ".join(done.stderr.split())
    assert not any((tmp_path / "new").iterdir())
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    done = rcl("dataset", "export", "p", "--format", "csv", "-o", str(tmp_path / "full"))
    assert "is not an empty folder" in " ".join(done.stderr.split())
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"


def test_images_of_the_same_name_stay_apart(rcl: Run, tmp_path: Path) -> None:
    for number, label in enumerate(["a", "b"]):
        (tmp_path / "photos" / label).mkdir(parents=True)
        noisy((90, 80 * number, 150), (80, 80), number).save(tmp_path / "photos" / label / "x.jpg")
    imported(rcl, tmp_path / "photos", "--project", "p")
    rcl("dataset", "export", "p", "--format", "csv", "-o", str(tmp_path / "export"))
    rows = (tmp_path / "export" / "labels.csv").read_text().splitlines()[1:]
    assert rows == ["images/x.jpg,a,train", "images/x-2.jpg,b,train"]
    one, other = ((tmp_path / "export" / "images" / name).read_bytes() for name in ("x.jpg", "x-2.jpg"))
    assert one != other
