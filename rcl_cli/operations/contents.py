"""What datasets hold: read and changed, whatever others do meanwhile.

A change is made in the dataset's own file, which alone is locked as long as that takes; the store only for the moments
in which the row is told that a change is coming, and what came of it. Whoever dies in between leaves a row that the
next one who looks brings in line with the file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from rcl_cli.context import Context
from rcl_cli.errors import ConfigError, ResourceInUse
from rcl_cli.operations.resources import find_dataset
from rcl_cli.store import datasets, entries
from rcl_cli.store.datasets import Dataset
from rcl_cli.store.entry_files import EntriesGoneError

# Whoever only looks does not wait long for another writer.
_PATIENCE_S = 1.0

Check = Callable[[Dataset], None]


def settle_datasets(context: Context) -> None:
    """Bring rows in line with their files where a change began that did not say how it ended."""
    with context.database.read() as db:
        behind = datasets.behind(db)
    for dataset in behind:
        # Somebody is at work on it, or the disk is full: the row stays as it was before.
        with (
            suppress(sqlite3.OperationalError, EntriesGoneError, OSError),
            context.entry_files.writing(dataset.file, 0) as own,
            context.database.write(_PATIENCE_S) as db,
        ):
            datasets.settle(db, dataset, entries.state(own))


@contextmanager
def reading(context: Context, dataset_arn: str, check: Check) -> Iterator[tuple[Dataset, sqlite3.Connection]]:
    """A dataset and its entries, at one moment.

    Args:
        check: raises where the dataset can't be read.

    Raises:
        ResourceNotFound: there is none.
    """
    with ExitStack() as stack:
        yield _opened(
            context, dataset_arn, check, lambda found: stack.enter_context(context.entry_files.reading(found.file))
        )


@contextmanager
def changing(context: Context, dataset_arn: str, check: Check) -> Iterator[tuple[Dataset, sqlite3.Connection]]:
    """A dataset and its entries, to be changed by nobody else meanwhile; what is changed counts as a whole.

    Args:
        check: raises where the dataset can't be changed.

    Raises:
        ResourceNotFound: there is none.
        ResourceInUse: somebody changes it for a long time.
    """

    def lock(found: Dataset) -> sqlite3.Connection:
        try:
            own = stack.enter_context(context.entry_files.writing(found.file))
        except sqlite3.OperationalError as error:
            raise ResourceInUse(f"The dataset {found.arn} is in use: another process is changing it.") from error
        with context.database.write() as db:
            if not datasets.expect(db, found, entries.state(own).revision + 1):
                # It has got another file while we waited for this one.
                raise EntriesGoneError
        return own

    with ExitStack() as stack:
        dataset, own = _opened(context, dataset_arn, check, lock)
        yield dataset, own
        state = entries.state(own)
        own.execute("COMMIT")
        # Who can't be told now is told by whoever looks next.
        with suppress(sqlite3.OperationalError), context.database.write(_PATIENCE_S) as db:
            datasets.catch_up(db, dataset, state)


def _opened(
    context: Context, dataset_arn: str, check: Check, open_file: Callable[[Dataset], sqlite3.Connection]
) -> tuple[Dataset, sqlite3.Connection]:
    """A dataset as its file has it; one that gets another file between two looks is looked at again."""
    before = None
    while True:
        with context.database.read() as db:
            dataset = find_dataset(db, dataset_arn)
        if dataset.file == before:
            raise ConfigError(
                f"The entries of the dataset {dataset_arn} are not there: {context.entry_files.path(dataset.file)}. "
                "Put them back from a backup, or delete the dataset."
            )
        before = dataset.file
        with suppress(EntriesGoneError):
            own = open_file(dataset)
            now = dataset._replace(**entries.state(own)._asdict())
            check(now)
            return now, own


def discard_orphans(context: Context) -> None:
    """Remove the entries of datasets that are gone: of the one that was deleted, and what work that died left."""
    with context.database.write() as db:
        context.entry_files.put_aside_all_but(datasets.files(db))
    context.entry_files.sweep()
