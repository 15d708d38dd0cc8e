"""The one door: an operation's name and a request in, a response out."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from rcl_cli.api.model import load
from rcl_cli.api.validate import validated
from rcl_cli.context import Context
from rcl_cli.errors import InternalServerError, ResourceNotFound, UnknownOperation
from rcl_cli.operations.resources import NOT_FOUND
from rcl_cli.store.entry_files import EntriesDamagedError, EntriesGoneError

_OPERATIONS = {
    "CreateProject": "projects",
    "DescribeProjects": "projects",
    "DeleteProject": "projects",
    "CreateDataset": "importing",
    "DescribeDataset": "datasets",
    "DeleteDataset": "datasets",
    "ListDatasetEntries": "listings",
    "ListDatasetLabels": "listings",
    "UpdateDatasetEntries": "entries",
    "DistributeDatasetEntries": "entries",
    "CreateProjectVersion": "training",
    "DescribeProjectVersions": "versions",
    "DeleteProjectVersion": "versions",
    "StartProjectVersion": "inference",
    "StopProjectVersion": "inference",
    "DetectCustomLabels": "detection",
    "CopyProjectVersion": "copying",
    "TagResource": "tagging",
    "UntagResource": "tagging",
    "ListTagsForResource": "tagging",
    "PutProjectPolicy": "policies",
    "ListProjectPolicies": "policies",
    "DeleteProjectPolicy": "policies",
}


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def _function(name: str) -> Callable[[Context, dict[str, Any]], dict[str, Any]]:
    if name not in _OPERATIONS:
        raise UnknownOperation(f"rcl does not answer {name}.")
    module = import_module(f"rcl_cli.operations.{_OPERATIONS[name]}")
    function: Callable[[Context, dict[str, Any]], dict[str, Any]] = getattr(module, _snake(name))
    return function


def invoke(context: Context, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Validate a request against the model and run it.

    Args:
        operation: CamelCase name.
        params: the request as the model describes it; blobs are bytes, timestamps epoch seconds.

    Returns:
        The response, likewise.

    Raises:
        ServiceError: as the API defines; nothing was changed.
    """
    function = _function(operation)
    request = validated(load().operation(operation), params)
    try:
        return function(context, request)
    except EntriesGoneError as error:
        # Somebody deleted the dataset in the middle of it.
        raise ResourceNotFound(NOT_FOUND) from error
    except EntriesDamagedError as error:
        raise InternalServerError(str(error)) from error
    except (sqlite3.DatabaseError, OSError) as error:
        raise InternalServerError(f"The store can't be used: {error}.") from error
