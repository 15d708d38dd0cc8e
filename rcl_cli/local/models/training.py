"""From labelled images to a running model in one go, by calls of the API that whoever asked may repeat."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rcl_cli.buckets.base import NoSuchObjectError
from rcl_cli.context import Context
from rcl_cli.errors import RclError, UsageError
from rcl_cli.local.datasets.imports import BUCKET
from rcl_cli.operations.invoke import invoke
from rcl_cli.store import datasets, projects, versions
from rcl_cli.training.options import TAG_PREFIX

# Tells a call that was made, and what it answered.
Called = Callable[[str, Mapping[str, object]], None]
_UNWANTED = re.compile(r"[^A-Za-z0-9_.\-]+")
_MOST_NAME_CHARS = 255


def project_name_of(source: Path) -> str:
    """A project's name after a folder or file."""
    stem = source.resolve().name if source.is_dir() else source.resolve().stem
    return _UNWANTED.sub("-", stem).strip("-.")[:_MOST_NAME_CHARS] or "project"


def next_version_name(context: Context, project_name: str) -> str:
    """`v1`, `v2`, …: the first that is free."""
    with context.database.read() as db:
        project = projects.by_name(db, project_name)
        number = 1
        while project and versions.by_name(db, project.id, f"v{number}"):
            number += 1
    return f"v{number}"


def begin_training(context: Context, project_name: str, options: Mapping[str, str], called: Called) -> str:
    """Begin to train on a project's datasets; returns the version's ARN.

    Args:
        options: training options.

    Raises:
        UsageError: the project has no datasets.
    """
    with context.database.read() as db:
        project = projects.by_name(db, project_name)
        kinds = {dataset.type for dataset in datasets.of_project(db, project.id)} if project else set()
    if project is None or "TRAIN" not in kinds:
        raise UsageError(f"The project {project_name} has no images to train on: give a folder or a manifest.")
    params: dict[str, object] = {
        "ProjectArn": project.arn,
        "VersionName": next_version_name(context, project_name),
        "OutputConfig": {"S3Bucket": BUCKET, "S3KeyPrefix": f"{project_name}/output"},
    }
    if options:
        params["Tags"] = {f"{TAG_PREFIX}{name}": value for name, value in options.items()}
    version_arn = invoke(context, "CreateProjectVersion", params)["ProjectVersionArn"]
    called("CreateProjectVersion", params)
    return str(version_arn)


def evaluation_of(context: Context, version_arn: str) -> dict[str, Any]:
    """The evaluation summary of a trained version.

    Raises:
        RclError: it has none, or it is gone.
    """
    with context.database.read() as db:
        version = versions.by_arn(db, version_arn)
    if version is None or "EvaluationResult" not in version.result:
        raise RclError(f"{version_arn} has no evaluation: it is not trained.")
    place = version.result["EvaluationResult"]["Summary"]["S3Object"]
    try:
        with context.buckets.get(place["Bucket"]).open(place["Name"]) as stream:
            found: dict[str, Any] = json.load(stream)
    except (NoSuchObjectError, OSError, ValueError) as error:
        raise RclError(f"The evaluation summary s3://{place['Bucket']}/{place['Name']} can't be read.") from error
    return found
