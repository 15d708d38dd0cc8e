"""Changing the entries of datasets."""

from __future__ import annotations

import io
from typing import Any

from rcl_cli.context import Context
from rcl_cli.errors import InvalidParameter, ResourceInUse, ResourceNotReady
from rcl_cli.manifest import codes
from rcl_cli.manifest.line import bucket_of
from rcl_cli.manifest.reader import MAX_LABELS, DatasetReader, TerminalManifestError
from rcl_cli.manifest.split import CannotSplitError, stratified_split
from rcl_cli.operations.resources import find_dataset
from rcl_cli.status import CHANGING, DatasetStatus
from rcl_cli.store import datasets, entries

_TEST_SHARE = 0.2
_SPLIT_SEED = 0
UPDATED = "The dataset was successfully updated."
DISTRIBUTED = "The dataset entries were successfully distributed."


def update_dataset_entries(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    changes = bytes(params["Changes"]["GroundTruth"])
    with context.database.write() as db:
        dataset = find_dataset(db, params["DatasetArn"])
        if dataset.status in CHANGING or dataset.status == DatasetStatus.CREATE_FAILED:
            raise ResourceInUse(f"The dataset {dataset.arn} can't be updated: its status is {dataset.status}.")
        db.execute("SAVEPOINT changes")
        try:
            bucket = bucket_of(entries.first_source_ref(db, dataset.id))
            reader = DatasetReader(io.BytesIO(changes), len(changes), bucket)
            counts = dataset.counts.plus(entries.put(db, dataset.id, reader))
            reader.check()
            if entries.label_count(db, dataset.id) > MAX_LABELS:
                raise TerminalManifestError(codes.MANIFEST_TOO_MANY_LABELS)
            outcome = (DatasetStatus.UPDATE_COMPLETE, UPDATED, "SUCCESS")
        except TerminalManifestError as error:
            db.execute("ROLLBACK TO changes")
            counts = dataset.counts
            outcome = (DatasetStatus.UPDATE_FAILED, error.code.message, "CLIENT_ERROR")
        db.execute("RELEASE changes")
        datasets.settle(db, dataset.id, *outcome, context.now_ms(), counts)
    return {}


def distribute_dataset_entries(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    arns = [item["Arn"] for item in params["Datasets"]]
    with context.database.write() as db:
        found = {d.type: d for d in (find_dataset(db, one) for one in arns)}
        if set(found) != {"TRAIN", "TEST"} or found["TRAIN"].project_id != found["TEST"].project_id:
            raise InvalidParameter("Datasets must be one TRAIN and one TEST dataset of the same project.")
        for dataset in found.values():
            if not dataset.status.endswith("_COMPLETE"):
                raise ResourceNotReady(f"The dataset {dataset.arn} is not ready: its status is {dataset.status}.")
        train, test = found["TRAIN"], found["TEST"]
        if test.total_entries:
            raise InvalidParameter("The TEST dataset must be empty.")
        if not train.total_entries:
            raise InvalidParameter("The TRAIN dataset must not be empty.")
        labels = entries.labels_by_position(db, train.id)
        try:
            positions = list(labels)
            if not any(labels.values()):
                raise CannotSplitError("")
            chosen = stratified_split([labels[p] for p in positions], _TEST_SHARE, _SPLIT_SEED)
            entries.move(db, train.id, test.id, [positions[i] for i in chosen])
            outcome = (DatasetStatus.UPDATE_COMPLETE, DISTRIBUTED, "SUCCESS")
        except CannotSplitError:
            outcome = (DatasetStatus.UPDATE_FAILED, codes.INSUFFICIENT_IMAGES_FOR_DISTRIBUTE.message, "CLIENT_ERROR")
        for dataset in (train, test):
            datasets.settle(db, dataset.id, *outcome, context.now_ms(), entries.count(db, dataset.id))
    return {}
