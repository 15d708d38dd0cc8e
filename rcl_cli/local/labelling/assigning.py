"""Image-level labels of many entries at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from rcl_cli.context import Context
from rcl_cli.errors import InvalidParameter, ResourceInUse
from rcl_cli.local.labelling.lines import edited, labelling_of
from rcl_cli.operations.contents import reading
from rcl_cli.operations.entries import update
from rcl_cli.status import DatasetStatus
from rcl_cli.store import entries

_BATCH, _TRIES = 2000, 5


class _ChangedMeanwhileError(Exception):
    """Somebody else changed one of the entries."""


def assign(
    context: Context, dataset_arn: str, positions: Sequence[int], add: Collection[str], remove: Collection[str]
) -> int:
    """Give labels to images of a dataset and take others from them; boxes and all else of their lines stay.

    Args:
        positions: of the entries; those that are not there any more are left out.

    Returns:
        How many entries were changed.

    Raises:
        ServiceError: what UpdateDatasetEntries raises; a label has no name or a long one. Batches before that one are
            changed.
    """
    return sum(
        _assign(context, dataset_arn, positions[start : start + _BATCH], add, remove)
        for start in range(0, len(positions), _BATCH)
    )


def _assign(
    context: Context, dataset_arn: str, positions: Sequence[int], add: Collection[str], remove: Collection[str]
) -> int:
    created = datetime.fromtimestamp(context.now_ms() / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    for _ in range(_TRIES):
        with reading(context, dataset_arn, lambda _: None) as (_, db):
            before = entries.at(db, positions)
        after = [_with_labels(entry.line, add, remove, created) for entry in before]
        changed = [line for line, entry in zip(after, before, strict=True) if line != entry.line]
        if not changed:
            return 0

        def check(db: sqlite3.Connection, seen: list[entries.Entry] = before) -> None:
            if entries.at(db, positions) != seen:
                raise _ChangedMeanwhileError

        try:
            state = update(context, dataset_arn, "\n".join(changed).encode(), check)
        except _ChangedMeanwhileError:
            continue
        if state.status == DatasetStatus.UPDATE_FAILED:
            raise InvalidParameter(state.message)
        return len(changed)
    raise ResourceInUse("Somebody else changes these images all the time: try again.")


def _with_labels(line: str, add: Collection[str], remove: Collection[str], created: str) -> str:
    before = labelling_of(line)
    labels = tuple(dict.fromkeys([*(one for one in before.labels if one not in remove), *add]))
    return line if labels == before.labels else edited(line, before._replace(labels=labels), lambda: (0, 0), created)
