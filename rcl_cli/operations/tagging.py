"""Tags of projects, datasets and versions."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

from rcl_cli.context import Context
from rcl_cli.errors import InvalidParameter, ResourceNotFound, ServiceQuotaExceeded
from rcl_cli.operations.resources import NOT_FOUND
from rcl_cli.store import datasets, projects, tags, versions

MAX_TAGS = 200
_ARN = re.compile(
    r"arn:[a-z\d-]+:rekognition:[a-z\d-]+:\d{12}:project/[a-zA-Z0-9_.\-]{1,255}"
    r"(/dataset/(train|test)|/version/[a-zA-Z0-9_.\-]{1,255})?/[0-9]+"
)


def given_tags(context: Context, params: dict[str, Any]) -> dict[str, str]:
    """The tags of a request.

    Raises:
        InvalidParameter: one names a file of this machine, and who asks may not.
    """
    found: dict[str, str] = params.get("Tags", {})
    weights = found.get("rcl:weights", "none").strip()
    if not context.names_files and weights not in ("auto", "none"):
        raise InvalidParameter("The training option weights can be auto or none here: files are named on this machine.")
    return found


def _check_resource(db: sqlite3.Connection, arn: str) -> None:
    """Make sure that a tag has something to hang on.

    Raises:
        InvalidParameter: it is no ARN of a project, dataset or version.
        ResourceNotFound: there is none such.
    """
    if not _ARN.fullmatch(arn):
        raise InvalidParameter(f"{arn} is not the ARN of a project, a dataset or a project version.")
    if not (projects.by_arn(db, arn) or datasets.by_arn(db, arn) or versions.by_arn(db, arn)):
        raise ResourceNotFound(NOT_FOUND)


def tag_resource(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    arn, added = params["ResourceArn"], given_tags(context, params)
    with context.database.write() as db:
        _check_resource(db, arn)
        if len(tags.of(db, arn) | added) > MAX_TAGS:
            raise ServiceQuotaExceeded(f"A resource can have {MAX_TAGS} tags at most: remove some first.")
        tags.put(db, arn, added)
    return {}


def untag_resource(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    with context.database.write() as db:
        _check_resource(db, params["ResourceArn"])
        tags.remove(db, params["ResourceArn"], params["TagKeys"])
    return {}


def list_tags_for_resource(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    with context.database.read() as db:
        _check_resource(db, params["ResourceArn"])
        return {"Tags": tags.of(db, params["ResourceArn"])}
