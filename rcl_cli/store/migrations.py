"""The schema, as the ordered list of changes that lead to it. Append; never edit one that was released."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from rcl_cli.store.connections import Migration
from rcl_cli.store.entry_files import EntryFiles

_INITIAL = (
    """CREATE TABLE projects (
        id INTEGER PRIMARY KEY,
        arn TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL UNIQUE,
        feature TEXT NOT NULL,
        status TEXT NOT NULL,
        created_ms INTEGER NOT NULL
    )""",
    """CREATE TABLE datasets (
        id INTEGER PRIMARY KEY,
        arn TEXT NOT NULL UNIQUE,
        project_id INTEGER NOT NULL REFERENCES projects (id),
        type TEXT NOT NULL CHECK (type IN ('TRAIN', 'TEST')),
        status TEXT NOT NULL,
        message TEXT NOT NULL,
        message_code TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        updated_ms INTEGER NOT NULL,
        total_entries INTEGER NOT NULL DEFAULT 0,
        labeled_entries INTEGER NOT NULL DEFAULT 0,
        error_entries INTEGER NOT NULL DEFAULT 0,
        total_labels INTEGER NOT NULL DEFAULT 0,
        UNIQUE (project_id, type)
    )""",
    # `line` is the entry as ListDatasetEntries gives it back.
    """CREATE TABLE entries (
        id INTEGER PRIMARY KEY,
        dataset_id INTEGER NOT NULL REFERENCES datasets (id),
        position INTEGER NOT NULL,
        source_ref TEXT NOT NULL,
        is_labeled INTEGER NOT NULL,
        has_errors INTEGER NOT NULL,
        line TEXT NOT NULL,
        UNIQUE (dataset_id, source_ref),
        UNIQUE (dataset_id, position)
    )""",
    "CREATE INDEX entries_labeled ON entries (dataset_id, is_labeled, position)",
    "CREATE INDEX entries_errors ON entries (dataset_id, has_errors, position)",
    """CREATE TABLE entry_labels (
        dataset_id INTEGER NOT NULL,
        label TEXT NOT NULL,
        position INTEGER NOT NULL,
        boxed INTEGER NOT NULL,
        PRIMARY KEY (dataset_id, label, position, boxed)
    ) WITHOUT ROWID""",
    "CREATE INDEX entry_labels_position ON entry_labels (dataset_id, position)",
    # `request` is CreateProjectVersion's input, `result` what training found; both JSON.
    """CREATE TABLE versions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        arn TEXT NOT NULL UNIQUE,
        project_id INTEGER NOT NULL REFERENCES projects (id),
        name TEXT NOT NULL,
        status TEXT NOT NULL,
        message TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        ended_ms INTEGER,
        request TEXT NOT NULL,
        result TEXT NOT NULL DEFAULT '{}',
        progress TEXT,
        min_units INTEGER,
        max_units INTEGER,
        UNIQUE (project_id, name)
    )""",
    # The process that works on a version: its trainer or its host.
    """CREATE TABLE processes (
        version_id INTEGER PRIMARY KEY REFERENCES versions (id) ON DELETE CASCADE,
        nonce TEXT NOT NULL,
        pid INTEGER NOT NULL,
        started TEXT NOT NULL,
        address TEXT
    )""",
    """CREATE TABLE tags (
        arn TEXT NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (arn, key)
    ) WITHOUT ROWID""",
)

_POLICIES = (
    """CREATE TABLE policies (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        revision_id TEXT NOT NULL,
        document TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        updated_ms INTEGER NOT NULL,
        UNIQUE (project_id, name)
    )""",
)

# Keys held more than one thing: an entry's `dataset << 32 | position`, a label's use as in store/entries.py.
_ENTRIES_IN_ORDER = (
    """CREATE TABLE ordered (
        id INTEGER PRIMARY KEY,
        dataset_id INTEGER NOT NULL,
        source_ref TEXT NOT NULL,
        is_labeled INTEGER NOT NULL,
        has_errors INTEGER NOT NULL,
        line TEXT NOT NULL,
        UNIQUE (dataset_id, source_ref)
    )""",
    """INSERT INTO ordered SELECT (dataset_id << 32) | position, dataset_id, source_ref, is_labeled, has_errors, line
    FROM entries ORDER BY 1""",
    "DROP TABLE entries",
    "ALTER TABLE ordered RENAME TO entries",
    "CREATE INDEX entries_labeled ON entries (dataset_id, is_labeled)",
    "CREATE INDEX entries_errors ON entries (dataset_id) WHERE has_errors = 1",
    """CREATE TABLE labels (
        id INTEGER PRIMARY KEY,
        dataset_id INTEGER NOT NULL,
        name TEXT NOT NULL,
        UNIQUE (dataset_id, name)
    )""",
    "INSERT INTO labels (dataset_id, name) SELECT DISTINCT dataset_id, label FROM entry_labels",
    "CREATE TABLE uses (id INTEGER PRIMARY KEY)",
    """INSERT INTO uses SELECT (labels.id << 33) | (position << 1) | boxed FROM entry_labels
    JOIN labels ON labels.dataset_id = entry_labels.dataset_id AND labels.name = entry_labels.label ORDER BY 1""",
    "DROP TABLE entry_labels",
    "ALTER TABLE uses RENAME TO entry_labels",
)

# Who works on a version, and where it stands, is in its folder (compute/folder.py).
_WORK_IN_FOLDERS = ("DROP TABLE processes", "UPDATE versions SET progress = NULL")


def _entries_to_files(db: sqlite3.Connection, home: Path) -> None:
    """Give each dataset a file of its own for its entries."""
    files = EntryFiles(home / "datasets")
    # No row names a file yet: what is there is of a try that died.
    files.put_aside_all_but(())
    files.sweep()
    try:
        for (dataset_id,) in db.execute("SELECT id FROM datasets").fetchall():
            with files.draft(os.urandom(16).hex()) as made:
                _copy_entries(db, dataset_id, made.db)
                made.finish()
                db.execute("UPDATE datasets SET file = ? WHERE id = ?", (made.keep(), dataset_id))
    except BaseException:
        files.put_aside_all_but(())
        files.sweep()
        raise


def _copy_entries(db: sqlite3.Connection, dataset_id: int, target: sqlite3.Connection) -> None:
    entries = """SELECT id & 4294967295, source_ref, is_labeled, has_errors, line FROM entries
        WHERE id > ?1 << 32 AND id < (?1 + 1) << 32 ORDER BY id"""
    target.executemany(
        "INSERT INTO entries (id, source_ref, is_labeled, has_errors, line) VALUES (?, ?, ?, ?, ?)",
        _tuples(db, entries, dataset_id),
    )
    target.executemany(
        "INSERT INTO labels VALUES (?, ?)", _tuples(db, "SELECT id, name FROM labels WHERE dataset_id = ?", dataset_id)
    )
    uses = """SELECT entry_labels.id FROM labels JOIN entry_labels ON entry_labels.id >= labels.id << 33
        AND entry_labels.id < (labels.id + 1) << 33 WHERE labels.dataset_id = ?"""
    target.executemany("INSERT INTO entry_labels VALUES (?)", _tuples(db, uses, dataset_id))
    state = """SELECT 1, 0, status, message, message_code, updated_ms, total_entries, labeled_entries, error_entries,
        total_labels FROM datasets WHERE id = ?"""
    target.executemany("INSERT INTO state VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", _tuples(db, state, dataset_id))


def _tuples(db: sqlite3.Connection, query: str, dataset_id: int) -> Iterator[tuple[object, ...]]:
    return map(tuple, db.execute(query, (dataset_id,)))


_ENTRIES_IN_FILES = (
    "ALTER TABLE datasets ADD COLUMN file TEXT NOT NULL DEFAULT ''",
    # The change of the file that the row tells of, and the one that may be there.
    "ALTER TABLE datasets ADD COLUMN revision INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE datasets ADD COLUMN expected INTEGER NOT NULL DEFAULT 0",
    _entries_to_files,
    "CREATE INDEX datasets_behind ON datasets (id) WHERE revision < expected",
    "DROP TABLE entries",
    "DROP TABLE entry_labels",
    "DROP TABLE labels",
)

# Images that a model answered about and people are to judge; what is judged right or mended is in a dataset besides.
_FEEDBACK = (
    """CREATE TABLE feedback (
        id INTEGER PRIMARY KEY,
        project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
        source_ref TEXT NOT NULL,
        origin TEXT NOT NULL,
        version_arn TEXT NOT NULL,
        version_ms INTEGER NOT NULL,
        answers TEXT NOT NULL,
        claimed TEXT NOT NULL,
        unsureness REAL NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('WAITING', 'RIGHT', 'WRONG', 'CORRECTED')),
        added_ms INTEGER NOT NULL,
        answered_ms INTEGER NOT NULL,
        verified_ms INTEGER,
        UNIQUE (project_id, source_ref)
    )""",
    "CREATE INDEX feedback_least_sure ON feedback (project_id, state, unsureness DESC, id)",
)

MIGRATIONS: tuple[Migration, ...] = (
    ("initial", _INITIAL),
    ("policies", _POLICIES),
    ("entries in order", _ENTRIES_IN_ORDER),
    ("work in folders", _WORK_IN_FOLDERS),
    ("entries in files", _ENTRIES_IN_FILES),
    ("feedback", _FEEDBACK),
)
