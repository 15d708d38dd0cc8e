"""The one door: an operation's name and a request in, a response out."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

from rcl_cli.api.model import load
from rcl_cli.api.validate import validated
from rcl_cli.context import Context
from rcl_cli.errors import InternalServerError, ResourceNotFound, UnknownOperation
from rcl_cli.operations.resources import NOT_FOUND
from rcl_cli.store import room
from rcl_cli.store.database import StoreGoneError
from rcl_cli.store.entry_files import EntriesDamagedError, EntriesGoneError
from rcl_cli.store.trouble import is_full, meaning

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


# What only looks, ends or makes room.
_THRIFTY = ("Describe", "List", "Detect", "Stop", "Delete", "Untag")


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
        return _with_room(context, operation, partial(function, context, request))
    except EntriesGoneError as error:
        # Somebody deleted the dataset in the middle of it.
        raise ResourceNotFound(NOT_FOUND) from error
    except (EntriesDamagedError, StoreGoneError) as error:
        raise InternalServerError(str(error)) from error
    except (sqlite3.DatabaseError, OSError) as error:
        raise InternalServerError(f"{meaning(error, context.layout.home)}.") from error


def _with_room(context: Context, operation: str, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run an operation, again with the room that the home keeps where the disk is full and it needs next to none."""
    try:
        return call()
    except (sqlite3.DatabaseError, OSError) as error:
        home = context.layout.home
        if not operation.startswith(_THRIFTY) or not is_full(error, home) or not room.give(home):
            raise
    return call()
