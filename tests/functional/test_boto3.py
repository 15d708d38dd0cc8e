"""boto3 end to end against `rcl serve`: the developer guide's flow for a classification and a detection project.

Files lie in the home's buckets; all else goes through boto3. Every exception that the model has is caught by its class.
"""

from __future__ import annotations

import http.client
import json
import selectors
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError, WaiterError

from rcl_cli.api.model import load
from rcl_cli.operations.inference import MAX_UNITS
from rcl_cli.server.application import Limits
from tests.conftest import Home, box_images, colour_images, image_line, make_home, wait_until, write_manifest
from tests.functional.serving import client, serving

SMALLEST = {"rcl:epochs": "1", "rcl:image_size": "64", "rcl:weights": "none"}
OUTPUT = {"S3Bucket": "out", "S3KeyPrefix": "models/a"}
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
            "Action": "rekognition:CopyProjectVersion",
            "Resource": "*",
        }
    ],
}
GONE = "arn:aws:rekognition:us-east-1:123456789012:project/none/1690000000000"


@dataclass
class Model:
    """A running model and what it was made from."""

    home: Home
    boto: Any
    name: str
    project: str
    train: str
    test: str
    version: str

    @property
    def boxes(self) -> bool:
        return self.name == "squares"

    @property
    def labels(self) -> list[str]:
        return ["green", "red"] if self.boxes else ["blue", "green", "red"]

    @property
    def image(self) -> str:
        return "box-1.jpg" if self.boxes else "1.jpg"

    def detect(self, **more: Any) -> list[dict[str, Any]]:
        image = {"Bytes": (self.home.buckets / "data" / self.image).read_bytes()}
        found = self.boto.detect_custom_labels(**{"ProjectVersionArn": self.version, "Image": image} | more)
        labels: list[dict[str, Any]] = found["CustomLabels"]
        return labels


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, Any]]:
    home = make_home(tmp_path_factory.mktemp("boto3") / "home")
    with serving(home) as (url, _), closing(client(url)) as boto:
        yield home, boto
        assert boto.describe_projects()["ProjectDescriptions"] == []
    home.context.database.close()


@pytest.fixture(scope="module")
def classifier(served: tuple[Home, Any]) -> Iterator[Model]:
    """Its first image comes without a label; its test dataset is split off."""
    home, boto = served
    training, testing = colour_images(home)
    bare = {"source-ref": training[0]["source-ref"]}
    project = boto.create_project(ProjectName="colours", Tags={"stage": "test"})["ProjectArn"]
    train = dataset(home, boto, project, "TRAIN", [bare, *training[1:], *testing])
    mend(boto, train, {"Labeled": False}, lambda _: training[0])
    test = boto.create_dataset(ProjectArn=project, DatasetType="TEST")["DatasetArn"]
    assert settled(boto, test)["Status"] == "CREATE_COMPLETE"
    boto.distribute_dataset_entries(Datasets=[{"Arn": train}, {"Arn": test}])
    for part, size in ((train, 26), (test, 7)):
        described = settled(boto, part)
        assert (described["Status"], described["DatasetStats"]["TotalEntries"]) == ("UPDATE_COMPLETE", size)
    yield from run(home, boto, "colours", project, train, test)


@pytest.fixture(scope="module")
def detector(served: tuple[Home, Any]) -> Iterator[Model]:
    """Its first image comes with a box too many, outside of the image; its test dataset has a manifest of its own."""
    home, boto = served
    training, testing = box_images(home)
    training[0]["boxes"]["annotations"].append({"class_id": 0, "left": -9, "top": 0, "width": 20, "height": 20})
    training[0]["boxes-metadata"]["objects"].append({"confidence": 1})
    project = boto.create_project(ProjectName="squares", Tags={"stage": "test"})["ProjectArn"]
    train = dataset(home, boto, project, "TRAIN", training)
    test = dataset(home, boto, project, "TEST", testing)
    mend(boto, train, {"HasErrors": True}, without_last_box)
    yield from run(home, boto, "squares", project, train, test)


def dataset(home: Home, boto: Any, project: str, kind: str, lines: list[dict[str, Any]]) -> str:
    """A dataset made from a manifest."""
    write_manifest(home.buckets / "data" / "made.manifest", lines)
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": "data", "Name": "made.manifest"}}}
    made = boto.create_dataset(ProjectArn=project, DatasetType=kind, DatasetSource=source, Tags={"kind": kind})
    arn: str = made["DatasetArn"]
    described = settled(boto, arn)
    assert (described["Status"], described["StatusMessageCode"]) == ("CREATE_COMPLETE", "SUCCESS")
    assert described["StatusMessage"] == "The dataset was successfully created from the manifest file."
    assert described["DatasetStats"]["TotalEntries"] == len(lines)
    assert described["CreationTimestamp"] <= described["LastUpdatedTimestamp"]
    return arn


def settled(boto: Any, arn: str) -> dict[str, Any]:
    """A dataset's description, once nothing is being done to it."""

    def describe() -> dict[str, Any]:
        described: dict[str, Any] = boto.describe_dataset(DatasetArn=arn)["DatasetDescription"]
        return described

    wait_until(lambda: not describe()["Status"].endswith("_IN_PROGRESS"))
    return describe()


def entries(boto: Any, arn: str, **conditions: Any) -> list[dict[str, Any]]:
    pages = boto.get_paginator("list_dataset_entries").paginate(
        DatasetArn=arn, **conditions, PaginationConfig={"PageSize": 5}
    )
    return [json.loads(line) for page in pages for line in page["DatasetEntries"]]


def mend(boto: Any, arn: str, conditions: dict[str, bool], better: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Replace the one entry that is found so: fetched, put right and sent back, as the guide does it."""
    before = entries(boto, arn)
    (faulty,) = entries(boto, arn, **conditions)
    assert faulty["source-ref"] == before[0]["source-ref"]
    boto.update_dataset_entries(DatasetArn=arn, Changes={"GroundTruth": json.dumps(better(faulty)).encode()})
    described = settled(boto, arn)
    assert (described["Status"], described["StatusMessageCode"]) == ("UPDATE_COMPLETE", "SUCCESS")
    count = len(before)
    labels = 2 if "boxes" in before[0] else 3
    stats = {"LabeledEntries": count, "TotalEntries": count, "TotalLabels": labels, "ErrorEntries": 0}
    assert described["DatasetStats"] == stats
    assert entries(boto, arn, **conditions) == []
    assert [e["source-ref"] for e in entries(boto, arn)] == [e["source-ref"] for e in before]


def without_last_box(line: dict[str, Any]) -> dict[str, Any]:
    errors = [error for box in line["boxes"]["annotations"] for error in box.get("cl-errors", [])]
    assert [error["code"] for error in errors] == ["ERROR_INVALID_BOUNDING_BOX"]
    line["boxes"]["annotations"].pop()
    line["boxes-metadata"]["objects"].pop()
    return line


def run(home: Home, boto: Any, name: str, project: str, train: str, test: str) -> Iterator[Model]:
    """Train, start, use, stop and delete: the second half of a model's life, and the end of what it was made from."""
    created = boto.create_project_version(ProjectArn=project, VersionName="v1", OutputConfig=OUTPUT, Tags=SMALLEST)
    model = Model(home, boto, name, project, train, test, created["ProjectVersionArn"])
    waited = {"ProjectArn": project, "VersionNames": ["v1"], "WaiterConfig": {"Delay": 1, "MaxAttempts": 180}}
    boto.get_waiter("project_version_training_completed").wait(**waited)
    started = boto.start_project_version(ProjectVersionArn=model.version, MinInferenceUnits=1, MaxInferenceUnits=2)
    assert started["Status"] == "STARTING"
    boto.get_waiter("project_version_running").wait(**waited)
    yield model
    assert boto.stop_project_version(ProjectVersionArn=model.version)["Status"] == "STOPPING"
    wait_until(lambda: described_version(model)["Status"] != "STOPPING")
    assert described_version(model)["Status"] == "STOPPED"
    delete(model)


def delete(model: Model) -> None:
    """From the inside out; a project that still holds something stays."""
    boto = model.boto
    last_words = (
        lambda: boto.delete_project_version(ProjectVersionArn=model.version),
        lambda: boto.delete_dataset(DatasetArn=model.train),
        lambda: boto.delete_dataset(DatasetArn=model.test),
    )
    for last in last_words:
        with pytest.raises(boto.exceptions.ResourceInUseException):
            boto.delete_project(ProjectArn=model.project)
        last()
    for arn in (model.train, model.test):
        wait_until(lambda arn=arn: is_gone(boto, arn))
    wait_until(lambda: not boto.describe_project_versions(ProjectArn=model.project)["ProjectVersionDescriptions"])
    assert boto.delete_project(ProjectArn=model.project)["Status"] == "DELETING"
    wait_until(lambda: not boto.describe_projects(ProjectNames=[model.name])["ProjectDescriptions"])


def is_gone(boto: Any, arn: str) -> bool:
    try:
        boto.describe_dataset(DatasetArn=arn)
    except boto.exceptions.ResourceNotFoundException:
        return True
    return False


def described_version(model: Model) -> dict[str, Any]:
    pages = model.boto.get_paginator("describe_project_versions").paginate(
        ProjectArn=model.project, VersionNames=["v1"], PaginationConfig={"PageSize": 1}
    )
    (described,) = (one for page in pages for one in page["ProjectVersionDescriptions"])
    assert described["ProjectVersionArn"] == model.version
    return dict(described)


@contextmanager
def scratch(boto: Any) -> Iterator[str]:
    """A project, and its end with everything in it."""
    arn: str = boto.create_project(ProjectName="scratch")["ProjectArn"]
    try:
        yield arn
    finally:
        (described,) = boto.describe_projects(ProjectNames=["scratch"])["ProjectDescriptions"]
        for one in described["Datasets"]:
            boto.delete_dataset(DatasetArn=one["DatasetArn"])
        for one in boto.describe_project_versions(ProjectArn=arn)["ProjectVersionDescriptions"]:
            boto.delete_project_version(ProjectVersionArn=one["ProjectVersionArn"])
        boto.delete_project(ProjectArn=arn)


KINDS = pytest.mark.parametrize("kind", ["classifier", "detector"])


@pytest.fixture
def model(kind: str, request: pytest.FixtureRequest) -> Model:
    found: Model = request.getfixturevalue(kind)
    return found


# --- what describes and lists -----------------------------------------------------------------------------------------


@KINDS
def test_a_project_is_described_with_its_datasets(model: Model) -> None:
    with scratch(model.boto):
        pages = list(model.boto.get_paginator("describe_projects").paginate(PaginationConfig={"PageSize": 1}))
    every = [project for page in pages for project in page["ProjectDescriptions"]]
    assert all(len(page["ProjectDescriptions"]) == 1 for page in pages)
    assert every[0]["ProjectArn"].split("/")[1] == "scratch"
    assert [one["CreationTimestamp"] for one in every] == sorted(one["CreationTimestamp"] for one in every)[::-1]
    (described,) = (one for one in every if one["ProjectArn"] == model.project)
    assert (described["Status"], described["Feature"]) == ("CREATED", "CUSTOM_LABELS")
    assert abs(datetime.now(UTC) - described["CreationTimestamp"]) < timedelta(minutes=10)
    assert [(one["DatasetType"], one["DatasetArn"]) for one in described["Datasets"]] == [
        ("TRAIN", model.train),
        ("TEST", model.test),
    ]
    assert all(
        {"CreationTimestamp", "Status", "StatusMessage", "StatusMessageCode"} <= one.keys()
        for one in described["Datasets"]
    )


@KINDS
def test_entries_are_filtered_and_labels_counted(model: Model) -> None:
    boto, every = model.boto, entries(model.boto, model.train)
    assert all(list(one)[-1] == "cl-metadata" and one["cl-metadata"]["is_labeled"] for one in every)
    pages = boto.get_paginator("list_dataset_labels").paginate(DatasetArn=model.train, PaginationConfig={"PageSize": 1})
    labels = {one["LabelName"]: one["LabelStats"] for page in pages for one in page["DatasetLabelDescriptions"]}
    assert list(labels) == model.labels
    for name, stats in labels.items():
        using = entries(boto, model.train, ContainsLabels=[name])
        assert (stats["EntryCount"], stats["BoundingBoxCount"]) == (len(using), len(using) if model.boxes else 0)
    assert entries(boto, model.train, ContainsLabels=model.labels, Labeled=True, HasErrors=False) == every
    assert entries(boto, model.train, Labeled=False) == entries(boto, model.train, HasErrors=True) == []
    one = every[3]["source-ref"]
    assert entries(boto, model.train, SourceRefContains=one.removeprefix("s3://")) == [every[3]]
    limited = boto.get_paginator("list_dataset_entries").paginate(
        DatasetArn=model.train, PaginationConfig={"MaxItems": 7, "PageSize": 5}
    )
    first = limited.build_full_result()
    rest = boto.get_paginator("list_dataset_entries").paginate(
        DatasetArn=model.train, PaginationConfig={"PageSize": 5, "StartingToken": first["NextToken"]}
    )
    both = first["DatasetEntries"] + rest.build_full_result()["DatasetEntries"]
    assert [json.loads(line) for line in both] == every


@KINDS
def test_a_version_is_described_as_in_the_guide(model: Model) -> None:
    described = described_version(model)
    assert (described["Status"], described["StatusMessage"]) == ("RUNNING", "The model is running.")
    assert (described["MinInferenceUnits"], described["MaxInferenceUnits"]) == (1, 2)
    assert (described["OutputConfig"], described["Feature"]) == (OUTPUT, "CUSTOM_LABELS")
    assert described["BillableTrainingTimeInSeconds"] >= 1
    assert described["CreationTimestamp"] < described["TrainingEndTimestamp"] <= datetime.now(UTC)
    assert described["TrainingDataResult"]["Input"] == {}
    assert described["TestingDataResult"]["Input"] == {"AutoCreate": False}
    result = described["EvaluationResult"]
    summary = json.loads(read(model, result["Summary"]["S3Object"]))
    assert result["F1Score"] == pytest.approx(summary["AggregatedEvaluationResults"]["F1Score"])
    assert summary["EvaluationDetails"]["ProjectVersionArn"] == model.version
    assert summary["EvaluationDetails"]["Labels"] == model.labels
    assert json.loads(read(model, described["ManifestSummary"]["S3Object"]))["errors"] == []
    for part, arn in (("TrainingDataResult", model.train), ("TestingDataResult", model.test)):
        for side in ("Output", "Validation"):
            (asset,) = described[part][side]["Assets"]
            lines = read(model, asset["GroundTruthManifest"]["S3Object"]).splitlines()
            assert [json.loads(line)["source-ref"] for line in lines] == [
                one["source-ref"] for one in entries(model.boto, arn)
            ]


def read(model: Model, s3_object: dict[str, str]) -> str:
    assert s3_object["Name"].startswith("models/a/")
    return (model.home.buckets / s3_object["Bucket"] / s3_object["Name"]).read_text("utf-8")


def test_a_training_that_fails_ends_the_waiter(served: tuple[Home, Any]) -> None:
    home, boto = served
    write_manifest(
        home.buckets / "data" / "lost.manifest", [image_line("data", f"lost-{n}.jpg", "x") for n in range(4)]
    )
    assets = [{"GroundTruthManifest": {"S3Object": {"Bucket": "data", "Name": "lost.manifest"}}}]
    with scratch(boto) as project:
        made = boto.create_project_version(
            ProjectArn=project,
            VersionName="v1",
            OutputConfig=OUTPUT,
            TrainingData={"Assets": assets},
            TestingData={"AutoCreate": True},
            Tags=SMALLEST,
        )
        with pytest.raises(WaiterError, match='matched expected path: "TRAINING_FAILED" at least once') as caught:
            boto.get_waiter("project_version_training_completed").wait(
                ProjectArn=project, VersionNames=["v1"], WaiterConfig={"Delay": 1, "MaxAttempts": 180}
            )
        (described,) = caught.value.last_response["ProjectVersionDescriptions"]
        assert described["ProjectVersionArn"] == made["ProjectVersionArn"]
        assert described["StatusMessage"] == "The manifest file contains too many invalid rows."
        assert "EvaluationResult" not in described
        assert described["TrainingDataResult"]["Input"] == {"Assets": assets}


# --- what uses models -------------------------------------------------------------------------------------------------


@KINDS
def test_bytes_and_s3_objects_get_the_same_labels(model: Model) -> None:
    every = model.detect(MinConfidence=0)
    assert every
    stored = {"S3Object": {"Bucket": "data", "Name": model.image}}
    assert model.detect(MinConfidence=0, Image=stored) == every
    expected = {"Name", "Confidence", "Geometry"} if model.boxes else {"Name", "Confidence"}
    assert all(set(label) == expected and label["Name"] in model.labels for label in every)
    scores = [label["Confidence"] for label in every]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 100 for score in scores)
    if model.boxes:
        assert all(set(one["Geometry"]["BoundingBox"]) == {"Width", "Height", "Left", "Top"} for one in every)


@KINDS
def test_max_results_and_min_confidence(model: Model) -> None:
    every = model.detect(MinConfidence=0)
    assert model.detect(MinConfidence=0, MaxResults=1) == every[:1]
    assert model.detect(MinConfidence=0, MaxResults=0) == []
    bar = every[len(every) // 2]["Confidence"]
    assert model.detect(MinConfidence=bar) == [one for one in every if one["Confidence"] >= bar]
    assert model.detect() == every[: len(model.detect())]


def test_a_copy_in_another_project(classifier: Model) -> None:
    boto = classifier.boto
    with scratch(boto) as destination:
        copied = boto.copy_project_version(
            SourceProjectArn=classifier.project,
            SourceProjectVersionArn=classifier.version,
            DestinationProjectArn=destination,
            VersionName="copy",
            OutputConfig={"S3Bucket": "copies", "S3KeyPrefix": "models/a"},
            Tags={"why": "a copy"},
        )["ProjectVersionArn"]

        def describe() -> dict[str, Any]:
            (found,) = boto.describe_project_versions(ProjectArn=destination)["ProjectVersionDescriptions"]
            return dict(found)

        wait_until(lambda: describe()["Status"] != "COPYING_IN_PROGRESS")
        described = describe()
        assert (described["ProjectVersionArn"], described["Status"]) == (copied, "COPYING_COMPLETED")
        assert described["SourceProjectVersionArn"] == classifier.version
        result = described["EvaluationResult"]
        assert result["F1Score"] == described_version(classifier)["EvaluationResult"]["F1Score"]
        assert result["Summary"]["S3Object"]["Bucket"] == "copies"
        assert json.loads(read(classifier, result["Summary"]["S3Object"]))["Version"] == 1
        assert boto.list_tags_for_resource(ResourceArn=copied)["Tags"] == {"why": "a copy"}
        with pytest.raises(boto.exceptions.ResourceNotReadyException):
            classifier.detect(ProjectVersionArn=copied)


# --- tags and policies ------------------------------------------------------------------------------------------------


def test_tags_of_all_three_kinds_of_resources(classifier: Model) -> None:
    boto = classifier.boto
    made_with = {
        classifier.project: {"stage": "test"},
        classifier.train: {"kind": "TRAIN"},
        classifier.test: {},
        classifier.version: SMALLEST,
    }
    for arn, tags in made_with.items():
        assert boto.list_tags_for_resource(ResourceArn=arn)["Tags"] == tags
        boto.tag_resource(ResourceArn=arn, Tags={"Größe": "a b", "empty": ""})
        assert boto.list_tags_for_resource(ResourceArn=arn)["Tags"] == tags | {"Größe": "a b", "empty": ""}
        boto.untag_resource(ResourceArn=arn, TagKeys=["Größe", "empty", "never"])
        assert boto.list_tags_for_resource(ResourceArn=arn)["Tags"] == tags


def test_policies_are_put_listed_and_deleted(served: tuple[Home, Any]) -> None:
    _, boto = served
    with scratch(boto) as project:
        put = {"ProjectArn": project, "PolicyDocument": json.dumps(POLICY)}
        revisions = {
            f"p{number}": boto.put_project_policy(**put, PolicyName=f"p{number}")["PolicyRevisionId"]
            for number in range(7)
        }
        stale = revisions["p0"]
        revisions["p0"] = boto.put_project_policy(**put, PolicyName="p0", PolicyRevisionId=stale)["PolicyRevisionId"]
        assert stale != revisions["p0"]
        for page_size in (2, 5):
            pages = boto.get_paginator("list_project_policies").paginate(
                ProjectArn=project, PaginationConfig={"PageSize": page_size}
            )
            listed = [policy for page in pages for policy in page["ProjectPolicies"]]
            assert {one["PolicyName"]: one["PolicyRevisionId"] for one in listed} == revisions
        assert all(json.loads(one["PolicyDocument"]) == POLICY and one["ProjectArn"] == project for one in listed)
        assert all(one["CreationTimestamp"] <= one["LastUpdatedTimestamp"] for one in listed)
        for name, revision in revisions.items():
            boto.delete_project_policy(ProjectArn=project, PolicyName=name, PolicyRevisionId=revision)
        assert boto.list_project_policies(ProjectArn=project)["ProjectPolicies"] == []


# --- exceptions -------------------------------------------------------------------------------------------------------


def from_a_web_page(model: Model) -> None:
    def mark(request: Any, **_: Any) -> None:
        request.headers["Origin"] = "http://example.com"

    event = "before-sign.rekognition.DescribeProjects"
    model.boto.meta.events.register(event, mark)
    try:
        model.boto.describe_projects()
    finally:
        model.boto.meta.events.unregister(event, mark)


def with_a_folder_that_is_none(model: Model) -> None:
    """A file stands where the training's files have to go."""
    jobs, aside = model.home.path / "jobs", model.home.path / "aside"
    jobs.rename(aside)
    jobs.touch()
    try:
        model.boto.create_project_version(ProjectArn=model.project, VersionName="v2", OutputConfig=OUTPUT)
    finally:
        jobs.unlink()
        aside.rename(jobs)


def in_a_crowd(model: Model) -> None:
    """All places are taken by requests that wait for a store that is locked."""
    parts = urlsplit(model.boto.meta.endpoint_url)
    body = json.dumps({"ResourceArn": GONE, "Tags": {}})
    headers = {"X-Amz-Target": "RekognitionService.TagResource"}
    limits = Limits()
    with ExitStack() as stack:
        others = [
            stack.enter_context(closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)))
            for _ in range(limits.threads + limits.waiting + 1)
        ]
        with model.home.context.database.write(), selectors.DefaultSelector() as selector:
            for other in others:
                other.request("POST", "/", body, headers)
                selector.register(other.sock, selectors.EVENT_READ)
            # The one that found no place is answered; so there is none left.
            assert selector.select(60)
            stack.callback(lambda: [other.getresponse().read() for other in others])
            model.boto.describe_projects()


def of_a_failed_dataset(model: Model) -> None:
    (model.home.buckets / "data" / "empty.manifest").touch()
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": "data", "Name": "empty.manifest"}}}
    with scratch(model.boto) as project:
        made = model.boto.create_dataset(ProjectArn=project, DatasetType="TRAIN", DatasetSource=source)
        model.boto.list_dataset_entries(DatasetArn=made["DatasetArn"])


def with_too_many_tags(model: Model) -> None:
    with scratch(model.boto) as project:
        model.boto.tag_resource(ResourceArn=project, Tags={f"k{number}": "v" for number in range(200)})
        model.boto.tag_resource(ResourceArn=project, Tags={"one": "more"})


def put_policy(model: Model, **more: str) -> None:
    params = {"ProjectArn": model.project, "PolicyName": "p", "PolicyDocument": json.dumps(POLICY)}
    model.boto.put_project_policy(**params | more)


PROVOKED: dict[str, Callable[[Model], Any]] = {
    "AccessDeniedException": from_a_web_page,
    "ImageTooLargeException": lambda m: m.detect(Image={"Bytes": b"x" * (4 * 2**20 + 1)}),
    "InternalServerError": with_a_folder_that_is_none,
    "InvalidImageFormatException": lambda m: m.detect(Image={"Bytes": b"I am no picture"}),
    "InvalidPaginationTokenException": lambda m: m.boto.describe_projects(NextToken="junk"),
    "InvalidParameterException": lambda m: m.detect(Image={}),
    "InvalidPolicyRevisionIdException": lambda m: put_policy(m, PolicyRevisionId="0a"),
    "InvalidS3ObjectException": lambda m: m.detect(Image={"S3Object": {"Bucket": "data", "Name": "none.jpg"}}),
    "LimitExceededException": lambda m: m.boto.start_project_version(
        ProjectVersionArn=m.version, MinInferenceUnits=MAX_UNITS + 1
    ),
    "MalformedPolicyDocumentException": lambda m: put_policy(m, PolicyDocument="{"),
    "ProvisionedThroughputExceededException": in_a_crowd,
    "ResourceAlreadyExistsException": lambda m: m.boto.create_dataset(ProjectArn=m.project, DatasetType="TRAIN"),
    "ResourceInUseException": lambda m: m.boto.delete_project_version(ProjectVersionArn=m.version),
    "ResourceNotFoundException": lambda m: m.boto.delete_project(ProjectArn=GONE),
    "ResourceNotReadyException": of_a_failed_dataset,
    "ServiceQuotaExceededException": with_too_many_tags,
}
NOT_PROVOKED = {
    "ThrottlingException": "rcl has no rate limit: overload is ProvisionedThroughputExceededException",
}


def modelled_errors(boto: Any, operation: str) -> set[str]:
    return {shape.name for shape in boto.meta.service_model.operation_model(operation).error_shapes}


def test_every_modelled_exception_is_provoked_or_accounted_for() -> None:
    boto = client("http://127.0.0.1:9")
    modelled = set[str]().union(*(modelled_errors(boto, operation) for operation in load().operations))
    assert len(load().operations) == 23
    assert PROVOKED.keys() | NOT_PROVOKED.keys() == modelled
    assert not PROVOKED.keys() & NOT_PROVOKED.keys()


@pytest.mark.parametrize("name", PROVOKED)
def test_exception_is_caught_by_its_own_class(classifier: Model, name: str) -> None:
    boto = classifier.boto
    before = boto.describe_projects()["ProjectDescriptions"], described_version(classifier)
    with pytest.raises(getattr(boto.exceptions, name)) as caught:
        PROVOKED[name](classifier)
    error: ClientError = caught.value
    assert error.response["Error"]["Code"] == name
    assert error.response["Error"]["Message"]
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == (500 if name == "InternalServerError" else 400)
    # SDKs of other languages know an operation's own exceptions only.
    assert name in modelled_errors(boto, error.operation_name)
    assert (boto.describe_projects()["ProjectDescriptions"], described_version(classifier)) == before
