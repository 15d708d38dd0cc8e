"""Entries of datasets against a plain list: pages under every filter, counts after changes, and older stores."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcl_cli.manifest.line import Line, parse_line
from rcl_cli.store import datasets, entries, entry_changes
from rcl_cli.store.database import Database
from rcl_cli.store.entries import Counts, EntryFilter
from rcl_cli.store.entry_files import Draft, EntryFiles
from rcl_cli.store.migrations import MIGRATIONS
from tests.conftest import box_line, image_line

LABELS = ("cat", "dog", "eel", "fox")


def some_line(number: int, kind: str, label: str) -> str:
    """A line of a sort: with a label, with boxes, without either, or with something wrong."""
    name = f"{number}.jpg"
    if kind == "boxes":
        other = LABELS[(LABELS.index(label) + 1) % len(LABELS)]
        boxes = ((label, 1, 2, 30, 40), (other, 50, 60, 30, 40), (label, 5, 5, 20, 20))
        return json.dumps(box_line("data", name, (640, 480), *boxes))
    if kind == "bare":
        return json.dumps({"source-ref": f"s3://data/{name}"})
    line = image_line("data", name, label)
    if kind == "wrong":
        next(v for k, v in line.items() if k.endswith("-metadata"))["confidence"] = 7
    return json.dumps(line)


@contextmanager
def new_files(folder: Path, count: int = 1) -> Iterator[list[Draft]]:
    """New files without entries."""
    with ExitStack() as stack:
        yield [stack.enter_context(EntryFiles(folder).draft(str(number))) for number in range(count)]


def all_pages(db: sqlite3.Connection, conditions: EntryFilter, limit: int) -> list[str]:
    found: list[entries.Entry] = []
    while page := entries.page(db, conditions, found[-1].position if found else 0, limit):
        assert len(page) <= limit
        found += page
    return [one.line for one in found]


def fits(line: Line, conditions: EntryFilter) -> bool:
    names = {name for name, _ in line.named}
    return (
        (not conditions.labels or bool(names & set(conditions.labels)))
        and (conditions.is_labeled is None or line.is_labeled == conditions.is_labeled)
        and (not conditions.has_errors or line.has_listed_errors)
        and (conditions.source_ref_contains is None or conditions.source_ref_contains in line.source_ref)
    )


def check(db: sqlite3.Connection, expected: list[str]) -> None:
    """A dataset holds these lines, and everything derived from them is right."""
    lines = [parse_line(text) for text in expected]
    assert list(entries.all_lines(db)) == expected
    counts = Counts(len(lines), sum(one.is_labeled for one in lines), sum(one.has_listed_errors for one in lines))
    assert entries.count(db) == counts
    uses = {name: [one for one in lines if name in {n for n, _ in one.named}] for name in LABELS}
    boxed = {name: sum((name, True) in one.named for one in lines) for name in LABELS}
    page = [(name, len(found), boxed[name]) for name, found in sorted(uses.items()) if found]
    assert entries.labels_page(db, "", 100) == page
    assert entries.label_count(db) == len(page)


KINDS = st.sampled_from(["image", "boxes", "bare", "wrong"])
ROWS = st.lists(st.tuples(KINDS, st.sampled_from(LABELS)), max_size=40)
FILTERS = st.builds(
    EntryFilter,
    st.lists(st.sampled_from([*LABELS, "gnu"]), max_size=3).map(tuple),
    st.sampled_from([None, True, False]),
    st.booleans(),
    st.sampled_from([None, "1", "9.jpg", "%", ""]),
)


@settings(max_examples=150, deadline=None)
@given(rows=ROWS, conditions=FILTERS, limit=st.integers(1, 9))
def test_pages_are_those_of_a_plain_list(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], conditions: EntryFilter, limit: int
) -> None:
    texts = [some_line(number, *row) for number, row in enumerate(rows)]
    with new_files(tmp_path_factory.mktemp("entries")) as (file,):
        entry_changes.put(file.db, map(parse_line, texts))
        assert all_pages(file.db, conditions, limit) == [text for text in texts if fits(parse_line(text), conditions)]


@settings(max_examples=100, deadline=None)
@given(first=ROWS, second=st.dictionaries(st.integers(0, 60), st.tuples(KINDS, st.sampled_from(LABELS)), max_size=30))
def test_changes_keep_order_counts_and_labels(
    tmp_path_factory: pytest.TempPathFactory, first: list[tuple[str, str]], second: dict[int, tuple[str, str]]
) -> None:
    texts = {number: some_line(number, *row) for number, row in enumerate(first)}
    changes = {number: some_line(number, *row) for number, row in second.items()}
    with new_files(tmp_path_factory.mktemp("entries"), 3) as (one, copied, other):
        before = entry_changes.put(one.db, map(parse_line, texts.values()))
        after = before.plus(entry_changes.put(one.db, map(parse_line, changes.values())))
        expected = list((texts | changes).values())
        check(one.db, expected)
        assert after == entries.count(one.db)
        one.db.execute("COMMIT")
        copied.replace_by(one.db)
        check(copied.db, expected)
        positions = list(entries.labels_by_position(copied.db))[::3]
        entry_changes.move(copied.db, other.db, positions)
        check(other.db, [text for number, text in enumerate(expected) if number % 3 == 0])
        check(copied.db, [text for number, text in enumerate(expected) if number % 3])
        copied.empty()
        check(copied.db, [])
        check(one.db, expected)


def old_store(path: Path, texts: list[str]) -> None:
    """A store as it was before entries were put in order."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("CREATE TABLE migrations (name TEXT PRIMARY KEY)")
    for name, statements in MIGRATIONS[:2]:
        for statement in statements:
            assert isinstance(statement, str)
            db.execute(statement)
        db.execute("INSERT INTO migrations VALUES (?)", (name,))
    db.execute("PRAGMA user_version = 2")
    db.execute("INSERT INTO projects VALUES (1, 'p', 'p', 'f', 's', 1)")
    db.execute(
        "INSERT INTO datasets (id, arn, project_id, type, status, message, message_code, created_ms, updated_ms, "
        "total_entries) VALUES (1, 'd', 1, 'TRAIN', '', '', '', 1, 1, 7)"
    )
    for position, text in enumerate(texts, 1):
        line: Any = parse_line(text)
        row = (position, line.source_ref, line.is_labeled, line.has_listed_errors, text)
        db.execute(
            "INSERT INTO entries (dataset_id, position, source_ref, is_labeled, has_errors, line) "
            "VALUES (1, ?, ?, ?, ?, ?)", row,
        )  # fmt: skip
        for label, boxed in line.named:
            db.execute("INSERT INTO entry_labels VALUES (1, ?, ?, ?)", (label, position, boxed))
    db.close()


def test_an_older_store_is_brought_up_to_date(tmp_path: Path) -> None:
    kinds = ["image", "boxes", "bare", "wrong"]
    texts = [some_line(number, kinds[number % 4], LABELS[number % 3]) for number in range(30)]
    old_store(tmp_path / "rcl.db", texts)
    database = Database(tmp_path / "rcl.db")
    dataset = datasets.by_arn(database.connection, "d")
    assert dataset is not None
    assert (dataset.state.total_entries, dataset.state.revision) == (7, 0)
    with EntryFiles(tmp_path / "datasets").reading(dataset.file) as db:
        check(db, texts)
        assert all_pages(db, EntryFilter(labels=("dog",), has_errors=True), 3)
        assert entries.state(db).total_entries == 7
    assert database.connection.execute("SELECT COUNT(*) FROM sqlite_master WHERE name = 'entries'").fetchone()[0] == 0
    database.close()


def test_a_migration_that_fails_leaves_the_old_store_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [some_line(number, "image", "cat") for number in range(30)]
    old_store(tmp_path / "rcl.db", texts)
    with monkeypatch.context() as patch:
        patch.setattr("rcl_cli.store.entry_files.Draft.keep", full)
        for _ in range(2):
            with pytest.raises(OSError, match="No space"):
                _ = Database(tmp_path / "rcl.db").connection
    assert list((tmp_path / "datasets").iterdir()) == []
    # What one that was killed had made goes with the next try.
    (tmp_path / "datasets" / "of-the-dead").mkdir()
    database = Database(tmp_path / "rcl.db")
    dataset = datasets.by_arn(database.connection, "d")
    assert dataset is not None
    assert [path.name for path in (tmp_path / "datasets").iterdir()] == [dataset.file]
    with EntryFiles(tmp_path / "datasets").reading(dataset.file) as db:
        check(db, texts)
    assert database.connection.execute("PRAGMA freelist_count").fetchone()[0] == 0
    database.close()


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_a_page_of_one_takes_no_more_statements_than_a_long_one(tmp_path: Path, limit: int) -> None:
    texts = [some_line(number, "image", "cat") for number in range(6000)]
    texts += [json.dumps(image_line("data", "rare.jpg", "cat"))]
    statements: list[str] = []
    with new_files(tmp_path) as (made,):
        entry_changes.put(made.db, map(parse_line, texts))
        made.db.set_trace_callback(statements.append)
        found = entries.page(made.db, EntryFilter(labels=("cat",), source_ref_contains="rare"), 0, limit)
    assert [one.line for one in found] == texts[-1:]
    assert len(statements) < 40
