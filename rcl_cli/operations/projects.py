"""Projects."""

from __future__ import annotations

from typing import Any

from rcl_cli.context import Context
from rcl_cli.errors import InvalidParameter, ResourceInUse
from rcl_cli.operations import pagination
from rcl_cli.operations.contents import settle_datasets
from rcl_cli.operations.resources import arn, find_project, unused_ms
from rcl_cli.operations.tagging import given_tags
from rcl_cli.status import VersionStatus
from rcl_cli.store import datasets, projects, tags, versions

_PAGE = 100


def create_project(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    if params.get("Feature") == "CONTENT_MODERATION":
        raise InvalidParameter("Feature CONTENT_MODERATION is not available: rcl trains custom labels only.")
    if "AutoUpdate" in params:
        raise InvalidParameter("AutoUpdate can't be used with the feature CUSTOM_LABELS.")
    name = params["ProjectName"]
    with context.database.write() as db:
        if projects.by_name(db, name):
            raise ResourceInUse(f"A project named {name} already exists.")
        created_ms = unused_ms(context, db)
        project_arn = arn(context, f"project/{name}/{created_ms}")
        projects.insert(db, project_arn, name, created_ms)
        tags.put(db, project_arn, given_tags(context, params))
    return {"ProjectArn": project_arn}


def describe_projects(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    if "CUSTOM_LABELS" not in params.get("Features", ["CUSTOM_LABELS"]):
        return {"ProjectDescriptions": []}
    limit = params.get("MaxResults", _PAGE)
    before = pagination.decode("DescribeProjects", params, int, int)
    settle_datasets(context)
    with context.database.read() as db:
        found = projects.page(db, params.get("ProjectNames"), before, limit + 1)
        described = [
            {
                "ProjectArn": project.arn,
                "CreationTimestamp": project.created_ms / 1000,
                "Status": project.status,
                "Datasets": [_dataset_metadata(d) for d in datasets.of_project(db, project.id)],
                "Feature": project.feature,
            }
            for project in found[:limit]
        ]
    response: dict[str, Any] = {"ProjectDescriptions": described}
    if len(found) > limit:
        last = found[limit - 1]
        response["NextToken"] = pagination.encode("DescribeProjects", params, [last.created_ms, last.id])
    return response


def _dataset_metadata(dataset: datasets.Dataset) -> dict[str, Any]:
    return {
        "CreationTimestamp": dataset.created_ms / 1000,
        "DatasetType": dataset.type,
        "DatasetArn": dataset.arn,
        "Status": dataset.state.status,
        "StatusMessage": dataset.state.message,
        "StatusMessageCode": dataset.state.message_code,
    }


def delete_project(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    with context.database.write() as db:
        project = find_project(db, params["ProjectArn"])
        if versions.count_of_project(db, project.id):
            raise ResourceInUse(f"The project {project.name} still has models: delete them first.")
        if datasets.of_project(db, project.id):
            raise ResourceInUse(f"The project {project.name} still has datasets: delete them first.")
        tags.drop(db, project.arn)
        projects.delete(db, project.id)
    return {"Status": VersionStatus.DELETING}
