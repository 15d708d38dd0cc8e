"""Listing the entries and labels of datasets."""

from __future__ import annotations

from typing import Any

from rcl_cli.context import Context
from rcl_cli.errors import ResourceInUse, ResourceNotReady
from rcl_cli.manifest.listing import listing
from rcl_cli.operations import pagination
from rcl_cli.operations.contents import reading
from rcl_cli.status import CHANGING, DatasetStatus
from rcl_cli.store import entries
from rcl_cli.store.datasets import Dataset
from rcl_cli.store.entries import EntryFilter

_PAGE = 100


def _check_readable(dataset: Dataset) -> None:
    if dataset.state.status in (DatasetStatus.CREATE_IN_PROGRESS, DatasetStatus.CREATE_FAILED):
        raise ResourceNotReady(f"The dataset {dataset.arn} can't be listed: its status is {dataset.state.status}.")
    if dataset.state.status in CHANGING:
        raise ResourceInUse(f"The dataset {dataset.arn} is in use: its status is {dataset.state.status}.")


def list_dataset_entries(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    limit = params.get("MaxResults", _PAGE)
    after = pagination.decode("ListDatasetEntries", params, int) or 0
    conditions = EntryFilter(
        labels=tuple(params.get("ContainsLabels", ())),
        is_labeled=params.get("Labeled"),
        # Samples pass False to mean "all".
        has_errors=params.get("HasErrors", False),
        source_ref_contains=params.get("SourceRefContains"),
    )
    with reading(context, params["DatasetArn"], _check_readable) as (_, db):
        rows = entries.page(db, conditions, after, limit + 1)
    listed = [listing(one.line, is_labeled=one.is_labeled, has_errors=one.has_errors) for one in rows[:limit]]
    response: dict[str, Any] = {"DatasetEntries": listed}
    if len(rows) > limit:
        response["NextToken"] = pagination.encode("ListDatasetEntries", params, rows[limit - 1].position)
    return response


def list_dataset_labels(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    limit = params.get("MaxResults", _PAGE)
    after = pagination.decode("ListDatasetLabels", params, str) or ""
    with reading(context, params["DatasetArn"], _check_readable) as (_, db):
        rows = entries.labels_page(db, after, limit + 1)
    described = [
        {"LabelName": name, "LabelStats": {"EntryCount": images, "BoundingBoxCount": boxed}}
        for name, images, boxed in rows[:limit]
    ]
    response: dict[str, Any] = {"DatasetLabelDescriptions": described}
    if len(rows) > limit:
        response["NextToken"] = pagination.encode("ListDatasetLabels", params, rows[limit - 1][0])
    return response
