"""Which labels the entries of a dataset have, where, and how the keys of these uses are made.

A use's key holds several things in one number, `label << 33 | position << 1 | on a box`, so that what is read together
lies together and in order.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain

_POSITION_BITS = 32
POSITION_MASK = 2**_POSITION_BITS - 1
LABEL_SHIFT = _POSITION_BITS + 1
# Of a statement.
MOST_VALUES = 600
# (label, is on a box) of what an entry names.
Named = AbstractSet[tuple[str, bool]]


def uses(label_id: int, first: int = 0) -> tuple[int, int]:
    """The keys of a label's uses, from a position on, lie from the one to before the other."""
    return label_id << LABEL_SHIFT | first << 1, (label_id + 1) << LABEL_SHIFT


def marks(count: int) -> str:
    return ", ".join("?" * count)


def insert_rows(db: sqlite3.Connection, into: str, rows: Sequence[Sequence[object]], otherwise: str = "") -> None:
    """Insert many rows a statement, which takes two thirds of the time of a statement a row."""
    if not rows:
        return
    row_marks = f"({marks(len(rows[0]))})"
    most = MOST_VALUES // len(rows[0])
    for start in range(0, len(rows), most):
        part = rows[start : start + most]
        every = ", ".join([row_marks] * len(part))
        db.execute(f"INSERT INTO {into} VALUES {every} {otherwise}", list(chain.from_iterable(part)))


class Labels:
    """The labels of a dataset.

    Args:
        ids: by name.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        rows = db.execute("SELECT name, id FROM labels ORDER BY name")
        self.ids: dict[str, int] = {row[0]: row[1] for row in rows}

    def id_of(self, name: str) -> int:
        """The id of a label, which is there from now on."""
        if name not in self.ids:
            self.ids[name] = int(self._db.execute("INSERT INTO labels (name) VALUES (?)", (name,)).lastrowid or 0)
        return self.ids[name]

    def _keys(self, entries: Iterable[tuple[int, Named]]) -> list[tuple[int]]:
        known = self.ids
        return [
            ((known[name] if name in known else self.id_of(name)) << LABEL_SHIFT | position << 1 | boxed,)
            for position, named in entries
            for name, boxed in named
        ]

    def use(self, entries: Iterable[tuple[int, Named]]) -> None:
        """Remember the labels of entries, by their positions."""
        insert_rows(self._db, "entry_labels", self._keys(entries))

    def unuse(self, entries: Iterable[tuple[int, Named]]) -> None:
        """Forget the labels of entries, by their positions."""
        keys = [key for (key,) in self._keys(entries)]
        for start in range(0, len(keys), MOST_VALUES):
            part = keys[start : start + MOST_VALUES]
            self._db.execute(f"DELETE FROM entry_labels WHERE id IN ({marks(len(part))})", part)

    def forget_unused(self) -> None:
        """Remove labels that no entry has."""
        for name, label_id in list(self.ids.items()):
            query = "SELECT 1 FROM entry_labels WHERE id >= ? AND id < ? LIMIT 1"
            if not self._db.execute(query, uses(label_id)).fetchone():
                self._db.execute("DELETE FROM labels WHERE id = ?", (label_id,))
                del self.ids[name]
