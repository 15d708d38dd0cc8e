"""The schema, as the ordered list of changes that lead to it. Append; never edit one that was released."""

from __future__ import annotations

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

# Keys that hold more than one thing are explained in store/entries.py.
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

MIGRATIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("initial", _INITIAL),
    ("policies", _POLICIES),
    ("entries in order", _ENTRIES_IN_ORDER),
    ("work in folders", _WORK_IN_FOLDERS),
)
