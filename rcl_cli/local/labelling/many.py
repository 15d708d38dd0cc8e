"""What is said of many entries, changed at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Sequence

from rcl_cli.context import Context
from rcl_cli.errors import InvalidParameter, ResourceInUse
from rcl_cli.local.labelling.lines import Labelling, edited, labelling_of
from rcl_cli.local.labelling.saving import creation_date
from rcl_cli.operations.contents import reading
from rcl_cli.operations.entries import update
from rcl_cli.operations.resources import find_project
from rcl_cli.status import DatasetStatus
from rcl_cli.store import datasets, entries
from rcl_cli.store.entries import EntryFilter

_BATCH, _TRIES = 2000, 5
# What an entry is to say, of what it says, and its line.
Change = Callable[[Labelling, str], Labelling]


class _ChangedMeanwhileError(Exception):
    """Somebody else changed one of the entries."""


def change_many(context: Context, dataset_arn: str, positions: Sequence[int], change: Change) -> int:
    """Let entries of a dataset say something else; all else of their lines stays.

    Args:
        positions: of the entries; those that are not there any more are left out.
        change: what an entry is to say, of what it says.

    Returns:
        How many entries were changed.

    Raises:
        ServiceError: what UpdateDatasetEntries raises; a label has no name or a long one. Batches before that one are
            changed.
    """
    return sum(
        _change_batch(context, dataset_arn, positions[start : start + _BATCH], change)
        for start in range(0, len(positions), _BATCH)
    )


def _change_batch(context: Context, dataset_arn: str, positions: Sequence[int], change: Change) -> int:
    created = creation_date(context)
    for _ in range(_TRIES):
        with reading(context, dataset_arn, lambda _: None) as (_, db):
            before = entries.at(db, positions)
        after = [_changed(entry.line, change, created) for entry in before]
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


def _changed(line: str, change: Change, created: str) -> str:
    before = labelling_of(line)
    after = change(before, line)
    return line if after == before else edited(line, after, lambda: (0, 0), created)


def labels_given(add: Collection[str], remove: Collection[str]) -> Change:
    """Gives image-level labels, and takes others."""

    def change(said: Labelling, _line: str) -> Labelling:
        return said._replace(labels=tuple(dict.fromkeys([*(one for one in said.labels if one not in remove), *add])))

    return change


def label_renamed(label: str, to: str | None) -> Change:
    """Calls a label otherwise, on images and boxes; with None it goes, and its boxes with it."""

    def change(said: Labelling, _line: str) -> Labelling:
        named = [to if one == label else one for one in said.labels]
        boxes = [one._replace(label=to) if one.label == label and to is not None else one for one in said.boxes]
        return Labelling(
            tuple(dict.fromkeys(one for one in named if one is not None)),
            tuple(one for one in boxes if to is not None or one.label != label),
        )

    return change


def rename_label(context: Context, project_arn: str, label: str, to: str | None) -> int:
    """Rename a label in all datasets of a project, so that it becomes one with another of that name; or delete it.

    Args:
        to: None deletes it.

    Returns:
        How many entries were changed.

    Raises:
        as `change_many`; ResourceNotFound: there is no such project.
    """
    with context.database.read() as db:
        found = datasets.of_project(db, find_project(db, project_arn).id)
    changed = 0
    for one in found:
        with reading(context, one.arn, lambda _: None) as (_, own):
            positions = entries.positions(own, EntryFilter(labels=(label,)))
        changed += change_many(context, one.arn, positions, label_renamed(label, to))
    return changed
