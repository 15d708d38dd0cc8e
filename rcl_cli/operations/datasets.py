"""Datasets: describing and deleting."""

from __future__ import annotations

from typing import Any

from rcl_cli.context import Context
from rcl_cli.errors import ResourceInUse
from rcl_cli.operations.contents import described, discard_orphans
from rcl_cli.operations.resources import find_dataset
from rcl_cli.status import CHANGING
from rcl_cli.store import datasets, tags


def describe_dataset(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    dataset = described(context, params["DatasetArn"])
    return {
        "DatasetDescription": {
            "CreationTimestamp": dataset.created_ms / 1000,
            "LastUpdatedTimestamp": max(dataset.created_ms, dataset.state.updated_ms) / 1000,
            "Status": dataset.state.status,
            "StatusMessage": dataset.state.message,
            "StatusMessageCode": dataset.state.message_code,
            "DatasetStats": {
                "LabeledEntries": dataset.state.labeled_entries,
                "TotalEntries": dataset.state.total_entries,
                "TotalLabels": dataset.state.total_labels,
                "ErrorEntries": dataset.state.error_entries,
            },
        }
    }


def delete_dataset(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    with context.database.write() as db:
        dataset = find_dataset(db, params["DatasetArn"])
        if dataset.state.status in CHANGING:
            raise ResourceInUse(f"The dataset {dataset.arn} is in use: its status is {dataset.state.status}.")
        tags.drop(db, dataset.arn)
        datasets.delete(db, dataset.id)
    discard_orphans(context)
    return {}
