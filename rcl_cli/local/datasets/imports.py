"""Labelled images in: from other tools' files into manifests and datasets."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

from rcl_cli.api.model import load as load_model
from rcl_cli.api.validate import validated
from rcl_cli.buckets.base import BucketWriteError, NoSuchObjectError
from rcl_cli.context import Context
from rcl_cli.errors import RclError, UsageError
from rcl_cli.formats import registry
from rcl_cli.formats.files import ELSEWHERE, fenced, is_inside
from rcl_cli.formats.lines import LineWriter, part_of, usable
from rcl_cli.formats.record import FormatError, Notes, Record
from rcl_cli.local.datasets.copying import Copying, Manifests, Place
from rcl_cli.local.datasets.sources import PARTS, Count, Step, created_now
from rcl_cli.local.events import Tell, Understood, counter
from rcl_cli.local.making import Making, uninterrupted
from rcl_cli.local.writing import write_file
from rcl_cli.manifest.line import split_s3_url
from rcl_cli.operations.invoke import invoke
from rcl_cli.scratch import scratch
from rcl_cli.status import DatasetStatus
from rcl_cli.store import datasets, projects

# Manifests of imports, and results of trainings that nobody chose a bucket for, are kept here.
BUCKET = "rcl"
WHERE_BUCKETS_LIE = (
    "RCL_BUCKETS_DIR, or `buckets:` in config.yaml, says where they lie; --images FOLDER finds images by their names"
)


@dataclass(frozen=True, slots=True)
class Request:
    """What to import, and what to make of it.

    Args:
        source: a folder, a file or an export.
        project: make the datasets of this project; None to write manifests.
        out: the folder that manifests are written into; None to make datasets.
        form: the source's format, found out if it is not given.
        images: where to look for images that lie elsewhere than the source says.
        part: `train` or `test`, what all of it is for, whatever the source says.
        copy_to: `s3://BUCKET/PREFIX` that images are copied to; None to let them stay where they are.
        is_brought: whoever asks brought the source, and has no say about other files of this machine.
    """

    source: Path
    project: str | None = None
    out: Path | None = None
    form: str | None = None
    images: Path | None = None
    part: str | None = None
    copy_to: str | None = None
    is_brought: bool = False

    def __post_init__(self) -> None:
        """Whether it makes sense.

        Raises:
            UsageError: not one of `project` and `out` is given, or `copy_to` is no place in a bucket.
        """
        if self.copy_to is not None:
            Place.of(self.copy_to)
        if (self.project is None) == (self.out is None):
            raise UsageError("Give either --project, to make its datasets, or --out, to write manifests.")


def import_images(context: Context, request: Request, tell: Tell) -> list[str]:
    """Make datasets, or manifests, from labelled images of other tools; returns the datasets' ARNs, or the files.

    Raises:
        ValidationError: no project can have this name.
        FormatError: the source is in no known format, or holds nothing to use; or there are such manifests already.
        RclError: the project has such datasets already, or they can't be made.
    """
    notes = Notes()
    step = counter("reading", tell)
    fence = _folder_of(request.source) if request.is_brought else None
    with collected(request.source, request.form, request.images, request.part, notes, step, fence) as found:
        for bucket in buckets_not_there(context, found):
            notes.add(f"buckets are not there ({WHERE_BUCKETS_LIE})", bucket)
        wanted = _where_wanted(context, found, request, notes, tell)
        if request.out is not None:
            written = write_manifests(wanted, request.out)
            tell(Understood(found.parts(), tuple(notes.lines())))
            return [str(path) for path in written]
        making = make_datasets(context, wanted, str(request.project), notes)
        with making.or_undone():
            tell(Understood(found.parts(), tuple(notes.lines())))
            for one in making.called:
                tell(one)
        return [str(one.result["DatasetArn"]) for one in making.called if one.operation == "CreateDataset"]


def _where_wanted(context: Context, found: Collected, request: Request, notes: Notes, tell: Tell) -> Manifests:
    if request.copy_to is None:
        return found
    roots = [root.absolute() for root in (request.images, _folder_of(request.source)) if root]
    return Copying(context, found, Place.of(request.copy_to), roots, notes, counter("copying images", tell))


def _folder_of(source: Path) -> Path:
    return source if source.is_dir() else source.parent


class Collected:
    """Lines of manifests, kept on disk by the parts that a format has until all of them are known."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, Path] = {}
        self.buckets: set[str] = set()
        self.counts: dict[str, Count] = {}

    def collect(self, records: Iterable[Record], only: str | None, step: Step) -> None:
        """Write all records.

        Args:
            only: the part that all of them are for, whatever the format says.
        """
        line = LineWriter(created_now(), "rcl-import")
        with contextlib.ExitStack() as stack:
            self._collect(records, only, line, stack, step)

    def _collect(
        self, records: Iterable[Record], only: str | None, line: LineWriter, stack: contextlib.ExitStack, step: Step
    ) -> None:
        streams: dict[str, TextIO] = {}
        for number, record in enumerate(records, 1):
            split = only or record.split
            if split not in streams:
                path = self._files.setdefault(split, self._folder / f"{len(self._files)}.part")
                streams[split] = stack.enter_context(path.open("a", encoding="utf-8"))
            streams[split].write(line(record) + "\n")
            self.counts.setdefault(split, Count()).add(record)
            if place := split_s3_url(str(record.image)):
                self.buckets.add(place[0])
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


def buckets_not_there(context: Context, found: Collected) -> list[str]:
    """Buckets that images are said to lie in, and that are not there."""

    def is_there(name: str) -> bool:
        try:
            context.buckets.get(name)
        except NoSuchObjectError:
            return False
        return True

    return sorted(name for name in found.buckets if not is_there(name))


@contextmanager
def collected(
    source: Path,
    form: str | None,
    images: Path | None,
    only: str | None,
    notes: Notes,
    step: Step,
    fence: Path | None = None,
) -> Iterator[Collected]:
    """Read labelled images of any format.

    Args:
        only: as of `Collected.collect`.
        fence: images elsewhere than in this folder are not looked at, and left out.

    Raises:
        FormatError: the source is in no known format, or holds nothing to use.
    """
    with scratch("import") as folder:
        found = Collected(folder)
        with fenced(fence):
            records = registry.read(source, form or registry.recognise(source), images, notes)
            found.collect(usable(_brought(records, notes), notes), only, step)
        if not found.counts:
            reasons = "".join(f"\n  {line}" for line in notes.lines())
            raise FormatError(f"{source} holds no images that can be used.{reasons}")
        yield found


def _brought(records: Iterable[Record], notes: Notes) -> Iterator[Record]:
    for record in records:
        if isinstance(record.image, Path) and not is_inside(record.image):
            notes.add(ELSEWHERE, record.image)
        else:
            yield record


def write_manifests(found: Manifests, folder: Path) -> list[Path]:
    """Write a manifest a part into a folder, which is made; all of them, or none.

    Raises:
        FormatError: it holds such files already.
        RclError: they can't be written.
    """
    paths = {part: folder / f"{part}.manifest" for part in found.parts()}
    there = [str(path) for path in paths.values() if path.exists()]
    if there:
        raise FormatError(f"{', '.join(there)} is there already: choose another folder.")
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for part, path in paths.items():
            write_file(path, partial(found.write, part))
    except BaseException as error:
        with uninterrupted():
            for path in paths.values():
                path.unlink(missing_ok=True)
            if is_new:
                with contextlib.suppress(OSError):
                    folder.rmdir()
        if isinstance(error, OSError):
            raise RclError(f"{folder}: {error.strerror or error}") from error
        raise
    return list(paths.values())


def check_free(context: Context, parts: Iterable[str], project_name: str) -> None:
    """Whether a project, if it is there, has no such datasets.

    Raises:
        RclError: it has one.
    """
    with context.database.read() as db:
        project = projects.by_name(db, project_name)
        there = {d.type.lower() for d in datasets.of_project(db, project.id)} if project else set()
    if clash := [part for part in parts if part in there]:
        raise RclError(
            f"The project {project_name} has a {clash[0]} dataset already: choose another name, or delete it with "
            f"rcl delete-dataset --dataset-arn {project_name}/{clash[0]}"
        )


def check_project_name(name: str) -> None:
    """Whether a project can have this name.

    Raises:
        ValidationError: it can't.
    """
    validated(load_model().operation("CreateProject"), {"ProjectName": name})


def make_datasets(context: Context, found: Manifests, project_name: str, notes: Notes) -> Making:
    """Make datasets of a project, which is made where it is not there; all of them, or nothing.

    Args:
        notes: takes what the datasets find wrong with their entries.

    Raises:
        ValidationError: no project can have this name.
        RclError: it has such datasets already, or they can't be made.
    """
    check_project_name(project_name)
    check_free(context, found.parts(), project_name)
    keys = _put_manifests(context, found, project_name)
    with context.database.read() as db:
        project = projects.by_name(db, project_name)
    making = Making(partial(invoke, context))
    with making.or_undone():
        arn = project.arn if project else making("CreateProject", ProjectName=project_name)["ProjectArn"]
        for part, key in keys.items():
            source = {"GroundTruthManifest": {"S3Object": {"Bucket": BUCKET, "Name": key}}}
            made = making("CreateDataset", ProjectArn=arn, DatasetType=part.upper(), DatasetSource=source)
            described = invoke(context, "DescribeDataset", {"DatasetArn": made["DatasetArn"]})["DatasetDescription"]
            if described["Status"] == DatasetStatus.CREATE_FAILED:
                raise RclError(f"The {part} dataset of {project_name} could not be made: {described['StatusMessage']}")
            if errors := described["DatasetStats"]["ErrorEntries"]:
                notes.add("entries have errors; rcl list-dataset-entries --has-errors says which", part, errors)
    return making


def _put_manifests(context: Context, found: Manifests, project_name: str) -> dict[str, str]:
    """Put the manifests into their bucket; keys by part.

    Raises:
        RclError: they can't be written.
    """
    keys = {part: f"{project_name}/{part}.manifest" for part in found.parts()}
    try:
        bucket = context.buckets.for_output(BUCKET)
        with scratch("manifests") as folder:
            for part, key in keys.items():
                found.write(part, folder / part)
                bucket.write_file(key, folder / part)
    except (BucketWriteError, NoSuchObjectError, OSError) as error:
        raise RclError(f"The manifests can't be written into the bucket {BUCKET}: {error}") from error
    return keys
