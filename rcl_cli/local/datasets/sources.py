"""Labelled images, wherever they are: in files of any format, or in datasets."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rcl_cli.buckets.base import NoSuchObjectError
from rcl_cli.buckets.fetch import ImageFetcher, ImageTooBigError
from rcl_cli.context import Context
from rcl_cli.errors import ResourceNotFound, UsageError
from rcl_cli.formats import manifests, registry
from rcl_cli.formats.files import MISSING, UNUSABLE
from rcl_cli.formats.record import TEST, TRAIN, Notes, Record
from rcl_cli.operations.contents import reading
from rcl_cli.store import datasets, entries, projects
from rcl_cli.store.datasets import Dataset

PARTS = (TRAIN, TEST)
Step = Callable[[int], None]


@dataclass(slots=True)
class Count:
    """What a part holds.

    Args:
        labels: images that have a label, by label.
        boxes: by label.
    """

    images: int = 0
    unlabelled: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    boxes: Counter[str] = field(default_factory=Counter)

    def add(self, record: Record) -> None:
        self.images += 1
        self.unlabelled += not (record.labels or record.boxes)
        self.labels.update({*record.labels, *(box.label for box in record.boxes)})
        self.boxes.update(box.label for box in record.boxes)


def created_now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())


def named_datasets(context: Context, name: str) -> dict[str, Dataset]:
    """Datasets by part: of a project by its name, `PROJECT/train` or `PROJECT/test`, or one by its ARN.

    Raises:
        ResourceNotFound: there is none.
    """
    with context.database.read() as db:
        if name.startswith("arn:"):
            found = datasets.by_arn(db, name)
            return {found.type.lower(): found} if found else _not_found(name)
        project_name, _, part = name.partition("/")
        project = projects.by_name(db, project_name)
        if project is None:
            return _not_found(name)
        every = {dataset.type.lower(): dataset for dataset in datasets.of_project(db, project.id)}
        chosen = {kind: dataset for kind, dataset in every.items() if part in ("", kind)}
    return chosen or _not_found(name)


def _not_found(name: str) -> dict[str, Dataset]:
    raise ResourceNotFound(f"{name} is no file or folder, and no project with a dataset of that name.")


def records_of(context: Context, source: str, form: str | None, images: Path | None, notes: Notes) -> Iterator[Record]:
    """The records of files in a format, or of datasets.

    Args:
        source: a path, or what `named_datasets` understands.
        form: the format's name; None to find out.

    Raises:
        FormatError: the files are in no known format.
        ResourceNotFound: there is nothing of that name.
    """
    if not source:
        raise UsageError("A source is needed: a path, a project's name, PROJECT/train, or a dataset's ARN.")
    path = Path(source)
    if form is not None or path.exists():
        yield from registry.read(path, form or registry.recognise(path), images, notes)
        return
    for part, dataset in named_datasets(context, source).items():
        for number, text in enumerate(lines_of(context, dataset), 1):
            record = manifests.record_of(text, f"entry {number}", None, notes)
            if record is not None:
                yield record._replace(split=part)


def lines_of(context: Context, dataset: Dataset) -> Iterator[str]:
    """The entries of a dataset as they are at one moment; whoever takes them may take their time."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n") as kept:
        # While a reader is at it, what others change piles up beside the dataset's file.
        with reading(context, dataset.arn, lambda _: None) as (_, db):
            kept.writelines(f"{line}\n" for line in entries.all_lines(db))
        kept.seek(0)
        for line in kept:
            yield line[:-1]


def fetched(fetcher: ImageFetcher, record: Record, notes: Notes) -> Path | None:
    if isinstance(record.image, Path) and record.image.is_file():
        return record.image
    try:
        return fetcher.fetch(str(record.image))
    except ImageTooBigError:
        notes.add(f"{UNUSABLE} (ImageTooLargeException)", record.image)
        return None
    except NoSuchObjectError:
        notes.add(MISSING, record.image)
        return None
