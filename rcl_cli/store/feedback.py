"""Images of a project that a model answered about, and what people say of the answers."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from rcl_cli.status import FeedbackState


class Item(NamedTuple):
    """An image in the queue of a project.

    Args:
        origin: the folder, prefix or file that it was given in.
        version_ms: when the version was made that answered.
        answers: CustomLabels, best first, of the API.
        claimed: which of them reached their thresholds when the model was asked.
        unsureness: 0..1.
        state: of `FeedbackState`.
        answered_ms, verified_ms: when the last answers came, and the verdict; None without one.
    """

    source_ref: str
    origin: str
    version_arn: str
    version_ms: int
    answers: tuple[dict[str, Any], ...]
    claimed: tuple[int, ...]
    unsureness: float
    state: str
    added_ms: int
    answered_ms: int
    verified_ms: int | None

    @property
    def claims(self) -> list[dict[str, Any]]:
        """The answers that reached their thresholds."""
        return [self.answers[index] for index in self.claimed]


class Known(NamedTuple):
    """What decides whether an image has to be asked about again."""

    state: str
    version_ms: int


class Tally(NamedTuple):
    """How many images are in a state with the answers of a version."""

    version_arn: str
    state: str
    images: int


_COLUMNS = ", ".join(Item._fields)
_MOST_VALUES = 500


def _item(row: sqlite3.Row) -> Item:
    values = dict(zip(Item._fields, row, strict=True))
    return Item(**{**values, "answers": tuple(json.loads(row[4])), "claimed": tuple(json.loads(row[5]))})


def put(db: sqlite3.Connection, project_id: int, items: Iterable[Item]) -> tuple[int, int]:
    """Let images wait; answers of a newer version take the place of older ones about which nobody judged yet.

    Returns:
        How many are new, and how many have newer answers. Others are as they were.
    """
    new = replaced = 0
    for one in items:
        known = about(db, project_id, [one.source_ref]).get(one.source_ref)
        values = (*one[:4], *(json.dumps(part, ensure_ascii=False) for part in one[4:6]), *one[6:])
        if known is None:
            marks = ", ".join("?" * len(values))
            db.execute(f"INSERT INTO feedback (project_id, {_COLUMNS}) VALUES (?, {marks})", (project_id, *values))
            new += 1
        elif known.state == FeedbackState.WAITING and known.version_ms < one.version_ms:
            db.execute(
                "UPDATE feedback SET version_arn = ?, version_ms = ?, answers = ?, claimed = ?, unsureness = ?, "
                "answered_ms = ? WHERE project_id = ? AND source_ref = ?",
                (*values[2:7], one.answered_ms, project_id, one.source_ref),
            )
            replaced += 1
    return new, replaced


def about(db: sqlite3.Connection, project_id: int, source_refs: Sequence[str]) -> dict[str, Known]:
    """What is known of images, by source-ref; of those that are in the queue."""
    found: dict[str, Known] = {}
    for start in range(0, len(source_refs), _MOST_VALUES):
        part = source_refs[start : start + _MOST_VALUES]
        marks = ", ".join("?" * len(part))
        query = f"SELECT source_ref, state, version_ms FROM feedback WHERE project_id = ? AND source_ref IN ({marks})"
        found |= {row[0]: Known(row[1], row[2]) for row in db.execute(query, (project_id, *part))}
    return found


def by_source_ref(db: sqlite3.Connection, project_id: int, source_ref: str) -> Item | None:
    query = f"SELECT {_COLUMNS} FROM feedback WHERE project_id = ? AND source_ref = ?"
    row = db.execute(query, (project_id, source_ref)).fetchone()
    return _item(row) if row else None


def page(db: sqlite3.Connection, project_id: int, state: str, offset: int, limit: int) -> list[Item]:
    """Least sure first; of equally sure ones the first that came."""
    query = (
        f"SELECT {_COLUMNS} FROM feedback WHERE project_id = ? AND state = ? "
        "ORDER BY unsureness DESC, id LIMIT ? OFFSET ?"
    )
    return [_item(row) for row in db.execute(query, (project_id, state, limit, offset))]


def settle(
    db: sqlite3.Connection, project_id: int, item: Item, allowed: Sequence[str], state: str, now_ms: int
) -> bool:
    """Compare-and-set of the state; false where it was none of `allowed`, or another version has answered."""
    marks = ", ".join("?" * len(allowed))
    cursor = db.execute(
        "UPDATE feedback SET state = ?, verified_ms = ? "
        f"WHERE project_id = ? AND source_ref = ? AND version_arn = ? AND state IN ({marks})",
        (state, now_ms, project_id, item.source_ref, item.version_arn, *allowed),
    )
    return cursor.rowcount == 1


def tallies(db: sqlite3.Connection, project_id: int) -> list[Tally]:
    """Of all versions that answered, the newest first."""
    query = (
        "SELECT version_arn, state, COUNT(*) FROM feedback WHERE project_id = ? "
        "GROUP BY version_arn, state ORDER BY MAX(version_ms) DESC, version_arn, state"
    )
    return [Tally(*row) for row in db.execute(query, (project_id,))]
