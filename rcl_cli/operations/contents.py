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
from rcl_cli.errors import ConfigError, RclError, ResourceInUse
from rcl_cli.operations.resources import find_dataset
from rcl_cli.store import datasets, entries
from rcl_cli.store.datasets import Dataset
from rcl_cli.store.entries import State
from rcl_cli.store.entry_files import EntriesBusyError, EntriesGoneError

# Whoever only looks does not wait long for another writer.
_PATIENCE_S = 1.0

Check = Callable[[Dataset], None]


def settle_datasets(context: Context) -> None:
    """Bring rows in line with their files where a change began that did not say how it ended."""
    with context.database.read() as db:
        behind = datasets.behind(db)
    for dataset in behind:
        try:
            with context.entry_files.writing(dataset.file, 0) as own:
                state = entries.state(own)
                if not _told(context, dataset, state):
                    # Others are no likelier to be told.
                    return
        except (EntriesBusyError, EntriesGoneError, RclError, sqlite3.Error, OSError):
            # Somebody is at work on it, or it is damaged: the row stays as it was before.
            continue


def _told(context: Context, dataset: Dataset, state: State) -> bool:
    """Let a row say what the file does, which nobody is changing; false where the store is taken or full."""
    try:
        with context.database.write(_PATIENCE_S) as db:
            datasets.settle(db, dataset, state)
    except sqlite3.OperationalError:
        return False
    return True


def described(context: Context, dataset_arn: str) -> Dataset:
    """A dataset as its file has it; as its row has it where the file can't be read.

    Raises:
        ResourceNotFound: there is none.
    """
    settle_datasets(context)
    try:
        with reading(context, dataset_arn, lambda _: None) as (dataset, _):
            return dataset
    except (RclError, sqlite3.Error, OSError):
        with context.database.read() as db:
            return find_dataset(db, dataset_arn)


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
    with ExitStack() as stack:
        while True:
            dataset, own = _opened(
                context, dataset_arn, check, lambda found: stack.enter_context(context.entry_files.writing(found.file))
            )
            with context.database.write() as db:
                is_its_file = datasets.expect(db, dataset, dataset.state.revision + 1)
            if is_its_file:
                break
            # It has got another file while we waited for this one.
            stack.close()
        yield dataset, own
        state = entries.state(own)
        own.execute("COMMIT")
        # Who can't be told now is told by whoever looks next.
        with suppress(sqlite3.OperationalError), context.database.write() as db:
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
        try:
            own = open_file(dataset)
        except EntriesGoneError:
            continue
        except EntriesBusyError as error:
            raise ResourceInUse(f"The dataset {dataset_arn} is in use: another process is changing it.") from error
        now = dataset._replace(state=entries.state(own))
        check(now)
        return now, own


def discard_orphans(context: Context) -> None:
    """Remove the entries of datasets that are gone: of the one that was deleted, and what work that died left.

    Where that can't be done now, whoever makes or deletes the next dataset does it.
    """
    with suppress(sqlite3.Error, OSError):
        with context.database.write(_PATIENCE_S) as db:
            context.entry_files.put_aside_all_but(datasets.files(db))
        context.entry_files.sweep()
