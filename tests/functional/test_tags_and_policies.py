"""Tags of every resource, and project policies with their revisions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rcl_cli.errors import (
    InvalidPaginationToken,
    InvalidParameter,
    InvalidPolicyRevisionId,
    MalformedPolicyDocument,
    ResourceAlreadyExists,
    ResourceNotFound,
    ServiceQuotaExceeded,
)
from tests.conftest import Home

GONE = "arn:aws:rekognition:us-east-1:123456789012:project/none/1690000000000"
STATEMENT = {
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
    "Action": "rekognition:CopyProjectVersion",
    "Resource": "*",
}


def document(**changed: Any) -> str:
    statement = {k: v for k, v in {**STATEMENT, **changed}.items() if v is not None}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def tags(home: Home, arn: str) -> dict[str, str]:
    found: dict[str, str] = home.call("ListTagsForResource", ResourceArn=arn)["Tags"]
    return found


def test_tags_merge_and_go(home: Home) -> None:
    project = home.call("CreateProject", ProjectName="p", Tags={"a": "1"})["ProjectArn"]
    dataset = home.call("CreateDataset", ProjectArn=project, DatasetType="TRAIN")["DatasetArn"]
    assert (tags(home, project), tags(home, dataset)) == ({"a": "1"}, {})
    assert home.call("TagResource", ResourceArn=project, Tags={"a": "2", "b": ""}) == {}
    home.call("TagResource", ResourceArn=dataset, Tags={"Größe / Maß": "große+Zahl=@:-"})
    assert tags(home, project) == {"a": "2", "b": ""}
    assert home.call("UntagResource", ResourceArn=project, TagKeys=["a", "never"]) == {}
    assert (tags(home, project), tags(home, dataset)) == ({"b": ""}, {"Größe / Maß": "große+Zahl=@:-"})
    home.call("DeleteDataset", DatasetArn=dataset)
    with pytest.raises(ResourceNotFound):
        tags(home, dataset)


def test_no_more_than_two_hundred_tags(home: Home) -> None:
    project = home.project()
    home.call("TagResource", ResourceArn=project, Tags={f"k{n}": "v" for n in range(200)})
    home.call("TagResource", ResourceArn=project, Tags={"k0": "other"})
    with pytest.raises(ServiceQuotaExceeded):
        home.call("TagResource", ResourceArn=project, Tags={"one": "more"})
    assert len(tags(home, project)) == 200


@pytest.mark.parametrize(
    ("arn", "error"),
    [
        (GONE, ResourceNotFound),
        (GONE.replace("/1690", "/dataset/train/1690"), ResourceNotFound),
        (GONE.replace("/1690", "/version/v/1690"), ResourceNotFound),
        ("arn:aws:rekognition:us-east-1:123456789012:collection/faces", InvalidParameter),
        ("arn:aws:s3:::a-bucket-with-a-long-name", InvalidParameter),
    ],
)
def test_tags_need_a_resource(home: Home, arn: str, error: type[Exception]) -> None:
    for operation, more in (
        ("TagResource", {"Tags": {"a": "b"}}),
        ("UntagResource", {"TagKeys": ["a"]}),
        ("ListTagsForResource", {}),
    ):
        with pytest.raises(error):
            home.call(operation, ResourceArn=arn, **more)


def test_policy_life(home: Home) -> None:
    project = home.project()
    put = {"ProjectArn": project, "PolicyName": "copy", "PolicyDocument": document()}
    first = home.call("PutProjectPolicy", **put)["PolicyRevisionId"]
    with pytest.raises(ResourceAlreadyExists):
        home.call("PutProjectPolicy", **put)
    second = home.call("PutProjectPolicy", **put, PolicyRevisionId=first)["PolicyRevisionId"]
    assert first != second
    for stale in (first, "0a"):
        with pytest.raises(InvalidPolicyRevisionId):
            home.call("PutProjectPolicy", **put, PolicyRevisionId=stale)
    with pytest.raises(InvalidPolicyRevisionId):
        home.call("PutProjectPolicy", **put | {"PolicyName": "new"}, PolicyRevisionId=second)
    (policy,) = home.call("ListProjectPolicies", ProjectArn=project)["ProjectPolicies"]
    assert policy["CreationTimestamp"] <= policy["LastUpdatedTimestamp"]
    assert {k: v for k, v in policy.items() if "Timestamp" not in k} == put | {"PolicyRevisionId": second}
    with pytest.raises(InvalidPolicyRevisionId):
        home.call("DeleteProjectPolicy", ProjectArn=project, PolicyName="copy", PolicyRevisionId=first)
    assert home.call("DeleteProjectPolicy", ProjectArn=project, PolicyName="copy", PolicyRevisionId=second) == {}
    with pytest.raises(ResourceNotFound):
        home.call("DeleteProjectPolicy", ProjectArn=project, PolicyName="copy")


def test_policies_by_page_and_with_their_project(home: Home) -> None:
    project, other = home.project(), home.project("q")
    for number in range(7):
        home.call("PutProjectPolicy", ProjectArn=project, PolicyName=f"p{number}", PolicyDocument=document())
    first = home.call("ListProjectPolicies", ProjectArn=project)
    rest = home.call("ListProjectPolicies", ProjectArn=project, NextToken=first["NextToken"])
    names = [policy["PolicyName"] for page in (first, rest) for policy in page["ProjectPolicies"]]
    assert names == [f"p{number}" for number in range(7)]
    assert "NextToken" not in rest
    with pytest.raises(InvalidPaginationToken):
        home.call("ListProjectPolicies", ProjectArn=other, NextToken=first["NextToken"])
    home.call("DeleteProject", ProjectArn=project)
    assert home.call("ListProjectPolicies", ProjectArn=home.project())["ProjectPolicies"] == []


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"Statement": []}',
        '{"Statement": ["x"]}',
        document(Effect=None),
        document(Principal=None),
        document(Action=None),
        document(Resource=None),
        document(Effect="Maybe"),
        document(Action="rekognition:*"),
        document(Action=["rekognition:CopyProjectVersion", "s3:GetObject"]),
        document(NotAction="x"),
        document(NotResource="x"),
        document(NotPrincipal="x"),
        "[" * 1500,
    ],
)
def test_malformed_policies(home: Home, text: str) -> None:
    project = home.project()
    with pytest.raises(MalformedPolicyDocument):
        home.call("PutProjectPolicy", ProjectArn=project, PolicyName="p", PolicyDocument=text)
    assert home.call("ListProjectPolicies", ProjectArn=project)["ProjectPolicies"] == []


def test_a_single_statement_and_a_list_of_one_action(home: Home) -> None:
    statement = STATEMENT | {"Action": ["rekognition:CopyProjectVersion"]}
    text = json.dumps({"Version": "2012-10-17", "Statement": statement})
    home.call("PutProjectPolicy", ProjectArn=home.project(), PolicyName="p", PolicyDocument=text)
