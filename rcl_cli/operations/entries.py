"""Changing the entries of datasets."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from rcl_cli.context import Context
from rcl_cli.errors import InvalidParameter, ResourceInUse, ResourceNotReady
from rcl_cli.limits import limits
from rcl_cli.manifest import codes
from rcl_cli.manifest.line import bucket_of
from rcl_cli.manifest.reader import DatasetReader, TerminalManifestError
from rcl_cli.manifest.split import CannotSplitError, stratified_split
from rcl_cli.operations.contents import changing, discard_orphans
from rcl_cli.operations.resources import find_dataset
from rcl_cli.status import CHANGING, DatasetStatus
from rcl_cli.store import datasets, entries, entry_changes
from rcl_cli.store.datasets import Dataset
from rcl_cli.store.entries import State

_TEST_SHARE = 0.2
_SPLIT_SEED = 0
UPDATED = "The dataset was successfully updated."
DISTRIBUTED = "The dataset entries were successfully distributed."


def update_dataset_entries(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    update(context, params["DatasetArn"], bytes(params["Changes"]["GroundTruth"]))
    return {}


def update(
    context: Context, dataset_arn: str, changes: bytes, check: Callable[[sqlite3.Connection], None] | None = None
) -> State:
    """Add entries to a dataset, or replace those of the same source-ref.

    Args:
        changes: manifest lines.
        check: looks at the dataset's entries when nobody else can change them any more; what it raises ends it.

    Returns:
        What the dataset says of it.

    Raises:
        ResourceNotFound, ResourceInUse: there is no such dataset, or it can't be changed now.
    """
    with changing(context, dataset_arn, check_updatable) as (dataset, db):
        if check:
            check(db)
        db.execute("SAVEPOINT changes")
        try:
            bucket = bucket_of(entries.first_source_ref(db))
            # What is in the dataset may be changed by anybody.
            reader = DatasetReader(
                io.BytesIO(changes), len(changes), bucket, lambda ref: context.names_files or entries.has(db, ref)
            )
            counts = dataset.state.counts.plus(entry_changes.put(db, reader))
            reader.check()
            if entries.label_count(db) > limits().labels:
                raise TerminalManifestError(codes.MANIFEST_TOO_MANY_LABELS)
            outcome = (DatasetStatus.UPDATE_COMPLETE, UPDATED, "SUCCESS")
        except TerminalManifestError as error:
            db.execute("ROLLBACK TO changes")
            counts = dataset.state.counts
            outcome = (DatasetStatus.UPDATE_FAILED, error.code.message, "CLIENT_ERROR")
        db.execute("RELEASE changes")
        return entry_changes.settle(db, *outcome, context.now_ms(), counts)


def check_updatable(dataset: Dataset) -> None:
    if dataset.state.status in CHANGING or dataset.state.status == DatasetStatus.CREATE_FAILED:
        raise ResourceInUse(f"The dataset {dataset.arn} can't be updated: its status is {dataset.state.status}.")


def distribute_dataset_entries(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    with held(context, [item["Arn"] for item in params["Datasets"]], _check_complete) as locked:
        found = {dataset.type: dataset for dataset, _ in locked}
        if set(found) != {"TRAIN", "TEST"} or len({dataset.project_id for dataset, _ in locked}) > 1:
            raise InvalidParameter("Datasets must be one TRAIN and one TEST dataset of the same project.")
        if found["TEST"].state.total_entries:
            raise InvalidParameter("The TEST dataset must be empty.")
        if not found["TRAIN"].state.total_entries:
            raise InvalidParameter("The TRAIN dataset must not be empty.")
        try:
            _distribute(context, found["TRAIN"], found["TEST"])
        except CannotSplitError:
            message = codes.INSUFFICIENT_IMAGES_FOR_DISTRIBUTE.message
            for dataset, db in locked:
                failed = DatasetStatus.UPDATE_FAILED
                entry_changes.settle(db, failed, message, "CLIENT_ERROR", context.now_ms(), dataset.state.counts)
    discard_orphans(context)
    return {}


@contextmanager
def held(
    context: Context, dataset_arns: Sequence[str], check: Callable[[Dataset], None]
) -> Iterator[list[tuple[Dataset, sqlite3.Connection]]]:
    """Datasets that nobody else changes meanwhile, with their entries.

    Args:
        check: raises where one can't be changed.

    Raises:
        ResourceNotFound, ResourceInUse: there is no such dataset, or somebody changes it for a long time.
    """
    with ExitStack() as stack:
        # Always in the same order, so that two at once don't wait for each other.
        arns = sorted(set(dataset_arns))
        locked = [stack.enter_context(changing(context, one, lambda _: None)) for one in arns]
        for dataset, _ in locked:
            check(dataset)
        yield locked


def _check_complete(dataset: Dataset) -> None:
    if not dataset.state.status.endswith("_COMPLETE"):
        raise ResourceNotReady(f"The dataset {dataset.arn} is not ready: its status is {dataset.state.status}.")


def _distribute(context: Context, train: Dataset, test: Dataset) -> None:
    """Move a share of one dataset's entries into another.

    Raises:
        CannotSplitError: they have no labels to go by.
    """
    with context.entry_files.reading(train.file) as db:
        labels = entries.labels_by_position(db)
    if not any(labels.values()):
        raise CannotSplitError("")
    positions = list(labels)
    chosen = stratified_split([labels[p] for p in positions], _TEST_SHARE, _SPLIT_SEED)
    moved = [positions[i] for i in chosen]
    rewrite(context, (train, test), lambda new: entry_changes.move(new[0], new[1], moved), DISTRIBUTED)


def rewrite(
    context: Context, found: Sequence[Dataset], change: Callable[[list[sqlite3.Connection]], None], message: str
) -> None:
    """Give datasets that are held new files, all at one moment: copies of their entries, changed.

    Args:
        change: changes the copies, which are in the datasets' order.
    """
    files = context.entry_files
    with ExitStack() as stack:
        drafts = [stack.enter_context(files.draft(context.new_nonce())) for _ in found]
        for dataset, draft in zip(found, drafts, strict=True):
            # By way of others: what may be written can't be copied.
            with files.reading(dataset.file) as db:
                draft.replace_by(db)
        change([draft.db for draft in drafts])
        states = []
        for draft in drafts:
            counts, now_ms = entries.count(draft.db), context.now_ms()
            states.append(
                entry_changes.settle(draft.db, DatasetStatus.UPDATE_COMPLETE, message, "SUCCESS", now_ms, counts)
            )
            draft.finish()
        with context.database.write() as db:
            for dataset, draft, state in zip(found, drafts, states, strict=True):
                find_dataset(db, dataset.arn)
                datasets.replace_file(db, dataset, draft.keep(), state)
