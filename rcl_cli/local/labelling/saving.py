"""Saving what a labeller did, unless somebody else changed the entry meanwhile."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from rcl_cli.context import Context
from rcl_cli.errors import InvalidParameter
from rcl_cli.local.labelling.lines import Labelling, edited, labelling_of
from rcl_cli.manifest.document import METADATA_SUFFIX, load
from rcl_cli.manifest.line import parse_line
from rcl_cli.operations.contents import reading
from rcl_cli.operations.entries import update
from rcl_cli.status import DatasetStatus
from rcl_cli.store import entries


class Saved(NamedTuple):
    """A line that is in the store, and the mark by which the next edit names it.

    Args:
        by_others: it says what was wanted, and somebody else wrote it, with more than that perhaps.
    """

    line: str
    mark: str
    by_others: bool = False


class ChangedMeanwhileError(Exception):
    """The entry is not what whoever edits it saw last; nothing was changed.

    Args:
        now: what it is; None where it is gone.
    """

    def __init__(self, now: Saved | None) -> None:
        super().__init__("the entry was changed by somebody else meanwhile")
        self.now = now


def creation_date(context: Context) -> str:
    """Of what is said now, as Ground Truth writes it."""
    return datetime.fromtimestamp(context.now_ms() / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def as_saved(line: str) -> Saved:
    """A line with its mark, which no other line has."""
    return Saved(line, hashlib.blake2b(line.encode(), digest_size=12).hexdigest())


def save(
    context: Context,
    dataset_arn: str,
    source_ref: str,
    mark: str,
    wanted: Labelling,
    size_px: Callable[[], tuple[int, int]],
    base: str = "",
) -> Saved:
    """Let an entry say what is wanted; see `lines.edited`.

    Args:
        mark: of the line that was seen. Where the entry says what is wanted by now, whoever had it say so, it is saved.
        base: the line that the edit is of, where it is an earlier one.

    Raises:
        ChangedMeanwhileError: it is another one by now.
        ServiceError: what UpdateDatasetEntries raises; what is wanted can't be said.
    """
    if base and parse_line(base).source_ref != source_ref:
        raise InvalidParameter("The line is another image's.")
    created = creation_date(context)
    return _replace(context, dataset_arn, source_ref, mark, lambda line: edited(base or line, wanted, size_px, created))


def restore(context: Context, dataset_arn: str, source_ref: str, mark: str, line: str) -> Saved:
    """Put back a line as it was before an edit.

    Args:
        line: of the same source-ref.

    Raises:
        as `save`.
    """
    if parse_line(line).source_ref != source_ref:
        raise InvalidParameter("The line is another image's.")
    return _replace(context, dataset_arn, source_ref, mark, lambda _: line)


def _replace(context: Context, dataset_arn: str, source_ref: str, mark: str, change: Callable[[str], str]) -> Saved:
    with reading(context, dataset_arn, lambda _: None) as (_, db):
        before = entries.line_of(db, source_ref)
    if before is None:
        raise ChangedMeanwhileError(None)
    after, now = change(before), as_saved(before)
    if now.mark != mark:
        if labelling_of(after) == labelling_of(before):
            # An answer that was lost on its way, most likely.
            return now._replace(by_others=not _is_same(after, before))
        raise ChangedMeanwhileError(now)
    if after != before:

        def check(db: sqlite3.Connection) -> None:
            line = entries.line_of(db, source_ref)
            if line != before:
                raise ChangedMeanwhileError(None if line is None else as_saved(line))

        state = update(context, dataset_arn, after.encode(), check)
        if state.status == DatasetStatus.UPDATE_FAILED:
            raise InvalidParameter(state.message)
    return as_saved(after)


def _is_same(line: str, other: str) -> bool:
    """Whether lines say the same, whenever they say it."""
    return bool(_undated(line) == _undated(other))


def _undated(line: str) -> Any:
    document = load(line)
    if document is None:
        return line
    return {
        name: {key: inner for key, inner in value.items() if key != "creation-date"}
        if name.endswith(METADATA_SUFFIX) and isinstance(value, dict)
        else value
        for name, value in document.items()
    }
