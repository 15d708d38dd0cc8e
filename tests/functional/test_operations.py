"""Operations through the one door: states, errors, orders, filters, pages."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from rcl_cli.context import make_context
from rcl_cli.errors import (
    InternalServerError,
    InvalidPaginationToken,
    InvalidParameter,
    InvalidS3Object,
    ResourceAlreadyExists,
    ResourceInUse,
    ResourceNotFound,
    ResourceNotReady,
    ServiceError,
    ValidationError,
)
from rcl_cli.operations.invoke import invoke
from tests.conftest import Home, box_line, image_line, write_manifest

PROJECT = "arn:aws:rekognition:us-east-1:123456789012:project/none/1690000000000"
DATASET = "arn:aws:rekognition:us-east-1:123456789012:project/none/dataset/train/1690000000000"
VERSION = "arn:aws:rekognition:us-east-1:123456789012:project/none/version/v/1690000000000"
OUTPUT = {"S3Bucket": "out", "S3KeyPrefix": ""}


def changes(*lines: dict[str, Any]) -> dict[str, bytes]:
    return {"GroundTruth": "\n".join(json.dumps(line) for line in lines).encode()}


def images(count: int, *labels: str) -> list[dict[str, Any]]:
    return [image_line("data", f"{n}.jpg", labels[n % len(labels)]) for n in range(count)]


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("DeleteProject", {"ProjectArn": PROJECT}),
        ("CreateDataset", {"ProjectArn": PROJECT, "DatasetType": "TRAIN"}),
        ("DescribeDataset", {"DatasetArn": DATASET}),
        ("DeleteDataset", {"DatasetArn": DATASET}),
        ("ListDatasetEntries", {"DatasetArn": DATASET}),
        ("ListDatasetLabels", {"DatasetArn": DATASET}),
        ("UpdateDatasetEntries", {"DatasetArn": DATASET, "Changes": {"GroundTruth": b"{}"}}),
        ("DistributeDatasetEntries", {"Datasets": [{"Arn": DATASET}, {"Arn": DATASET}]}),
        ("CreateProjectVersion", {"ProjectArn": PROJECT, "VersionName": "v", "OutputConfig": OUTPUT}),
        ("DescribeProjectVersions", {"ProjectArn": PROJECT}),
        ("DeleteProjectVersion", {"ProjectVersionArn": VERSION}),
        ("StartProjectVersion", {"ProjectVersionArn": VERSION, "MinInferenceUnits": 1}),
        ("StopProjectVersion", {"ProjectVersionArn": VERSION}),
        ("PutProjectPolicy", {"ProjectArn": PROJECT, "PolicyName": "p", "PolicyDocument": "{"}),
        ("ListProjectPolicies", {"ProjectArn": PROJECT}),
        ("DeleteProjectPolicy", {"ProjectArn": PROJECT, "PolicyName": "p"}),
        ("TagResource", {"ResourceArn": VERSION, "Tags": {}}),
        ("UntagResource", {"ResourceArn": DATASET, "TagKeys": []}),
        ("ListTagsForResource", {"ResourceArn": PROJECT}),
        (
            "CopyProjectVersion",
            {
                "SourceProjectArn": PROJECT,
                "SourceProjectVersionArn": VERSION,
                "DestinationProjectArn": PROJECT,
                "VersionName": "v",
                "OutputConfig": OUTPUT,
            },
        ),
        ("DetectCustomLabels", {"ProjectVersionArn": VERSION, "Image": {"Bytes": b"x"}}),
    ],
)
def test_unknown_arns(home: Home, operation: str, params: dict[str, Any]) -> None:
    with pytest.raises(ResourceNotFound):
        home.call(operation, **params)


def test_a_store_that_is_full_says_so_and_goes_on_when_it_is_not(home: Home) -> None:
    connection = home.context.database.connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")

    def fill() -> None:
        for number in range(500):
            home.call("CreateProject", ProjectName=f"p{number}-" + "x" * 200)

    with pytest.raises(InternalServerError, match="is full: make room"):
        fill()
    connection.execute("PRAGMA max_page_count = 1000000")
    home.project()


# --- projects ---------------------------------------------------------------------------------------------------------


def test_project_life(home: Home) -> None:
    arn = home.project("first")
    with pytest.raises(ResourceInUse):
        home.project("first")
    home.project("second")
    found = home.call("DescribeProjects")["ProjectDescriptions"]
    assert [p["ProjectArn"].split("/")[1] for p in found] == ["second", "first"]
    assert found[0]["Datasets"] == []
    assert found[0]["Status"] == "CREATED"
    assert home.call("DescribeProjects", ProjectNames=["none"])["ProjectDescriptions"] == []
    assert home.call("DeleteProject", ProjectArn=arn) == {"Status": "DELETING"}
    with pytest.raises(ResourceNotFound):
        home.call("DeleteProject", ProjectArn=arn)
    again = home.project("first")
    assert again != arn


def test_project_that_holds_something_stays(home: Home) -> None:
    arn = home.project()
    dataset = home.call("CreateDataset", ProjectArn=arn, DatasetType="TEST")["DatasetArn"]
    with pytest.raises(ResourceInUse):
        home.call("DeleteProject", ProjectArn=arn)
    home.call("DeleteDataset", DatasetArn=dataset)
    home.call("DeleteProject", ProjectArn=arn)


@pytest.mark.parametrize("params", [{"Feature": "CONTENT_MODERATION"}, {"AutoUpdate": "ENABLED"}])
def test_features_that_rcl_does_not_have(home: Home, params: dict[str, str]) -> None:
    with pytest.raises(InvalidParameter):
        home.call("CreateProject", ProjectName="p", **params)
    assert home.call("DescribeProjects")["ProjectDescriptions"] == []


def test_pages_of_projects(home: Home) -> None:
    for number in range(7):
        home.project(f"p{number}")
    names, token = [], ""
    while True:
        page = home.call("DescribeProjects", MaxResults=3, NextToken=token)
        names += [p["ProjectArn"].split("/")[1] for p in page["ProjectDescriptions"]]
        if "NextToken" not in page:
            break
        token = page["NextToken"]
    assert names == [f"p{n}" for n in range(6, -1, -1)]
    first = home.call("DescribeProjects", MaxResults=3)["NextToken"]
    for bad in ("junk", "AAAA", first[:-4]):
        with pytest.raises(InvalidPaginationToken):
            home.call("DescribeProjects", NextToken=bad)
    with pytest.raises(InvalidPaginationToken):
        home.call("DescribeProjects", ProjectNames=["p1"], NextToken=first)


# --- datasets ---------------------------------------------------------------------------------------------------------


def test_dataset_from_manifest(home: Home) -> None:
    bare = {"source-ref": "s3://data/bare.jpg"}
    broken = box_line("data", "broken.jpg", (640, 480), ("cat", -5, 0, 20, 20))
    boxes = box_line("data", "boxes.jpg", (640, 480), ("cat", 5, 5, 20, 20), ("dog", 9, 9, 30, 30))
    dataset = home.dataset(home.project(), "TRAIN", [*images(3, "cat"), bare, broken, boxes])
    described = home.describe(dataset)
    assert described["Status"] == "CREATE_COMPLETE"
    assert described["StatusMessage"] == "The dataset was successfully created from the manifest file."
    assert described["StatusMessageCode"] == "SUCCESS"
    assert described["DatasetStats"] == {"LabeledEntries": 5, "TotalEntries": 6, "TotalLabels": 2, "ErrorEntries": 1}
    labels = home.call("ListDatasetLabels", DatasetArn=dataset)["DatasetLabelDescriptions"]
    assert labels == [
        {"LabelName": "cat", "LabelStats": {"EntryCount": 5, "BoundingBoxCount": 2}},
        {"LabelName": "dog", "LabelStats": {"EntryCount": 1, "BoundingBoxCount": 1}},
    ]


def test_filters(home: Home) -> None:
    bare = {"source-ref": "s3://data/Bare.jpg"}
    broken = box_line("data", "broken.jpg", (640, 480), ("cat", -5, 0, 20, 20))
    dataset = home.dataset(home.project(), "TRAIN", [*images(4, "cat", "dog"), bare, broken])

    def keys(**conditions: Any) -> list[str]:
        return [e["source-ref"].removeprefix("s3://data/") for e in home.entries(dataset, **conditions)]

    every = ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "Bare.jpg", "broken.jpg"]
    assert keys() == keys(HasErrors=False) == every
    assert keys(HasErrors=True) == ["broken.jpg"]
    assert keys(Labeled=False) == ["Bare.jpg"]
    assert keys(Labeled=True) == [k for k in every if k != "Bare.jpg"]
    assert keys(ContainsLabels=["dog"]) == ["1.jpg", "3.jpg"]
    assert keys(ContainsLabels=["dog", "cat"]) == [k for k in every if k != "Bare.jpg"]
    assert keys(SourceRefContains="bare") == []
    assert keys(SourceRefContains="Bare") == ["Bare.jpg"]
    assert keys(ContainsLabels=["cat"], HasErrors=True, Labeled=True, SourceRefContains="ken") == ["broken.jpg"]
    page = home.call("ListDatasetEntries", DatasetArn=dataset, MaxResults=2, ContainsLabels=["cat"])
    rest = home.call(
        "ListDatasetEntries", DatasetArn=dataset, MaxResults=2, ContainsLabels=["cat"], NextToken=page["NextToken"]
    )
    assert len(rest["DatasetEntries"]) == 1
    assert "NextToken" not in rest


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "The manifest file is empty."),
        (bytes(range(256)), "The manifest file extension or contents are invalid."),
        (b"{}\n{}\n", "The manifest file has too many terminal errors."),
        (json.dumps(image_line("data", "0.jpg", "a"))[:60].encode(), "The manifest file has too many terminal errors."),
    ],
    ids=["empty", "binary", "no source-refs", "half a line"],
)
def test_bad_manifests_fail_and_still_take_the_place(home: Home, data: bytes, message: str) -> None:
    project = home.project()
    dataset = home.dataset(project, "TRAIN", data)
    described = home.describe(dataset)
    assert (described["Status"], described["StatusMessageCode"]) == ("CREATE_FAILED", "CLIENT_ERROR")
    assert described["StatusMessage"] == message
    assert described["DatasetStats"]["TotalEntries"] == 0
    with pytest.raises(ResourceNotReady):
        home.entries(dataset)
    with pytest.raises(ResourceInUse):
        home.call("UpdateDatasetEntries", DatasetArn=dataset, Changes=changes(*images(1, "a")))
    with pytest.raises(ResourceAlreadyExists):
        home.call("CreateDataset", ProjectArn=project, DatasetType="TRAIN")
    home.call("DeleteDataset", DatasetArn=dataset)
    home.call("CreateDataset", ProjectArn=project, DatasetType="TRAIN")


def test_a_manifest_of_two_gigabytes_fails_at_once(home: Home) -> None:
    (home.buckets / "data").mkdir(parents=True)
    with (home.buckets / "data" / "huge.manifest").open("wb") as file:
        file.truncate(2 * 2**30)
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": "data", "Name": "huge.manifest"}}}
    made = home.call("CreateDataset", ProjectArn=home.project(), DatasetType="TRAIN", DatasetSource=source)
    assert (
        home.describe(made["DatasetArn"])["StatusMessage"]
        == "The manifest file size exceeds the maximum supported size."
    )


@pytest.mark.parametrize(
    ("bucket", "key"),
    [
        ("data", "none"),
        ("none", "m"),
        ("data", "../secret"),
        ("data", "/etc/passwd"),
        ("data", "link"),
        ("data", "folder"),
    ],
)
def test_a_manifest_that_is_not_there_changes_nothing(home: Home, bucket: str, key: str) -> None:
    folder = home.buckets / "data"
    (folder / "folder").mkdir(parents=True)
    write_manifest(home.buckets / "secret", images(2, "a"))
    (folder / "link").symlink_to(home.buckets / "secret")
    project = home.project()
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": bucket, "Name": key}}}
    with pytest.raises(InvalidS3Object):
        home.call("CreateDataset", ProjectArn=project, DatasetType="TRAIN", DatasetSource=source)
    assert home.call("DescribeProjects")["ProjectDescriptions"][0]["Datasets"] == []


@pytest.mark.parametrize(
    "source", [{}, {"DatasetArn": DATASET, "GroundTruthManifest": {}}, {"GroundTruthManifest": {}}]
)
def test_dataset_source_needs_one_whole_member(home: Home, source: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter):
        home.call("CreateDataset", ProjectArn=home.project(), DatasetType="TRAIN", DatasetSource=source)


def test_copying_a_dataset_across_types_and_projects(home: Home) -> None:
    source = home.dataset(home.project("a"), "TRAIN", images(5, "cat", "dog"))
    target = home.project("b")
    made = home.call("CreateDataset", ProjectArn=target, DatasetType="TEST", DatasetSource={"DatasetArn": source})
    assert home.entries(made["DatasetArn"]) == home.entries(source)
    home.call("DeleteDataset", DatasetArn=source)
    assert home.describe(made["DatasetArn"])["DatasetStats"]["TotalLabels"] == 2


def test_update_replaces_whole_lines_and_keeps_places(home: Home) -> None:
    dataset = home.dataset(home.project(), "TRAIN", images(3, "cat"))
    new = [image_line("data", "1.jpg", "dog"), image_line("data", "9.jpg", "fox"), image_line("data", "9.jpg", "owl")]
    more = [image_line("data", f"x{n}.jpg", "cat") for n in range(5)]
    assert home.call("UpdateDatasetEntries", DatasetArn=dataset, Changes=changes(*new, *more)) == {}
    assert home.describe(dataset)["Status"] == "UPDATE_COMPLETE"
    entries = home.entries(dataset)
    assert [e["source-ref"][10:] for e in entries[:4]] == ["0.jpg", "1.jpg", "2.jpg", "9.jpg"]
    labels = home.call("ListDatasetLabels", DatasetArn=dataset)["DatasetLabelDescriptions"]
    assert [one["LabelName"] for one in labels] == ["cat", "dog", "fox"]
    home.call("UpdateDatasetEntries", DatasetArn=dataset, Changes=changes({"source-ref": "s3://data/9.jpg"}))
    labels = home.call("ListDatasetLabels", DatasetArn=dataset)["DatasetLabelDescriptions"]
    assert [one["LabelName"] for one in labels] == ["cat", "dog"]


def test_a_failed_update_leaves_the_content(home: Home) -> None:
    dataset = home.dataset(home.project(), "TRAIN", images(3, "cat"))
    before = home.entries(dataset)
    home.call("UpdateDatasetEntries", DatasetArn=dataset, Changes=changes(image_line("other", "0.jpg", "cat")))
    described = home.describe(dataset)
    assert described["Status"] == "UPDATE_FAILED"
    assert described["StatusMessage"] == "The manifest file contains images from multiple S3 buckets."
    assert described["DatasetStats"]["TotalEntries"] == 3
    assert home.entries(dataset) == before


def test_listing_fed_back_changes_nothing(home: Home) -> None:
    broken = box_line("data", "broken.jpg", (640, 480), ("cat", -5, 0, 20, 20))
    dataset = home.dataset(home.project(), "TRAIN", [*images(3, "cat"), broken])
    entries = home.entries(dataset)
    home.call("UpdateDatasetEntries", DatasetArn=dataset, Changes=changes(*entries))
    assert home.entries(dataset) == entries


def test_distribute_moves_a_fifth(home: Home) -> None:
    project = home.project()
    train = home.dataset(project, "TRAIN", images(40, "cat", "dog"))
    test = home.call("CreateDataset", ProjectArn=project, DatasetType="TEST")["DatasetArn"]
    before = {e["source-ref"] for e in home.entries(train)}
    home.call("DistributeDatasetEntries", Datasets=[{"Arn": test}, {"Arn": train}])
    kept, moved = ({e["source-ref"] for e in home.entries(one)} for one in (train, test))
    assert (len(kept), len(moved)) == (32, 8)
    assert kept | moved == before
    for dataset in (train, test):
        assert home.describe(dataset)["Status"] == "UPDATE_COMPLETE"
        assert home.describe(dataset)["DatasetStats"]["TotalLabels"] == 2
    with pytest.raises(InvalidParameter):
        home.call("DistributeDatasetEntries", Datasets=[{"Arn": test}, {"Arn": train}])


def test_distribute_with_too_few_images_changes_nothing(home: Home) -> None:
    project = home.project()
    train = home.dataset(project, "TRAIN", images(3, "cat", "dog", "owl"))
    test = home.call("CreateDataset", ProjectArn=project, DatasetType="TEST")["DatasetArn"]
    home.call("DistributeDatasetEntries", Datasets=[{"Arn": test}, {"Arn": train}])
    assert home.describe(train)["Status"] == "UPDATE_FAILED"
    assert home.describe(train)["DatasetStats"]["TotalEntries"] == 3
    with pytest.raises(ResourceNotReady):
        home.call("DistributeDatasetEntries", Datasets=[{"Arn": test}, {"Arn": train}])


# --- versions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({}, InvalidParameter),
        ({"TrainingData": {"Assets": []}}, InvalidParameter),
        ({"FeatureConfig": {"ContentModeration": {}}, "TrainingData": {}, "TestingData": {}}, InvalidParameter),
        ({"VersionName": "a b"}, ValidationError),
        ({"Tags": {"rcl:epochs": "many"}}, InvalidParameter),
        ({"Tags": {"rcl:bogus": "1"}}, InvalidParameter),
    ],
)
def test_trainings_that_are_refused_leave_nothing(
    home: Home, params: dict[str, Any], error: type[ServiceError]
) -> None:
    project = home.project()
    if "Tags" in params:
        home.dataset(project, "TRAIN", images(10, "a", "b"))
    with pytest.raises(error):
        home.call(
            "CreateProjectVersion", **{"ProjectArn": project, "VersionName": "v", "OutputConfig": OUTPUT, **params}
        )
    assert home.call("DescribeProjectVersions", ProjectArn=project)["ProjectVersionDescriptions"] == []
    assert list((home.path / "jobs").iterdir()) == []


def test_two_processes_on_one_store_lose_nothing(home: Home) -> None:
    dataset = home.dataset(home.project(), "TRAIN", images(1, "cat"))
    failures: list[BaseException] = []

    def work(worker: int) -> None:
        context = make_context(home.path)
        try:
            for number in range(10):
                line = image_line("data", f"{worker}-{number}.jpg", "cat")
                invoke(context, "UpdateDatasetEntries", {"DatasetArn": dataset, "Changes": changes(line)})
        except BaseException as error:  # noqa: BLE001 - to be shown by the test
            failures.append(error)
        finally:
            context.database.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert home.describe(dataset)["DatasetStats"]["TotalEntries"] == 61
