"""The queue in the store: what waits, in which order, and what takes the place of what."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from rcl_cli.store import feedback
from rcl_cli.store.feedback import Item, Known, Tally
from tests.conftest import Home

VERSION = "arn:aws:rekognition:us-east-1:123456789012:project/p/version/v{}/{}"


def item(ref: str, unsureness: float = 0.5, version: int = 1, **more: Any) -> Item:
    answers = ({"Name": "ünï", "Confidence": 90.0}, {"Name": "b", "Confidence": 1.0})
    made = Item(
        ref, "./new", VERSION.format(version, version), version, answers, (0,), unsureness, "WAITING", 5, 5, None
    )
    return made._replace(**more)


@pytest.fixture
def db(home: Home) -> sqlite3.Connection:
    home.project("p")
    home.project("q")
    return home.context.database.connection


def refs(db: sqlite3.Connection, state: str = "WAITING", offset: int = 0, limit: int = 9) -> list[str]:
    return [one.source_ref for one in feedback.page(db, 1, state, offset, limit)]


def test_the_least_sure_come_first_of_equals_the_first(db: sqlite3.Connection) -> None:
    items = [item("a", 0.1), item("b", 0.9), item("c", 0.5), item("d", 0.9)]
    assert feedback.put(db, 1, items) == (4, 0)
    assert refs(db) == ["b", "d", "c", "a"]
    assert refs(db, offset=1, limit=2) == ["d", "c"]
    assert feedback.page(db, 2, "WAITING", 0, 9) == []
    found = feedback.by_source_ref(db, 1, "b")
    assert found == items[1]
    assert found is not None
    assert found.claims == [items[1].answers[0]]


def test_newer_answers_take_the_place_of_those_nobody_judged(db: sqlite3.Connection) -> None:
    feedback.put(db, 1, [item("a"), item("b"), item("c", version=3)])
    assert feedback.settle(db, 1, item("b"), ("WAITING",), "RIGHT", 7)
    again = [item(ref, 0.9, version=2, answered_ms=9, origin="elsewhere", added_ms=9) for ref in "abcd"]
    assert feedback.put(db, 1, again) == (1, 1)
    # Where it came from first stays.
    assert feedback.by_source_ref(db, 1, "a") == again[0]._replace(origin="./new", added_ms=5)
    assert feedback.by_source_ref(db, 1, "b") == item("b", state="RIGHT", verified_ms=7)
    assert feedback.by_source_ref(db, 1, "c") == item("c", version=3)
    assert feedback.put(db, 1, again) == (0, 0)
    assert feedback.about(db, 1, ["a", "b", "x"]) == {"a": Known("WAITING", 2), "b": Known("RIGHT", 1)}
    assert feedback.tallies(db, 1) == [
        Tally(VERSION.format(3, 3), "WAITING", 1), Tally(VERSION.format(2, 2), "WAITING", 2),
        Tally(VERSION.format(1, 1), "RIGHT", 1),
    ]  # fmt: skip


def test_a_verdict_is_set_where_nobody_set_another(db: sqlite3.Connection) -> None:
    feedback.put(db, 1, [item("a")])
    assert feedback.settle(db, 1, item("a"), ("WAITING", "WRONG"), "WRONG", 6)
    assert not feedback.settle(db, 1, item("a"), ("WAITING",), "RIGHT", 7)
    assert feedback.settle(db, 1, item("a"), ("WAITING", "WRONG"), "CORRECTED", 8)
    assert (refs(db), refs(db, "CORRECTED")) == ([], ["a"])
    assert not feedback.settle(db, 2, item("a"), ("CORRECTED",), "RIGHT", 9)
    # Nor where another version has answered since somebody looked.
    assert not feedback.settle(db, 1, item("a", version=2), ("CORRECTED",), "RIGHT", 9)
    assert feedback.by_source_ref(db, 1, "a") == item("a", state="CORRECTED", verified_ms=8)


def test_a_queue_goes_with_its_project(home: Home, db: sqlite3.Connection) -> None:
    with home.context.database.write() as writing:
        feedback.put(writing, 1, [item("a")])
        feedback.put(writing, 2, [item("a")])
    arn = db.execute("SELECT arn FROM projects WHERE id = 1").fetchone()[0]
    home.call("DeleteProject", ProjectArn=arn)
    assert db.execute("SELECT project_id FROM feedback").fetchall()[0][0] == 2
    assert db.execute("SELECT COUNT(*) FROM feedback").fetchone()[0] == 1
    with pytest.raises(sqlite3.IntegrityError):
        feedback.put(db, 1, [item("a")])
