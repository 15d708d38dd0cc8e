"""Whether the store is whole, and whether files and processes are as it says; part of `rcl doctor`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from rcl_cli.backends.registry import read_thresholds
from rcl_cli.backends.whole import faults
from rcl_cli.compute.launcher import launcher
from rcl_cli.compute.places import host_of, making_of
from rcl_cli.errors import ConfigError
from rcl_cli.local.home.check import Check
from rcl_cli.operations.settle import is_stuck
from rcl_cli.status import HOSTED, MAKING, TRAINED, WORKED_ON
from rcl_cli.store.entry_files import EntryFiles
from rcl_cli.store.layout import Layout
from rcl_cli.store.migrations import MIGRATIONS
from rcl_cli.store.trouble import is_damage, is_full, meaning

_DATASETS = "SELECT d.file, p.name || '/' || lower(d.type) FROM datasets d JOIN projects p ON p.id = d.project_id"
_QUERY = "SELECT v.id, p.name || '/' || v.name, v.status FROM versions v JOIN projects p ON p.id = v.project_id"


def store_checks(layout: Layout, *, hashed: bool) -> Iterator[Check]:
    """The database, and whether files and processes are as it says.

    Args:
        hashed: read models' files whole, and not only their sizes.
    """
    path = layout.database
    if not path.exists() or not path.stat().st_size:
        yield Check("store", "ok", "empty")
        return
    # Before the rows are read: what is made or replaced meanwhile is nobody's leftover.
    folders = sorted(layout.datasets.glob("[!.]*"))
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as db:
            problem = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if problem != "ok":
                yield _damaged(path, problem)
                return
            schema = db.execute("PRAGMA user_version").fetchone()[0]
            if schema > len(MIGRATIONS):
                yield Check("store", "fault", f"{path} was written by a newer rcl", "Upgrade rcl.")
                return
            rows = db.execute(_QUERY).fetchall()
            yield Check("store", "ok", f"{path}: {len(rows)} version(s)")
            for version_id, name, status in rows:
                yield from _version(layout, db, version_id, name, status, hashed)
            # An older store gets files of entries with the first command that uses it.
            if schema == len(MIGRATIONS):
                yield from _datasets(layout, db, folders)
    except sqlite3.DatabaseError as error:
        yield _damaged(path, str(error)) if is_damage(error) else _unread(layout, error)
        return
    yield from _leftovers(layout, {version_id: status for version_id, _, status in rows})


def _datasets(layout: Layout, db: sqlite3.Connection, folders: Sequence[Path]) -> Iterator[Check]:
    """The files of datasets' entries.

    Args:
        folders: those that were there before.
    """
    for file, name in db.execute(_DATASETS).fetchall():
        path = EntryFiles(layout.datasets).path(file)
        problem = _problem(path)
        # Somebody may have given the dataset another file meanwhile, or deleted it.
        if problem and db.execute("SELECT 1 FROM datasets WHERE file = ?", (file,)).fetchone():
            fix = f"Put it back from a backup, or delete the dataset: rcl delete-dataset --dataset-arn {name}"
            yield Check(name, "fault", f"{path} {problem}", fix)
    named = {row[0] for row in db.execute("SELECT file FROM datasets")}
    for folder in folders:
        if folder.name not in named and folder.exists():
            fix = "Nothing: the next dataset that is made or deleted takes it along"
            yield Check("leftovers", "warning", f"{folder} belongs to nothing any more", fix)


def _problem(path: Path) -> str:
    """What is wrong with a file of entries; empty for nothing."""
    if not path.is_file():
        return "is not there"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as db:
            found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found == "ok" and not db.execute("SELECT COUNT(*) FROM state").fetchone()[0]:
                found = "it does not say what is in it"
    except sqlite3.DatabaseError as error:
        found = str(error)
    return "" if found == "ok" else f"is damaged: {found}"


def _unread(layout: Layout, error: sqlite3.DatabaseError) -> Check:
    if is_full(error, layout.home):
        fix = "Make room on it: rcl delete-project-version and rcl delete-dataset work on a full disk too."
        return Check("store", "fault", f"the disk of {layout.home} is full, so it can't be looked at", fix)
    return Check("store", "fault", meaning(error, layout.home), f"Look at who may read and write {layout.home}.")


def _damaged(path: Path, problem: str) -> Check:
    return Check(
        "store", "fault", f"{path} is damaged: {problem}",
        f"Put a backup in its place, or move it away and save what can be: sqlite3 {path} .recover",
    )  # fmt: skip


def _version(
    layout: Layout, db: sqlite3.Connection, version_id: int, name: str, status: str, hashed: bool
) -> Iterator[Check]:
    if status in WORKED_ON:
        work = (host_of if status in HOSTED else making_of)(layout, version_id)
        if not launcher().is_at_work(work) and work.outcome() is None:
            what = "trainer" if status.startswith(("TRAINING", "COPYING")) else "host"
            fix = f"rcl versions {name.split('/')[0]} goes on with it or gives it up"
            again = "; then train again." if what == "trainer" else "; then start it again."
            yield Check(name, "fault", f"its status is {status}, but its {what} is gone", fix + again)
        elif status in HOSTED and is_stuck(work, status):
            fix = f"rcl versions {name.split('/')[0]} ends it; then start it again."
            yield Check(name, "fault", f"its status is {status}, and its host does nothing any more", fix)
    if status in TRAINED:
        folder = layout.model(version_id)
        try:
            damage = faults(folder, hashed=hashed)
            read_thresholds(folder)
        except ConfigError as error:
            yield Check(
                name, "fault", str(error), "Train it again, copy it from another project, or delete the version."
            )
            return
        for said in damage:
            yield Check(name, "fault", said, "Put the file back from a backup, or train the model again.")


def _leftovers(layout: Layout, statuses: Mapping[int, str]) -> Iterator[Check]:
    """Models that no version has, and job folders of trainings that nobody works on any more."""
    for folder, needed in (("models", TRAINED), ("jobs", MAKING)):
        place = layout.home / folder
        for path in sorted(place.iterdir()) if place.is_dir() else []:
            if path.is_dir() and path.name.isdigit() and statuses.get(int(path.name)) not in (*needed, *MAKING):
                yield Check("leftovers", "warning", f"{path} belongs to nothing any more", f"rm -r {path}")
