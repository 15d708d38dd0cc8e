"""The model as data, validation against botocore as the oracle, names."""

from __future__ import annotations

import json
from typing import Any

import pytest
from awscli.utils import create_nested_client  # noqa: F401 - the registry's aws CLI has to be importable
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from rcl_cli.api.model import load
from rcl_cli.api.names import kebab
from rcl_cli.api.validate import client_report, validated
from rcl_cli.errors import SerializationError, ValidationError

ARN = "arn:aws:rekognition:us-east-1:123456789012:project/p/1690000000000"


@pytest.fixture(scope="module")
def botocore_model() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("rekognition", "service-2"))


def test_twenty_three_operations_and_no_prose() -> None:
    model = load()
    assert len(model.operations) == 23
    assert "documentation" not in json.dumps(model.document)


def test_names_are_botocores(botocore_model: ServiceModel) -> None:
    for name in load().operations:
        assert kebab(name) == xform_name(name, "-")
        for member in load().operation(name).input.members:
            assert kebab(member) == xform_name(member, "-")


REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("CreateProject", {}),
    ("CreateProject", {"ProjectName": 5}),
    ("CreateProject", {"ProjectName": "", "Bogus": 1}),
    ("DescribeProjects", {"MaxResults": "x"}),
    ("DescribeProjects", {"MaxResults": 0, "ProjectNames": []}),
    ("DescribeProjects", {"ProjectNames": ["a", 5]}),
    ("DeleteProject", {"ProjectArn": "short"}),
    ("StartProjectVersion", {"ProjectVersionArn": ARN, "MinInferenceUnits": 0}),
    ("DetectCustomLabels", {"ProjectVersionArn": ARN}),
    ("DetectCustomLabels", {"ProjectVersionArn": ARN, "Image": {"S3Object": {"Nam": "x"}}}),
    ("DetectCustomLabels", {"ProjectVersionArn": ARN, "Image": {"Bytes": b""}, "MinConfidence": -1.0}),
    ("CreateDataset", {"ProjectArn": ARN, "DatasetType": "TRAIN", "Tags": {"": "x"}}),
    ("CreateDataset", {"ProjectArn": ARN, "DatasetType": True, "Tags": []}),
    ("DistributeDatasetEntries", {"Datasets": [{"Arn": "x"}, {}]}),
    ("ListDatasetEntries", {"DatasetArn": ARN, "Labeled": "yes"}),
    ("CreateProject", {"ProjectName": "ok"}),
]


@pytest.mark.parametrize(("operation", "params"), REQUESTS)
def test_client_side_reports_are_botocores(
    botocore_model: ServiceModel, operation: str, params: dict[str, Any]
) -> None:
    shape = botocore_model.operation_model(operation).input_shape
    report = ParamValidator().validate(params, shape)
    expected = f"Parameter validation failed:\n{report.generate_report()}" if report.has_errors() else None
    assert client_report(load().operation(operation).input, params) == expected


def refused(operation: str, **params: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        validated(load().operation(operation), params)
    return caught.value.message


def test_service_side_messages() -> None:
    assert refused("CreateProject", ProjectName="x!") == (
        "1 validation error detected: Value 'x!' at 'projectName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9_.\\-]+"
    )
    assert "Member must have value less than or equal to 100" in refused("DescribeProjects", MaxResults=101)
    assert "enum value set: [TRAIN, TEST]" in refused("CreateDataset", ProjectArn=ARN, DatasetType="x")
    assert refused("CreateProject").endswith(
        "Value null at 'projectName' failed to satisfy constraint: Member must not be null"
    )
    both = refused("DescribeProjects", MaxResults=0, ProjectNames=["a"] * 11)
    assert both.startswith("2 validation errors detected: ")
    assert "; " in both


def test_patterns_match_the_whole_value() -> None:
    assert "pattern" in refused("CreateProject", ProjectName="good\n")


@pytest.mark.parametrize("key", ["rcl:epochs", "Größe", "日本 語", "a_b.c:/=+-@"])
def test_tag_keys_of_many_scripts_pass(key: str) -> None:
    assert validated(load().operation("CreateProject"), {"ProjectName": "p", "Tags": {key: key}})["Tags"] == {key: key}


@pytest.mark.parametrize("key", ["aws:x", "a\tb", "a!b", ""])
def test_bad_tag_keys_do_not(key: str) -> None:
    refused("CreateProject", ProjectName="p", Tags={key: "v"})


def test_null_is_absent_and_unknown_is_ignored() -> None:
    request = validated(load().operation("DescribeProjects"), {"NextToken": None, "Bogus": 1, "MaxResults": 5})
    assert request == {"MaxResults": 5}


def test_wrong_json_type_is_a_serialization_error() -> None:
    with pytest.raises(SerializationError):
        validated(load().operation("CreateProject"), {"ProjectName": 5})
