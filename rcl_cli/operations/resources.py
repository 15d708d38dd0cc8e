"""Finding resources by ARN, and making new ARNs."""

from __future__ import annotations

import sqlite3

from rcl_cli.context import Context
from rcl_cli.errors import ResourceNotFound
from rcl_cli.store import datasets, projects, versions
from rcl_cli.store.datasets import Dataset
from rcl_cli.store.projects import Project
from rcl_cli.store.versions import Version

NOT_FOUND = "The resource specified in the request cannot be found."


def unused_ms(context: Context, db: sqlite3.Connection, began_ms: int | None = None) -> int:
    """When something began, moved on until no ARN ends in it: ARNs stay unique when things happen fast.

    Args:
        began_ms: epoch milliseconds; None for now.
    """
    now = context.now_ms() if began_ms is None else began_ms
    query = """SELECT 1 FROM projects WHERE created_ms = :ms UNION ALL SELECT 1 FROM datasets WHERE created_ms = :ms
        UNION ALL SELECT 1 FROM versions WHERE created_ms = :ms LIMIT 1"""
    while db.execute(query, {"ms": now}).fetchone():
        now += 1
    return now


def arn(context: Context, path: str) -> str:
    return f"arn:aws:rekognition:{context.region}:{context.account}:{path}"


def find_project(db: sqlite3.Connection, project_arn: str) -> Project:
    """The project of that ARN.

    Raises:
        ResourceNotFound: there is none.
    """
    if project := projects.by_arn(db, project_arn):
        return project
    raise ResourceNotFound(NOT_FOUND)


def find_dataset(db: sqlite3.Connection, dataset_arn: str) -> Dataset:
    """The dataset of that ARN.

    Raises:
        ResourceNotFound: there is none.
    """
    if dataset := datasets.by_arn(db, dataset_arn):
        return dataset
    raise ResourceNotFound(NOT_FOUND)


def find_version(db: sqlite3.Connection, version_arn: str) -> Version:
    """The version of that ARN.

    Raises:
        ResourceNotFound: there is none.
    """
    if version := versions.by_arn(db, version_arn):
        return version
    raise ResourceNotFound(NOT_FOUND)
