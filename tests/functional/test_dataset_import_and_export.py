"""Labelled images of other tools: in, out, and in again, box by box."""

from __future__ import annotations

import json
import os
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


# --- odd things that were found by attacking it -----------------------------------------------------------------------


def yolo_of(folder: Path, text: str, **files: str) -> Path:
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    noisy((90, 120, 150), (96, 80), 1).save(folder / "images" / "a.jpg")
    (folder / "labels" / "a.txt").write_text(text)
    (folder / "classes.txt").write_text("cat\ndog\n")
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)
    return folder


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_coordinates_that_are_no_numbers_make_no_box(value: str, rcl: Run, tmp_path: Path) -> None:
    source = yolo_of(tmp_path / "source", f"0 {value} 0.5 0.5 0.5\n1 0.5 0.5 0.5 {value}\n1 0.5 0.5 0.5 0.5\n")
    done = imported(rcl, source, "-o", str(tmp_path / "out"))
    assert boxes_in(read(tmp_path / "out", "train")) == {"a.jpg": [("dog", 24, 20, 48, 40)]}
    assert "2 boxes have coordinates that are no numbers" in " ".join(done.stderr.split())
    assert rcl("dataset", "check", str(source)).returncode == 1
    for form in ("coco", "yolo", "voc"):
        assert rcl("dataset", "export", str(source), "--format", form, "-o", str(tmp_path / form)).returncode == 0
        imported(rcl, tmp_path / form, "-o", str(tmp_path / f"again-{form}"))
        again = boxes_in(read(tmp_path / f"again-{form}", "train"))["a.jpg"]
        assert [box[0] for box in again] == ["dog"]


def test_boxes_of_another_size_are_scaled_when_they_are_written(rcl: Run, tmp_path: Path) -> None:
    noisy((90, 120, 150), (96, 80), 1).save(tmp_path / "a.jpg")
    line = {
        "source-ref": (tmp_path / "a.jpg").as_uri(),
        "b": {"image_size": [{"width": 192, "height": 160, "depth": 3}],
              "annotations": [{"class_id": 0, "left": 100, "top": 80, "width": 80, "height": 60}]},
        "b-metadata": {"objects": [{"confidence": 1}], "class-map": {"0": "cat"}, "human-annotated": "yes",
                       "creation-date": "2026", "type": "groundtruth/object-detection"},
    }  # fmt: skip
    (tmp_path / "m.manifest").write_text(json.dumps(line) + "\n")
    for form in ("coco", "yolo", "voc"):
        out = tmp_path / form
        assert rcl("dataset", "export", str(tmp_path / "m.manifest"), "--format", form, "-o", str(out)).returncode == 0
        imported(rcl, out, "-o", str(tmp_path / f"again-{form}"))
        (box,) = boxes_in(read(tmp_path / f"again-{form}", "train"))["a.jpg"]
        assert box[1:] == pytest.approx((50, 40, 40, 30), abs=0.01)


def test_an_image_of_one_part_never_stands_in_for_one_of_another(rcl: Run, tmp_path: Path) -> None:
    noisy((90, 120, 150), (96, 80), 1).save(_made(tmp_path / "source" / "images" / "train" / "0001.jpg"))
    for part in ("train", "val"):
        dump(tmp_path / "source" / "annotations" / f"instances_{part}.json", {
            "images": [{"id": 1, "file_name": "0001.jpg"}], "categories": [{"id": 1, "name": "cat"}],
            "annotations": [{"image_id": 1, "category_id": 1, "bbox": [6, 6, 9, 9]}],
        })  # fmt: skip
    done = imported(rcl, tmp_path / "source", "-o", str(tmp_path / "out"))
    assert "1 images are missing: 0001.jpg" in " ".join(done.stderr.split())
    assert not (tmp_path / "out" / "test.manifest").exists()


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.mark.parametrize(
    "annotation",
    [
        {"bbox": [1, 2, 3]}, {"segmentation": [1, 2, 3, 4, 5, 6]}, {"segmentation": [[]]}, {"segmentation": [[5]]},
        {"segmentation": [[None, 1, 2, 3]]}, {"bbox": [1, 2, 3, 4, 5]},
    ],
)  # fmt: skip
def test_one_bad_annotation_spoils_no_other(annotation: dict[str, Any], rcl: Run, tmp_path: Path) -> None:
    noisy((90, 120, 150), (96, 80), 1).save(_made(tmp_path / "source" / "a.jpg"))
    dump(tmp_path / "source" / "x.json", {
        "images": [{"id": 1, "file_name": "a.jpg"}], "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"image_id": 1, "category_id": 1, **annotation},
                        {"image_id": 1, "category_id": 1, "bbox": [6, 6, 9, 9]}],
    })  # fmt: skip
    done = imported(rcl, tmp_path / "source", "-o", str(tmp_path / "out"))
    assert boxes_in(read(tmp_path / "out", "train"))["a.jpg"] == [("cat", 6, 6, 9, 9)]
    assert "1 annotations have boxes that make no sense" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    "result",
    [7, [{"value": {"rectanglelabels": ["cat"], "width": 3, "y": 1, "height": 2}}],
     [{"value": {"rectanglelabels": ["cat"], "x": "abc", "y": 1, "width": 3, "height": 2}}],
     [{"value": {"polygonlabels": ["cat"], "points": []}}], [{"value": {"choices": [None, ""]}}]],
)  # fmt: skip
def test_label_studio_results_without_sense_spoil_no_other(result: Any, rcl: Run, tmp_path: Path) -> None:
    noisy((90, 120, 150), (96, 80), 1).save(_made(tmp_path / "source" / "a.jpg"))
    good = {"value": {"rectanglelabels": ["cat"], "x": 50, "y": 50, "width": 25, "height": 25}}
    annotations = [{"result": [*result, good] if isinstance(result, list) else result}]
    dump(tmp_path / "source" / "x.json", [{"id": 1, "data": {"image": "a.jpg"}, "annotations": annotations}])
    imported(rcl, tmp_path / "source", "-o", str(tmp_path / "out"))
    expected = [("cat", 48, 40, 24, 20)] if isinstance(result, list) else []
    assert boxes_in(read(tmp_path / "out", "train"))["a.jpg"] == expected


def test_paths_of_a_part_that_lead_nowhere_are_told(rcl: Run, tmp_path: Path) -> None:
    source = yolo_of(tmp_path / "source", "0 0.5 0.5 0.5 0.5\n", data_yaml="names: [cat]\ntrain: imagse\n")
    done = rcl("dataset", "import", str(source), "-o", str(tmp_path / "out"))
    assert "names parts that lead to no images" in " ".join(done.stderr.split())
    (source / "data.yaml").write_text("names: [cat]\ntrain: images\ntest: tset\n")
    done = imported(rcl, source, "-o", str(tmp_path / "out"))
    assert "1 parts lead to no images: test: tset" in " ".join(done.stderr.split())


def test_classes_are_whole_numbers(rcl: Run, tmp_path: Path) -> None:
    source = yolo_of(tmp_path / "source", "1.9 0.5 0.5 0.5 0.5\ninf 0.5 0.5 0.5 0.5\n1.0 0.5 0.5 0.5 0.5\n")
    (source / "classes.txt").write_text("cat\ndög\n", encoding="utf-8-sig")
    imported(rcl, source, "-o", str(tmp_path / "out"))
    assert [box[0] for box in boxes_in(read(tmp_path / "out", "train"))["a.jpg"]] == ["dög"]


@pytest.mark.parametrize("label", ["", "  ", "x" * 300, "a\x01b"])
def test_labels_that_no_dataset_holds_are_left_out(label: str, rcl: Run, tmp_path: Path) -> None:
    noisy((90, 120, 150), (96, 80), 1).save(_made(tmp_path / "source" / "a.jpg"))
    dump(tmp_path / "source" / "x.json", {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "categories": [{"id": 1, "name": label}, {"id": 2, "name": "cat"}],
        "annotations": [{"image_id": 1, "category_id": n, "bbox": [6, 6, 9, 9]} for n in (1, 2)],
    })  # fmt: skip
    done = imported(rcl, tmp_path / "source", "-o", str(tmp_path / "out"))
    assert boxes_in(read(tmp_path / "out", "train"))["a.jpg"] == [("cat", 6, 6, 9, 9)]
    assert "1 labels are empty, too long, or no text" in " ".join(done.stderr.split())


def test_odd_files_are_left_out(rcl: Run, tmp_path: Path) -> None:
    folders(tmp_path / "photos", parts=False)
    os.mkfifo(tmp_path / "photos" / "cat" / "pipe.jpg")
    (tmp_path / "photos" / "cat" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "photos" / "cat" / "loop").symlink_to(tmp_path / "photos")
    os.mkdir(os.fsencode(tmp_path / "photos") + b"/l\xff")  # noqa: PTH102 - no text
    noisy((1, 2, 3), (80, 80), 3).save(tmp_path / "x.jpg")
    os.rename(tmp_path / "x.jpg", os.fsencode(tmp_path / "photos") + b"/l\xff/x.jpg")  # noqa: PTH104 - no text
    done = imported(rcl, tmp_path / "photos", "-o", str(tmp_path / "out"))
    assert len(read(tmp_path / "out", "train")) == 6
    for note in ("2 images are missing", "1 images have names that are no UTF-8"):
        assert note in " ".join(done.stderr.split())


def test_images_listed_twice_are_told(rcl: Run, tmp_path: Path) -> None:
    noisy((90, 120, 150), (80, 80), 1).save(tmp_path / "a.jpg")
    (tmp_path / "labels.csv").write_text("file,label\na.jpg,cat\n./a.jpg,dog\n")
    done = imported(rcl, tmp_path / "labels.csv", "--project", "p")
    assert "1 images are listed more than once" in " ".join(done.stderr.split())


def test_voc_keeps_parts_of_names_with_spaces(rcl: Run, tmp_path: Path) -> None:
    for number, name in enumerate(["a 2.jpg", "b.jpg"]):
        noisy((90, 120, 150), (80, 80), number).save(tmp_path / name)
    rows = "file,label,xmin,ymin,xmax,ymax,split\na 2.jpg,cat,1,1,20,20,test\nb.jpg,cat,1,1,20,20,train\n"
    (tmp_path / "boxes.csv").write_text(rows)
    out = rcl("dataset", "export", str(tmp_path / "boxes.csv"), "--format", "voc", "-o", str(tmp_path / "voc"))
    assert out.returncode == 0, out.stderr
    imported(rcl, tmp_path / "voc", "-o", str(tmp_path / "out"))
    assert list(boxes_in(read(tmp_path / "out", "test"))) == ["a%202.jpg"]


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


def test_images_are_copied_into_a_bucket_where_that_is_asked_for(rcl: Run, home: Home, tmp_path: Path) -> None:
    source = coco(tmp_path / "set")
    done = imported(rcl, source, "--project", "cells", "--copy-to", "s3://mine/deep/place/")
    found = [line["source-ref"] for arn in done.stdout.split() for line in home.entries(arn)]
    assert set(found) == {f"s3://mine/deep/place/{picture.part}2017/{picture.name}" for picture in PICTURES}
    for ref in found:
        path = home.buckets / ref.removeprefix("s3://")
        assert path.read_bytes() == (source / path.parent.name / path.name).read_bytes()
    # The same again is the same; another picture of the name gets one of its own, and a manifest can have it, too.
    noisy((1, 2, 3), PICTURES[0].size, 99).save(source / "train2017" / "one.jpg")
    out = tmp_path / "out"
    imported(rcl, source, "-o", str(out), "--copy-to", "s3://mine/deep/place")
    refs = [line["source-ref"] for part in ("train", "test") for line in read(out, part)]
    assert sorted(set(found) - set(refs)) == ["s3://mine/deep/place/train2017/one.jpg"]
    (own,) = set(refs) - set(found)
    assert own.startswith("s3://mine/deep/place/train2017/one-")
    assert (home.buckets / own.removeprefix("s3://")).read_bytes() == (source / "train2017" / "one.jpg").read_bytes()


def test_where_images_cannot_be_copied_nothing_is_made(rcl: Run, home: Home, tmp_path: Path) -> None:
    source = coco(tmp_path / "set")
    for place in ("mine", "s3://", "/tmp", "s3://No Bucket"):
        done = rcl("dataset", "import", str(source), "--project", "cells", "--copy-to", place)
        assert done.returncode == 252, (place, done.stderr)
        assert "Traceback" not in done.stderr
    (home.buckets / "full").mkdir()
    (home.buckets / "full" / "train2017").write_text("a file where a folder has to be")
    done = rcl("dataset", "import", str(source), "--project", "cells", "--copy-to", "s3://full")
    assert done.returncode != 0
    assert "Images can't be put into the bucket full" in done.stderr
    assert home.call("DescribeProjects")["ProjectDescriptions"] == []


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
