"""Entries that change their part: between the datasets of a project, or out of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from rcl_cli.context import Context
from rcl_cli.errors import InvalidParameter, ResourceAlreadyExists
from rcl_cli.local.labelling.gallery import PARTS
from rcl_cli.manifest.line import bucket_of, parse_line
from rcl_cli.operations.contents import described, discard_orphans, reading
from rcl_cli.operations.entries import check_updatable, held, rewrite
from rcl_cli.operations.resources import find_project
from rcl_cli.status import DatasetStatus
from rcl_cli.store import datasets, entries, entry_changes

_MOVED, _REMOVED = "Entries were moved between the datasets.", "Entries were taken out of the dataset."


class Moved(NamedTuple):
    """What came of it.

    Args:
        there_already: how many stayed because the other dataset has their picture, with labels of its own.
    """

    moved: int
    there_already: int


def move_entries(context: Context, project_arn: str, chosen: Mapping[str, Sequence[int]], to: str) -> Moved:
    """Let entries be of another part of their project; their lines stay as they are.

    Args:
        chosen: positions by dataset; those that are in the wanted part, or not there any more, are left.
        to: `TRAIN` or `TEST`; a dataset that is not there is made.

    Raises:
        ResourceNotFound: there is no such project or dataset.
        ServiceError: what CreateDataset raises; a dataset can't be changed now.
    """
    from rcl_cli.operations.invoke import invoke

    if all(part != to for part in _parts(context, project_arn)):
        # Somebody else may make it just now.
        with suppress(ResourceAlreadyExists):
            invoke(context, "CreateDataset", {"ProjectArn": project_arn, "DatasetType": to})
    arns = _parts(context, project_arn)
    sources = [arn for part, arn in arns.items() if part != to and chosen.get(arn)]
    _check_own(arns.values(), chosen)
    if not sources:
        return Moved(0, 0)
    source, target = sources[0], arns[to]
    moved = there_already = 0

    def change(new: list[sqlite3.Connection]) -> None:
        nonlocal moved, there_already
        own, other = (bucket_of(entries.first_source_ref(db)) for db in new)
        if other not in ("", own):
            raise InvalidParameter(
                f"These pictures are in the bucket {own}, those of the other part in {other}: one part has one."
            )
        lines = [(entry.position, parse_line(entry.line)) for entry in entries.at(new[0], sorted(set(chosen[source])))]
        known = entries.positions_of(new[1], [line.source_ref for _, line in lines])
        going = [(position, line) for position, line in lines if line.source_ref not in known]
        entry_changes.put(new[1], (line for _, line in going))
        entry_changes.remove(new[0], [position for position, _ in going])
        moved, there_already = len(going), len(lines) - len(going)

    with held(context, [source, target], check_updatable) as locked:
        by_arn = {dataset.arn: dataset for dataset, _ in locked}
        rewrite(context, (by_arn[source], by_arn[target]), change, _MOVED)
    discard_orphans(context)
    return Moved(moved, there_already)


def split(context: Context, project_arn: str) -> int:
    """Let a fifth of the training images, of each label as many, be for testing; returns how many there are then.

    Raises:
        ResourceNotFound: there is no such project.
        InvalidParameter: there are images for testing already, or too few of them have labels.
        ServiceError: a dataset can't be changed now.
    """
    from rcl_cli.operations.invoke import invoke

    if train := _parts(context, project_arn).get("TRAIN"):
        with reading(context, train, lambda _: None) as (_, db):
            if not entries.label_count(db):
                raise InvalidParameter(
                    "No image for training has a label yet: label some, so that of each a fifth can go."
                )
    for kind in PARTS:
        if kind not in _parts(context, project_arn):
            with suppress(ResourceAlreadyExists):
                invoke(context, "CreateDataset", {"ProjectArn": project_arn, "DatasetType": kind})
    arns = _parts(context, project_arn)
    invoke(context, "DistributeDatasetEntries", {"Datasets": [{"Arn": arns[kind]} for kind in PARTS]})
    found = described(context, arns["TEST"])
    if found.state.status == DatasetStatus.UPDATE_FAILED:
        raise InvalidParameter(found.state.message)
    return found.state.total_entries


def remove_entries(context: Context, project_arn: str, chosen: Mapping[str, Sequence[int] | Mapping[int, str]]) -> int:
    """Take entries out of their datasets; their pictures stay where they are. Returns how many were there.

    Args:
        chosen: positions by dataset; where they come with lines, those whose line is another by now stay.

    Raises:
        ResourceNotFound: there is no such project or dataset.
        ServiceError: a dataset can't be changed now.
    """
    arns = [arn for arn in _parts(context, project_arn).values() if chosen.get(arn)]
    _check_own(_parts(context, project_arn).values(), chosen)
    if not arns:
        return 0
    removed = 0

    def change(new: list[sqlite3.Connection]) -> None:
        nonlocal removed
        for dataset, db in zip(found, new, strict=True):
            wanted = chosen[dataset.arn]
            found_now = entries.at(db, sorted(set(wanted)))
            there = [
                entry.position
                for entry in found_now
                if not isinstance(wanted, Mapping) or wanted[entry.position] == entry.line
            ]
            entry_changes.remove(db, there)
            removed += len(there)

    with held(context, arns, check_updatable) as locked:
        found = [dataset for dataset, _ in locked]
        rewrite(context, found, change, _REMOVED)
    discard_orphans(context)
    return removed


def _parts(context: Context, project_arn: str) -> dict[str, str]:
    """The datasets of a project by type."""
    with context.database.read() as db:
        return {one.type: one.arn for one in datasets.of_project(db, find_project(db, project_arn).id)}


def _check_own(arns: Collection[str], chosen: Mapping[str, Collection[int]]) -> None:
    """
    Raises:
        InvalidParameter: something is chosen in a dataset of another project.
    """
    if any(every and arn not in arns for arn, every in chosen.items()):
        raise InvalidParameter("The images are of another project.")
