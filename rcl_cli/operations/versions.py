"""Project versions: describing and deleting."""

from __future__ import annotations

from typing import Any

from rcl_cli.context import Context
from rcl_cli.errors import ResourceInUse
from rcl_cli.operations import pagination
from rcl_cli.operations.progress import message_of
from rcl_cli.operations.resources import find_project, find_version
from rcl_cli.operations.settle import discard_orphans, settle_versions
from rcl_cli.status import DELETABLE, VersionStatus
from rcl_cli.store import tags, versions
from rcl_cli.store.versions import Version

_PAGE = 100


def describe_project_versions(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    limit = params.get("MaxResults", _PAGE)
    before = pagination.decode("DescribeProjectVersions", params, int, int)
    settle_versions(context)
    with context.database.read() as db:
        project = find_project(db, params["ProjectArn"])
        found = versions.page(db, project.id, params.get("VersionNames"), before, limit + 1)
    response: dict[str, Any] = {"ProjectVersionDescriptions": [describe(context, version) for version in found[:limit]]}
    if len(found) > limit:
        last = found[limit - 1]
        response["NextToken"] = pagination.encode("DescribeProjectVersions", params, [last.created_ms, last.id])
    return response


def describe(context: Context, version: Version) -> dict[str, Any]:
    """A ProjectVersionDescription."""
    request = version.request
    described = {
        "ProjectVersionArn": version.arn,
        "CreationTimestamp": version.created_ms / 1000,
        "MinInferenceUnits": version.min_units,
        "Status": version.status,
        "StatusMessage": message_of(context, version),
        "TrainingEndTimestamp": version.ended_ms / 1000 if version.ended_ms is not None else None,
        "OutputConfig": request["OutputConfig"],
        "KmsKeyId": request.get("KmsKeyId"),
        "MaxInferenceUnits": version.max_units,
        "SourceProjectVersionArn": request.get("SourceProjectVersionArn"),
        "VersionDescription": request.get("VersionDescription"),
        "Feature": "CUSTOM_LABELS",
        **version.result,
    }
    return {key: value for key, value in described.items() if value is not None}


def delete_project_version(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    settle_versions(context)
    with context.database.write() as db:
        version = find_version(db, params["ProjectVersionArn"])
        if version.status not in DELETABLE:
            raise ResourceInUse(f"The version {version.name} can't be deleted: its status is {version.status}.")
        tags.drop(db, version.arn)
        versions.delete(db, version.id)
    discard_orphans(context)
    return {"Status": VersionStatus.DELETING}
