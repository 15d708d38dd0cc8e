"""Real trainings, as small as they get: the six files field by field, serving, and every way to fail."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rcl_cli.backends.registry import write_card
from rcl_cli.backends.whole import sealed
from rcl_cli.compute.folder import WorkFolder
from rcl_cli.compute.launcher import launcher
from rcl_cli.compute.places import making_of
from rcl_cli.context import in_region, make_context
from rcl_cli.domain import ModelCard, Sample
from rcl_cli.errors import (
    ImageTooLarge,
    InvalidImageFormat,
    InvalidParameter,
    InvalidS3Object,
    ResourceInUse,
    ResourceNotReady,
    ServiceError,
    ValidationError,
)
from rcl_cli.operations import settle
from rcl_cli.operations.invoke import invoke
from rcl_cli.store import versions
from rcl_cli.training import copier
from rcl_cli.training.job import CopyJob, Making
from tests.conftest import Home, colour_images, noisy, wait_until, write_manifest
from tests.functional.models import Trained

FILES = {
    "EvaluationResultSummary",
    "TrainingGroundTruth",
    "TestingGroundTruth",
    "TrainingManifestWithValidation",
    "TestingManifestWithValidation",
    "ManifestSummary",
}


# --- the six files ----------------------------------------------------------------------------------------------------


def asset(name: str) -> dict[str, Any]:
    return {"Assets": [{"GroundTruthManifest": {"S3Object": {"Bucket": "out", "Name": f"models/a/{name}-p-v.json"}}}]}


@pytest.mark.parametrize("kind", ["classifier", "detector"])
def test_description(kind: str, request: pytest.FixtureRequest) -> None:
    model: Trained = request.getfixturevalue(kind)
    described = model.describe()
    folder = model.home.buckets / "out" / "models" / "a"
    assert {path.name for path in folder.iterdir()} == {f"{name}-p-v.json" for name in FILES}
    assert described["TrainingDataResult"] == {
        "Input": {},
        "Output": asset("TrainingGroundTruth"),
        "Validation": asset("TrainingManifestWithValidation"),
    }
    assert described["TestingDataResult"] == {
        "Input": {"AutoCreate": False},
        "Output": {**asset("TestingGroundTruth"), "AutoCreate": False},
        "Validation": asset("TestingManifestWithValidation"),
    }
    summary = json.loads(model.text("EvaluationResultSummary"))
    assert described["EvaluationResult"] == {
        "F1Score": summary["AggregatedEvaluationResults"]["F1Score"],
        "Summary": {"S3Object": {"Bucket": "out", "Name": "models/a/EvaluationResultSummary-p-v.json"}},
    }
    assert described["ManifestSummary"] == {"S3Object": {"Bucket": "out", "Name": "models/a/ManifestSummary-p-v.json"}}
    assert described["OutputConfig"] == {"S3Bucket": "out", "S3KeyPrefix": "models/a"}
    assert described["BillableTrainingTimeInSeconds"] >= 1
    assert described["TrainingEndTimestamp"] > described["CreationTimestamp"]
    assert described["MinInferenceUnits"] == 1
    assert described["Feature"] == "CUSTOM_LABELS"


@pytest.mark.parametrize(("kind", "counts"), [("classifier", (24, 9)), ("detector", (16, 6))])
def test_evaluation_summary(kind: str, counts: tuple[int, int], request: pytest.FixtureRequest) -> None:
    model: Trained = request.getfixturevalue(kind)
    summary = json.loads(model.text("EvaluationResultSummary"))
    assert list(summary) == ["Version", "AggregatedEvaluationResults", "EvaluationDetails", "LabelEvaluationResults"]
    assert summary["Version"] == 1
    aggregated, details = summary["AggregatedEvaluationResults"], summary["EvaluationDetails"]
    names = ["blue", "green", "red"] if kind == "classifier" else ["green", "red"]
    assert details["Labels"] == names
    assert (details["NumberOfTrainingImages"], details["NumberOfTestingImages"]) == counts
    assert details["ProjectVersionArn"] == model.version
    datetime.strptime(details["EvaluationEndTimestamp"], "%Y-%m-%dT%H:%M:%S.%f")  # noqa: DTZ007 - as AWS writes it
    labels = summary["LabelEvaluationResults"]
    assert sorted(one["Label"] for one in labels) == names
    assert [one["Metrics"]["F1Score"] for one in labels] == sorted(
        (o["Metrics"]["F1Score"] for o in labels), reverse=True
    )
    for figure in ("F1Score", "Precision", "Recall"):
        mean = sum(one["Metrics"][figure] for one in labels) / len(labels)
        assert aggregated[figure] == pytest.approx(mean)
    assert all(0 <= one["Metrics"]["Threshold"] <= 1 for one in labels)
    assert all(one["NumberOfTestingImages"] == 3 for one in labels)
    if kind == "classifier":
        assert len(aggregated["ConfusionMatrix"]) == 9
        assert set(aggregated["ConfusionMatrix"][0]) == {"GroundTruthLabel", "PredictedLabel", "Value"}
        assert set(aggregated) == {"ConfusionMatrix", "F1Score", "Precision", "Recall"}
    else:
        assert set(aggregated) == {"AveragePrecision", "AverageRecall", "F1Score", "Precision", "Recall"}


def check_details(details: dict[str, Any]) -> None:
    assert details["version"] == 1
    assert details["ground-truth-labelling-jobs"] == ["rekognition-custom-labels-training-job"]
    verdicts = ("true-positive", "true-negative", "false-positive", "false-negative")
    assert sum(details[f"is-{verdict}"] for verdict in verdicts) == 1
    assert details["is-present-in-ground-truth"] == (details["is-true-positive"] or details["is-false-negative"])


def test_ground_truth_of_a_classification(classifier: Trained) -> None:
    training, testing = classifier.lines("TrainingGroundTruth"), classifier.lines("TestingGroundTruth")
    assert (len(training), len(testing)) == (24, 9)
    name = "rekognition-custom-labels-training-0"
    assert list(training[0]) == ["source-ref", name, f"{name}-metadata"]
    metadata = training[0][f"{name}-metadata"]
    assert metadata["job-name"] == "rekognition-custom-labels-training-job"
    assert metadata["type"] == "groundtruth/image-classification"
    assert metadata["human-annotated"] == "yes"
    for line in testing:
        for number in range(3):
            name = f"rekognition-custom-labels-evaluation-{number}"
            metadata = line[f"{name}-metadata"]
            details = metadata["rekognition-custom-labels-evaluation-details"]
            check_details(details)
            assert line[name] == int(details["is-true-positive"] or details["is-false-positive"])
            assert metadata["job-name"] == "rekognition-custom-labels-evaluation-job"
            assert metadata["human-annotated"] == "no"
            assert 0 <= metadata["confidence"] <= 1


def test_ground_truth_of_a_detection(detector: Trained) -> None:
    training, testing = detector.lines("TrainingGroundTruth"), detector.lines("TestingGroundTruth")
    assert (len(training), len(testing)) == (16, 6)
    name = "rekognition-custom-labels-training-0"
    source = json.loads((detector.home.buckets / "data" / "TRAIN.manifest").read_text().splitlines()[0])
    truth = {key: value for key, value in training[0][name]["annotations"][0].items() if key != "class_id"}
    assert truth == {k: v for k, v in source["boxes"]["annotations"][0].items() if k != "class_id"}
    assert training[0][name]["image_size"] == [{"width": 128, "depth": 3, "height": 96}]
    assert training[0][f"{name}-metadata"]["class-map"] == {"1": "red"}
    for line in testing:
        value = line["rekognition-custom-labels-evaluation"]
        metadata = line["rekognition-custom-labels-evaluation-metadata"]
        assert len(value["annotations"]) == len(metadata["objects"])
        assert metadata["type"] == "groundtruth/object-detection"
        for annotation, found in zip(value["annotations"], metadata["objects"], strict=True):
            assert str(annotation["class_id"]) in metadata["class-map"]
            check_details(found["rekognition-custom-labels-evaluation-details"])


@pytest.mark.parametrize("kind", ["classifier", "detector"])
def test_validation_manifests_and_summary(kind: str, request: pytest.FixtureRequest) -> None:
    model: Trained = request.getfixturevalue(kind)
    validated = model.lines("TrainingManifestWithValidation")
    total = 26 if kind == "classifier" else 18
    assert len(validated) == total
    assert validated[-2]["errors"] == [
        {"code": "ERROR_INVALID_IMAGE", "message": "The image is invalid. Check S3 path and/or image properties."}
    ]
    assert validated[-1]["warnings"] == [{"code": "WARNING_UNANNOTATED_RECORD", "message": "Record is unannotated."}]
    assert all("errors" not in line and "warnings" not in line for line in validated[:-2])
    assert len(model.lines("TestingManifestWithValidation")) == (9 if kind == "classifier" else 6)
    summary = json.loads(model.text("ManifestSummary"))
    assert summary["errors"] == []
    assert summary["statistics"]["training"] == {
        "use_case": "IMAGE_LEVEL_LABELS" if kind == "classifier" else "OBJECT_LOCALIZATION",
        "total_json_lines": total,
        "valid_json_lines": total - 2,
        "invalid_json_lines": 1,
        "ignored_json_lines": 1,
        "error_json_line_indices": [total - 1],
        "errors": [],
    }


def test_the_saved_model_says_what_it_needs(classifier: Trained) -> None:
    folder = classifier.home.context.layout.model(1)
    names = {"model.json", "model.onnx", "predictions.jsonl", "weights.safetensors"}
    assert {path.name for path in folder.iterdir()} == names
    card = json.loads((folder / "model.json").read_text())
    assert card["runtime"] == "onnx"
    assert card["onnx_disagreement"] <= 2e-3
    assert set(card["thresholds"]) == {"blue", "green", "red"}
    assert card["card"]["labels"] == ["blue", "green", "red"]
    assert card["card"]["hyperparameters"]["seed"] == 0
    assert {"rcl", "torch", "onnxruntime", "numpy"} <= set(card["versions"])
    assert len(card["data"]["training_fingerprint"]) == 64


# --- serving ----------------------------------------------------------------------------------------------------------


def jpeg(image: Image.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    return out.getvalue()


def test_detection_answers(classifier: Trained) -> None:
    image = jpeg(noisy((200, 40, 40), (72, 72), 5))
    every = classifier.detect(image, MinConfidence=0.0)
    assert [set(label) for label in every] == [{"Name", "Confidence"}] * 3
    scores = [label["Confidence"] for label in every]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(100, abs=0.01)
    assert classifier.detect(image, MinConfidence=0.0, MaxResults=1) == every[:1]
    assert classifier.detect(image, MaxResults=0) == []
    assert classifier.detect(image, MinConfidence=scores[1]) == every[:2]
    assert classifier.detect(image, MinConfidence=100.0) == []


def test_serving_says_what_the_evaluation_said(detector: Trained, classifier: Trained) -> None:
    for model in (detector, classifier):
        for line in model.lines("TestingGroundTruth"):
            key = line["source-ref"].removeprefix("s3://data/")
            found = model.home.call(
                "DetectCustomLabels",
                ProjectVersionArn=model.version,
                Image={"S3Object": {"Bucket": "data", "Name": key}},
            )["CustomLabels"]
            claimed = []
            for name, metadata in line.items():
                if not name.endswith("-metadata") or "evaluation" not in name:
                    continue
                for one in metadata.get("objects", [metadata]):
                    details = one["rekognition-custom-labels-evaluation-details"]
                    if details["is-true-positive"] or details["is-false-positive"]:
                        claimed.append(one["confidence"])
            assert sorted(claimed) == pytest.approx(sorted(label["Confidence"] / 100 for label in found), abs=1e-5)


def test_boxes_are_of_the_upright_image(detector: Trained) -> None:
    image = noisy((120, 120, 120), (128, 96), 3)
    image.paste(noisy((200, 40, 40), (40, 40), 3), (5, 5))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = image.transpose(Image.Transpose.ROTATE_90)
    plain = detector.detect(jpeg(image, quality=100, subsampling=0), MinConfidence=0.0, MaxResults=3)
    upright = detector.detect(jpeg(turned, exif=exif, quality=100, subsampling=0), MinConfidence=0.0, MaxResults=3)
    assert plain
    for a, b in zip(plain, upright, strict=True):
        assert set(a["Geometry"]) == {"BoundingBox"}
        assert a["Name"] == b["Name"]
        assert a["Geometry"]["BoundingBox"] == pytest.approx(b["Geometry"]["BoundingBox"], abs=0.05)


@pytest.mark.parametrize(
    ("image", "error"),
    [
        ({"Bytes": b"no picture"}, InvalidImageFormat),
        ({"Bytes": jpeg(noisy((9, 9, 9), (72, 72), 1))[:500]}, InvalidImageFormat),
        ({"Bytes": jpeg(Image.new("RGB", (30, 30)))}, InvalidParameter),
        ({"Bytes": jpeg(Image.new("RGB", (4097, 300)))}, ImageTooLarge),
        ({"Bytes": b"x" * (4 * 2**20 + 1)}, ImageTooLarge),
        ({"Bytes": b""}, ValidationError),
        ({}, InvalidParameter),
        ({"Bytes": b"x", "S3Object": {"Bucket": "data", "Name": "0.jpg"}}, InvalidParameter),
        ({"S3Object": {"Bucket": "data", "Name": "none.jpg"}}, InvalidS3Object),
        ({"S3Object": {"Bucket": "data", "Name": "../../rcl.db"}}, InvalidS3Object),
        ({"S3Object": {"Bucket": "none", "Name": "0.jpg"}}, InvalidS3Object),
    ],
    ids=["text", "truncated", "small", "wide", "5 MB", "empty", "neither", "both", "no key", "outside", "no bucket"],
)
def test_bad_images(classifier: Trained, image: dict[str, Any], error: type[ServiceError]) -> None:
    with pytest.raises(error):
        classifier.home.call("DetectCustomLabels", ProjectVersionArn=classifier.version, Image=image)
    assert classifier.detect(jpeg(noisy((9, 9, 9), (72, 72), 1)), MinConfidence=0.0)


@pytest.mark.parametrize("operation", ["StartProjectVersion", "DeleteProjectVersion"])
def test_a_running_model_is_in_use(classifier: Trained, operation: str) -> None:
    more = {"MinInferenceUnits": 1} if operation == "StartProjectVersion" else {}
    with pytest.raises(ResourceInUse):
        classifier.home.call(operation, ProjectVersionArn=classifier.version, **more)
    assert classifier.home.status(classifier.project, "v")[0] == "RUNNING"


def test_a_model_without_a_runtime_form_is_served_by_torch(detector: Trained, own_detector: Trained) -> None:
    home = own_detector.home
    ask = {"Image": {"S3Object": {"Bucket": "data", "Name": "box-20.jpg"}}, "MinConfidence": 0.0, "MaxResults": 3}
    before = detector.home.call("DetectCustomLabels", ProjectVersionArn=detector.version, **ask)["CustomLabels"]
    card_file = home.context.layout.model(1) / "model.json"
    card_file.write_text(json.dumps({**json.loads(card_file.read_text()), "runtime": "torch"}))
    home.call("StartProjectVersion", ProjectVersionArn=own_detector.version, MinInferenceUnits=2)
    assert home.wait(own_detector.project, "v", leaving="STARTING")[0] == "RUNNING"
    after = home.call("DetectCustomLabels", ProjectVersionArn=own_detector.version, **ask)["CustomLabels"]
    assert [one["Name"] for one in after] == [one["Name"] for one in before]
    assert [one["Confidence"] for one in after] == pytest.approx([one["Confidence"] for one in before], abs=0.05)
    assert not Path("/ultralytics").exists()


# --- trainings that fail ----------------------------------------------------------------------------------------------


def failed(home: Home, training: list[dict[str, Any]], testing: list[dict[str, Any]] | None, **more: Any) -> str:
    project = home.project()
    home.dataset(project, "TRAIN", training)
    if testing is not None:
        home.dataset(project, "TEST", testing)
    version = home.train(project, "v", **more)
    status, message = home.wait(project, "v")
    assert status == "TRAINING_FAILED"
    with pytest.raises(InvalidParameter):
        home.call("StartProjectVersion", ProjectVersionArn=version, MinInferenceUnits=1)
    with pytest.raises(ResourceNotReady):
        home.call("DetectCustomLabels", ProjectVersionArn=version, Image={"Bytes": b"x"})
    assert not home.context.layout.job(1).exists()
    assert not home.context.layout.model(1).exists()
    return message


def test_images_that_are_missing_fail_with_the_lines_named(home: Home) -> None:
    training, testing = colour_images(home)
    for number in range(10):
        (home.buckets / "data" / f"{number}.jpg").unlink()
    assert failed(home, training, testing) == "The manifest file contains too many invalid rows."
    summary = json.loads((home.buckets / "out/models/a/ManifestSummary-p-v.json").read_text())
    statistics = summary["statistics"]["training"]
    assert statistics["error_json_line_indices"] == list(range(1, 11))
    assert statistics["use_case"] == "NOT_DETERMINED"
    assert statistics["errors"][0]["code"] == "ERROR_TOO_MANY_INVALID_ROWS_IN_MANIFEST"
    described = home.call(
        "DescribeProjectVersions", ProjectArn=home.call("DescribeProjects")["ProjectDescriptions"][0]["ProjectArn"]
    )
    one = described["ProjectVersionDescriptions"][0]
    assert "EvaluationResult" not in one
    assert "BillableTrainingTimeInSeconds" not in one
    assert one["ManifestSummary"]["S3Object"]["Name"] == "models/a/ManifestSummary-p-v.json"


def test_one_label_only(home: Home) -> None:
    training, _ = colour_images(home)
    red = [line for line in training if line["label-0-metadata"]["class-name"] == "red"]
    assert failed(home, red[:5], red[5:]) == "The manifest file has too few labels."


def test_disjoint_labels(home: Home) -> None:
    training, testing = colour_images(home)
    for line in testing:
        line["label-0-metadata"]["class-name"] += " other"
    message = "Less than 50% label overlap between the training and testing manifest files."
    assert failed(home, training, testing) == message


def test_autosplit_needs_two_images_a_label(home: Home) -> None:
    training, _ = colour_images(home)
    message = "The manifest file contains insufficient labeled images per label to perform auto-split."
    assert failed(home, training[:4], None) == message


def test_an_output_bucket_that_cannot_be_written(home: Home) -> None:
    training, testing = colour_images(home)
    (home.buckets / "out").mkdir(parents=True)
    (home.buckets / "out" / "models").write_text("a file where a folder has to be")
    assert failed(home, training, testing) == "Unable to write to output S3 bucket."


def test_weights_that_do_not_exist(home: Home) -> None:
    training, testing = colour_images(home)
    message = failed(home, training, testing, tags={"rcl:weights": "/nowhere/w.pt"})
    assert message == "The weights file /nowhere/w.pt does not exist; set `weights` to a file, `auto` or `none`."


def test_a_device_that_is_not_there(home: Home) -> None:
    training, testing = colour_images(home)
    message = failed(home, training, testing, tags={"rcl:device": "cuda:77"})
    assert message.startswith("The device cuda:77 is not there")


def test_odd_file_names_are_just_names(home: Home) -> None:
    training, testing = colour_images(home, train=18, test=6)
    names = ["ä b%20#1.jpg", "sub/ dir/+&=@.jpg", "'quotes\".jpg", "日本 🐈.jpg"]
    for line, name in zip(training, names, strict=False):
        old = home.buckets / "data" / line["source-ref"].removeprefix("s3://data/")
        new = home.buckets / "data" / name
        new.parent.mkdir(parents=True, exist_ok=True)
        old.rename(new)
        line["source-ref"] = f"s3://data/{name}"
        line["label-0-metadata"]["class-name"] += " 🐈/x"
    for line in [*training[4:], *testing]:
        line["label-0-metadata"]["class-name"] += " 🐈/x"
    project = home.project()
    home.dataset(project, "TRAIN", training)
    home.dataset(project, "TEST", testing)
    home.train(project, "v")
    assert home.wait(project, "v") == ("TRAINING_COMPLETED", "The model is ready to run.")
    truth = (home.buckets / "out/models/a/TrainingGroundTruth-p-v.json").read_text("utf-8")
    assert all(json.dumps(name, ensure_ascii=False)[1:-1] in truth for name in names)
    assert "red 🐈/x" in truth


def test_training_from_manifests_with_a_split(home: Home) -> None:
    training, _ = colour_images(home, train=30)
    write_manifest(home.buckets / "data" / "all.manifest", training)
    project = home.project()
    given = {"Assets": [{"GroundTruthManifest": {"S3Object": {"Bucket": "data", "Name": "all.manifest"}}}]}
    home.train(project, "v", TrainingData=given, TestingData={"AutoCreate": True})
    status, message = home.wait(project, "v")
    assert status == "TRAINING_COMPLETED", message
    described = home.call("DescribeProjectVersions", ProjectArn=project)["ProjectVersionDescriptions"][0]
    assert described["TrainingDataResult"]["Input"] == given
    assert described["TestingDataResult"]["Input"] == {"AutoCreate": True}
    assert described["TestingDataResult"]["Output"]["AutoCreate"] is True
    summary = json.loads((home.buckets / "out/models/a/EvaluationResultSummary-p-v.json").read_text())
    assert summary["EvaluationDetails"]["NumberOfTestingImages"] == 6
    assert summary["EvaluationDetails"]["NumberOfTrainingImages"] == 24


def test_brand_detection_composes_scenes(tmp_path: Path) -> None:
    from rcl_cli.training.brand import compose_scenes

    noisy((200, 40, 40), (200, 150), 1).save(tmp_path / "logo.png")
    samples = [Sample(str(tmp_path / "logo.png"), ("logo",), (), "s3://data/logo.png", 200, 150)]
    scenes = compose_scenes(samples, tmp_path / "scenes", 30, seed=0)
    assert len(scenes) == 30
    boxes = [box for scene in scenes for _, box in scene.boxes]
    assert len(boxes) >= 20
    assert all(b.left >= 0 and b.right <= 1.0001 and b.top >= 0 and b.bottom <= 1.0001 for b in boxes)
    assert max(b.area for b in boxes) < 0.8
    sizes = sorted(b.area for b in boxes)
    assert sizes[-1] > 4 * sizes[0]
    again = compose_scenes(samples, tmp_path / "again", 30, seed=0)
    assert [s.boxes for s in again] == [s.boxes for s in scenes]


# --- copying ----------------------------------------------------------------------------------------------------------


def copy_of(model: Trained, destination: str, name: str = "v", **more: Any) -> str:
    params = {
        "SourceProjectArn": model.project,
        "SourceProjectVersionArn": model.version,
        "DestinationProjectArn": destination,
        "VersionName": name,
        "OutputConfig": {"S3Bucket": "copies", "S3KeyPrefix": "here/"},
        **more,
    }
    return str(model.home.call("CopyProjectVersion", **params)["ProjectVersionArn"])


def test_a_copied_model_answers_alike_and_outlives_its_source(detector: Trained, own_detector: Trained) -> None:
    home = own_detector.home
    destination = home.project("elsewhere")
    arn = copy_of(own_detector, destination, Tags={"why": "a copy"}, KmsKeyId="key")
    assert home.wait(destination, "v", leaving="COPYING_IN_PROGRESS")[0] == "COPYING_COMPLETED"
    (copied,) = home.call("DescribeProjectVersions", ProjectArn=destination)["ProjectVersionDescriptions"]
    source = own_detector.describe()
    assert copied["SourceProjectVersionArn"] == own_detector.version
    assert copied["KmsKeyId"] == "key"
    assert copied["EvaluationResult"]["F1Score"] == source["EvaluationResult"]["F1Score"]
    assert copied["TrainingDataResult"]["Input"] == source["TrainingDataResult"]["Input"]
    assert home.call("ListTagsForResource", ResourceArn=arn)["Tags"] == {"why": "a copy"}
    assert {path.name for path in (home.buckets / "copies" / "here").iterdir()} == {
        f"{name}-elsewhere-v.json" for name in FILES
    }
    named = json.dumps(copied)
    assert named.count('"Bucket": "copies"') == len(FILES)
    image = (home.buckets / "data" / "box-1.jpg").read_bytes()
    home.call("StartProjectVersion", ProjectVersionArn=arn, MinInferenceUnits=1)
    assert home.wait(destination, "v", leaving="STARTING")[0] == "RUNNING"
    found = home.call("DetectCustomLabels", ProjectVersionArn=arn, Image={"Bytes": image}, MinConfidence=0)
    expected = detector.detect(image, MinConfidence=0)
    assert [one["Name"] for one in found["CustomLabels"]] == [one["Name"] for one in expected]
    # Threads add up in another order each time.
    assert [one["Confidence"] for one in found["CustomLabels"]] == pytest.approx(
        [one["Confidence"] for one in expected], abs=0.01
    )
    home.call("StopProjectVersion", ProjectVersionArn=arn)
    assert home.wait(destination, "v", leaving="STOPPING")[0] == "STOPPED"
    home.call("DeleteProjectVersion", ProjectVersionArn=arn)
    assert not home.context.layout.model(2).exists()


def test_copies_that_are_refused(own_detector: Trained) -> None:
    home = own_detector.home
    other = home.project("other")
    with pytest.raises(ResourceInUse):
        copy_of(own_detector, own_detector.project)
    with pytest.raises(InvalidParameter):
        copy_of(own_detector, other, SourceProjectArn=other)
    with pytest.raises(InvalidParameter):
        copy_of(own_detector, other, OutputConfig={"S3KeyPrefix": "x"})
    far = invoke(in_region(home.context, "eu-west-1"), "CreateProject", {"ProjectName": "far"})["ProjectArn"]
    with pytest.raises(InvalidParameter):
        copy_of(own_detector, far)
    assert home.call("DescribeProjectVersions", ProjectArn=other)["ProjectVersionDescriptions"] == []


def test_a_copy_that_cannot_be_written_fails_and_can_be_deleted(own_detector: Trained) -> None:
    home = own_detector.home
    destination = home.project("full")
    (home.buckets / "blocked").mkdir()
    (home.buckets / "blocked" / "here").write_text("a file where a folder is needed")
    output = {"S3Bucket": "blocked", "S3KeyPrefix": "here"}
    arn = copy_of(own_detector, destination, OutputConfig=output)
    outcome = home.wait(destination, "v", leaving="COPYING_IN_PROGRESS")
    assert outcome == ("COPYING_FAILED", "Unable to write to output S3 bucket.")
    with pytest.raises(InvalidParameter):
        home.call("StartProjectVersion", ProjectVersionArn=arn, MinInferenceUnits=1)
    home.call("DeleteProjectVersion", ProjectVersionArn=arn)


@pytest.mark.parametrize("moment", ["before", "while", "after"])
def test_a_source_that_is_deleted_around_its_copy(tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "weights.safetensors").write_text("weights")
    write_card(source, ModelCard("yolo", "m", ("a",), False, 64, {}, {}, "none", "x"), {"files": sealed(source)})
    making = Making("arn", "p", "v", {"S3Bucket": "out"}, make_context(tmp_path / "home").buckets, tmp_path)
    folder = WorkFolder(tmp_path / "job", tmp_path / "lock", tmp_path / "log")
    folder.prepare({})
    whole = shutil.copytree

    def deleting(*arguments: Any) -> None:
        whole(*arguments)
        (source / "model.json").unlink()

    if moment == "before":
        shutil.rmtree(source)
    elif moment == "while":
        monkeypatch.setattr(shutil, "copytree", deleting)
    outcome = copier.outcome_of(CopyJob(making, source, {}, 5), folder)
    if moment == "after":
        assert (outcome["status"], outcome["ended_ms"]) == ("COPYING_COMPLETED", 5)
        assert sorted(path.name for path in (folder.path / "model").iterdir()) == ["model.json", "weights.safetensors"]
    else:
        assert (outcome["status"], outcome["message"]) == ("COPYING_FAILED", copier.SOURCE_GONE)


def test_a_copier_that_is_killed_is_started_once_more(own_detector: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    home = own_detector.home
    destination = home.project("killed")
    for module in ("rcl_cli.operations.copying", "rcl_cli.operations.settle"):
        monkeypatch.setattr(f"{module}.COPIER", "tests.sleeper")
    version = copy_of(own_detector, destination)
    with home.context.database.read() as db:
        found = versions.by_arn(db, version)
    assert found is not None
    folder = making_of(home.context.layout, found.id)
    for start in (1, 2):
        assert home.status(destination, "v")[0] == "COPYING_IN_PROGRESS"
        assert folder.starts == start
        wait_until(lambda: folder.handle is not None)
        pid, _ = json.loads(folder.handle or "")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not launcher().is_at_work(folder))
    assert home.status(destination, "v") == ("COPYING_FAILED", settle.COPY_DIED)
    assert not folder.path.exists()
