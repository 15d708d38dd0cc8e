"""Labelled images on their way in and out: from other tools' files into datasets, and from datasets into files."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rcl_cli.buckets.base import BucketWriteError, NoSuchObjectError
from rcl_cli.checking.findings import Finding
from rcl_cli.checking.run import check
from rcl_cli.errors import RclError, ResourceNotFound
from rcl_cli.formats import manifests, registry
from rcl_cli.formats.files import MISSING, OTHER_SIZE, size_of
from rcl_cli.formats.lines import LineWriter, part_of, usable
from rcl_cli.formats.record import TEST, TRAIN, BoxPx, FormatError, Notes, Record
from rcl_cli.formats.writers import writing
from rcl_cli.service.context import Context
from rcl_cli.service.invoke import invoke
from rcl_cli.store import datasets, entries, projects
from rcl_cli.store.datasets import Dataset
from rcl_cli.training.prepare import ImageFetcher

# Manifests of imports, and results of trainings that nobody chose a bucket for, are kept here.
BUCKET = "rcl"
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


# --- from a source's name to records ----------------------------------------------------------------------------------


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
    path = Path(source)
    if form is not None or path.exists():
        yield from registry.read(path, form or registry.recognise(path), images, notes)
        return
    for part, dataset in named_datasets(context, source).items():
        with context.database.read() as db:
            for number, text in enumerate(entries.all_lines(db, dataset.id), 1):
                record = manifests.record_of(text, f"entry {number}", None, notes)
                if record is not None:
                    yield record._replace(split=part)


# --- in ---------------------------------------------------------------------------------------------------------------


class Collected:
    """Lines of manifests, kept on disk by the parts that a format has until all of them are known."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, Path] = {}
        self.counts: dict[str, Count] = {}

    def collect(self, records: Iterable[Record], only: str | None, step: Step) -> None:
        """Write all records.

        Args:
            only: the part that all of them are for, whatever the format says.
        """
        line = LineWriter(created_now(), "rcl-import")
        for number, record in enumerate(records, 1):
            split = only or record.split
            path = self._files.setdefault(split, self._folder / f"{len(self._files)}.part")
            with path.open("a", encoding="utf-8") as out:
                out.write(line(record) + "\n")
            self.counts.setdefault(split, Count()).add(record)
            step(number)

    def parts(self) -> dict[str, Count]:
        """What there is for training and for testing."""
        found: dict[str, Count] = {}
        for split, count in self.counts.items():
            whole = found.setdefault(part_of(split, self.counts), Count())
            whole.images += count.images
            whole.unlabelled += count.unlabelled
            whole.labels.update(count.labels)
            whole.boxes.update(count.boxes)
        return {part: found[part] for part in PARTS if part in found}

    def write(self, part: str, target: Path) -> None:
        """Write the manifest of a part."""
        with target.open("wb") as out:
            for split, path in self._files.items():
                if part_of(split, self.counts) == part:
                    with path.open("rb") as lines:
                        shutil.copyfileobj(lines, out)


@contextmanager
def collected(
    source: Path, form: str | None, images: Path | None, only: str | None, notes: Notes, step: Step
) -> Iterator[Collected]:
    """Read labelled images of any format.

    Raises:
        FormatError: the source is in no known format, or holds nothing to use.
    """
    with tempfile.TemporaryDirectory(prefix="rcl-import-") as folder:
        found = Collected(Path(folder))
        records = registry.read(source, form or registry.recognise(source), images, notes)
        found.collect(usable(records, notes), only, step)
        if not found.counts:
            reasons = "".join(f"\n  {line}" for line in notes.lines())
            raise FormatError(f"{source} holds no images that can be used.{reasons}")
        yield found


def write_manifests(found: Collected, folder: Path) -> list[Path]:
    """Write a manifest a part into a folder, which is made.

    Raises:
        FormatError: it holds such files already.
    """
    paths = {part: folder / f"{part}.manifest" for part in found.parts()}
    there = [str(path) for path in paths.values() if path.exists()]
    if there:
        raise FormatError(f"{', '.join(there)} is there already: choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for part, path in paths.items():
        found.write(part, path)
    return list(paths.values())


@dataclass(frozen=True, slots=True)
class Called:
    """A call of the API that was made for the user.

    Args:
        result: what it answered.
    """

    operation: str
    params: dict[str, object]
    result: dict[str, object]


def make_datasets(context: Context, found: Collected, project_name: str) -> list[Called]:
    """Make datasets of a project, which is made where it is not there.

    Raises:
        ResourceAlreadyExists: it has such datasets.
    """
    called: list[Called] = []

    def call(operation: str, params: dict[str, object]) -> dict[str, object]:
        result = invoke(context, operation, params)
        called.append(Called(operation, params, result))
        return result

    with context.database.read() as db:
        project = projects.by_name(db, project_name)
        there = {d.type.lower() for d in datasets.of_project(db, project.id)} if project else set()
    clash = [part for part in found.parts() if part in there]
    if clash:
        raise RclError(
            f"The project {project_name} has a {clash[0]} dataset already: choose another --project, or delete it with "
            "rcl delete-dataset."
        )
    arn = project.arn if project else call("CreateProject", {"ProjectName": project_name})["ProjectArn"]
    bucket = context.buckets.for_output(BUCKET)
    for part in found.parts():
        key = f"{project_name}/{part}.manifest"
        with tempfile.NamedTemporaryFile(prefix="rcl-manifest-") as file:
            found.write(part, Path(file.name))
            try:
                bucket.write(key, Path(file.name).read_bytes())
            except BucketWriteError as error:
                raise RclError(f"The manifest can't be written: {error}") from error
        manifest = {"GroundTruthManifest": {"S3Object": {"Bucket": BUCKET, "Name": key}}}
        made = call("CreateDataset", {"ProjectArn": arn, "DatasetType": part.upper(), "DatasetSource": manifest})
        described = invoke(context, "DescribeDataset", {"DatasetArn": made["DatasetArn"]})["DatasetDescription"]
        if described["Status"] == "CREATE_FAILED":
            invoke(context, "DeleteDataset", {"DatasetArn": made["DatasetArn"]})
            if project is None and part == next(iter(found.parts())):
                invoke(context, "DeleteProject", {"ProjectArn": arn})
            raise RclError(f"The {part} dataset of {project_name} could not be made: {described['StatusMessage']}")
    return called


# --- out --------------------------------------------------------------------------------------------------------------


def export(
    context: Context, source: str, images: Path | None, form: str, folder: Path, notes: Notes, step: Step
) -> dict[str, Count]:
    """Write datasets, or files of another format, in a format.

    Args:
        source: as for `records_of`.
        form: a name of `writers.WRITERS`, or `manifest`.
        folder: empty, or not there yet.

    Raises:
        FormatError: the format can't hold what there is, or the folder is not empty.
    """
    counts: dict[str, Count] = {}
    records = records_of(context, source, None, images, notes)
    with tempfile.TemporaryDirectory(prefix="rcl-export-") as cache, writing(form, folder, created_now()) as writer:
        fetcher = ImageFetcher(context.buckets, Path(cache))
        for number, record in enumerate(usable(_sized(fetcher, records, notes), notes), 1):
            step(number)
            image = _fetched(fetcher, record, notes)
            if image is None:
                continue
            part = part_of(record.split, (TEST,))
            writer.add(record, image, part)
            counts.setdefault(part, Count()).add(record)
        if not counts:
            reasons = "".join(f"\n  {line}" for line in notes.lines())
            raise FormatError(f"{source} holds no images that can be written.{reasons}")
    return counts


def _sized(fetcher: ImageFetcher, records: Iterable[Record], notes: Notes) -> Iterator[Record]:
    """Records with the sizes that their images have; boxes that are relative to another size are scaled."""
    for record in records:
        image = _fetched(fetcher, record, notes)
        size = size_of(image, notes) if image is not None else None
        if size is None:
            continue
        stated = record.size if all(record.size) else size
        if stated == size:
            yield record._replace(size=size)
            continue
        notes.add(f"{OTHER_SIZE}; boxes were scaled", record.image)
        across, down = size[0] / stated[0], size[1] / stated[1]
        boxes = [
            BoxPx(box.label, box.left * across, box.top * down, box.width * across, box.height * down)
            for box in record.boxes
        ]
        yield record._replace(size=size, boxes=tuple(boxes))


def check_datasets(
    context: Context, sources: Sequence[str], form: str | None, images: Path | None, notes: Notes, step: Step
) -> list[Finding]:
    """What is wrong with labelled images, errors first.

    Args:
        sources: as for `records_of`. Of two files, the first is for training, the second for testing.
        notes: keeps all examples.

    Raises:
        FormatError, ResourceNotFound: as `records_of`.
    """
    with tempfile.TemporaryDirectory(prefix="rcl-check-") as cache:
        fetcher = ImageFetcher(context.buckets, Path(cache))

        def records() -> Iterator[tuple[str, Record]]:
            for number, source in enumerate(sources):
                for record in records_of(context, source, form, images, notes):
                    whole = PARTS[number] if len(sources) > 1 else ""
                    yield whole or part_of(record.split, ()), record

        return check(records(), lambda record: _fetched(fetcher, record, Notes()), notes, step)


def _fetched(fetcher: ImageFetcher, record: Record, notes: Notes) -> Path | None:
    if isinstance(record.image, Path) and record.image.is_file():
        return record.image
    try:
        return fetcher.fetch(str(record.image))
    except NoSuchObjectError:
        notes.add(MISSING, record.image)
        return None
