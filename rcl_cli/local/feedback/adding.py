"""From images that a model met at work to the queue of its project: asked about, ranked by how sure it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from rcl_cli.context import Context
from rcl_cli.errors import AccessDenied, ResourceNotFound, ResourceNotReady, ServiceError, UsageError
from rcl_cli.imaging.decode import verify as verify_image
from rcl_cli.local.detecting.asking import detect_all
from rcl_cli.local.detecting.detectors import Detector, detector_of
from rcl_cli.local.detecting.sources import read_image
from rcl_cli.local.events import Tell, Warned, counter
from rcl_cli.local.feedback.answers import Answerer, answerer_of, fault_of
from rcl_cli.local.feedback.sources import LeftOut, Met, is_list, met_images, met_in_lists
from rcl_cli.local.labelling.adding import store_picture
from rcl_cli.local.making import uninterrupted
from rcl_cli.local.models.naming import find_project, short_name
from rcl_cli.local.models.watching import named_version
from rcl_cli.operations.contents import reading
from rcl_cli.operations.settle import settle_versions
from rcl_cli.status import TRAINED, FeedbackState, VersionStatus
from rcl_cli.store import datasets, entries, feedback, versions
from rcl_cli.store.feedback import Item
from rcl_cli.store.projects import Project
from rcl_cli.store.versions import Version

# Between one batch and the next all is on the disk.
_BATCH, _THREADS = 64, 16
_MOST_VERSIONS = 100_000
# As many as a model can have labels; of boxes, those that are left are far below any threshold.
_MOST_ANSWERS = 250


class Request(NamedTuple):
    """What to add.

    Args:
        project: name or ARN.
        sources: folders, files, patterns, `s3://` URLs or prefixes, and lists: files of JSON lines with a source-ref,
            and CustomLabels where `rcl detect` wrote them.
        version: whose answers they are, and who is asked about images without answers: a name, PROJECT/VERSION or an
            ARN; None for the one that runs.
        brought: lists by the names that whoever brought them knows them by.
    """

    project: str
    sources: tuple[str, ...]
    version: str | None = None
    brought: tuple[tuple[str, Path], ...] = ()


class Outcome(NamedTuple):
    """What came of it.

    Args:
        version: PROJECT/VERSION whose answers they are.
        added: images that were not in the queue.
        replaced: those that waited with an older version's answers.
        in_queue: those that were there, judged or with answers as new.
        in_datasets: those that the project's datasets have.
        left_out: those of which nothing could be made.
    """

    version: str
    added: int
    replaced: int
    in_queue: int
    in_datasets: int
    left_out: tuple[LeftOut, ...]


def add(context: Context, request: Request, tell: Tell) -> Outcome:
    """Let images wait for somebody who judges what the model says of them.

    Images in folders are put into the bucket of the project's images; those in buckets stay where they are.

    Raises:
        UsageError: a source is nothing that images can come from, or there are none in it.
        ResourceNotFound, ResourceNotReady: there is no such project or version, or it does not run; or it is gone.
        AccessDenied: images can't be put into the bucket.
        KeyboardInterrupt: what was added so far stays.
    """
    with context.database.read() as db:
        project = find_project(db, request.project)
    asks = not all(map(is_list, request.sources))
    version = _version(context, project, request.version, must_run=asks)
    with ExitStack() as stack:
        work = _Adding(context, project, answerer_of(context, version), stack)
        if asks:
            # First, so that a model that does not answer leaves nothing half done.
            work.detector()
        step, done = counter("asking about images", tell), 0
        try:
            for batch in _batches(chain(met_images(context, request.sources), met_in_lists(context, request.brought))):
                work.add(batch)
                done += len(batch)
                step(done)
        except KeyboardInterrupt:
            kept = work.added + work.replaced
            tell(Warned(f"Stopped: {kept} images were added and stay; the same command goes on with the others."))
            raise
    return Outcome(
        short_name(version.arn), work.added, work.replaced, work.in_queue, work.in_datasets, tuple(work.left_out)
    )


def _batches(met: Iterable[Met | LeftOut]) -> Iterator[list[Met | LeftOut]]:
    left = iter(met)
    while batch := list(islice(left, _BATCH)):
        yield batch


def _version(context: Context, project: Project, name: str | None, *, must_run: bool) -> Version:
    """The version whose answers they are.

    Args:
        must_run: somebody has to be asked.

    Raises:
        UsageError, ResourceNotFound, ResourceNotReady: there is none.
    """
    if name is not None:
        is_whole = "/" in name or name.startswith("arn:")
        found = named_version(context, name if is_whole else f"{project.name}/{name}")
        if found.project_id != project.id:
            raise UsageError(f"{name} is no version of the project {project.name}.")
    else:
        settle_versions(context)
        with context.database.read() as db:
            every = versions.page(db, project.id, None, None, _MOST_VERSIONS)
        running = next((one for one in every if one.status == VersionStatus.RUNNING), None)
        trained = next((one for one in every if one.status in TRAINED), None)
        if trained is None:
            raise ResourceNotReady(f"The project {project.name} has no model yet: train one with rcl train.")
        found = running or trained
    if must_run and found.status != VersionStatus.RUNNING:
        short = short_name(found.arn)
        raise ResourceNotReady(
            f"{short} is not running ({found.status}), so nobody can be asked. Start it: "
            f"rcl start-project-version --project-version-arn {short} --min-inference-units 1"
        )
    return found


class _Adding:
    """Adds batches.

    Args:
        stack: closes what is opened.
    """

    def __init__(self, context: Context, project: Project, answerer: Answerer, stack: ExitStack) -> None:
        self._context, self._project, self._answerer, self._stack = context, project, answerer, stack
        self._detector: Detector | None = None
        self.added = self.replaced = self.in_queue = self.in_datasets = 0
        self.left_out: list[LeftOut] = []

    def detector(self) -> Detector:
        """The running model.

        Raises:
            ResourceNotReady: it does not run.
        """
        if self._detector is None:
            made = detector_of(self._context, self._answerer.version, once=False)
            self._detector = self._stack.enter_context(closing(made))
        return self._detector

    def add(self, batch: Sequence[Met | LeftOut]) -> None:
        """Add images; whatever ends it, those that are answered are in the store."""
        self.left_out += [one for one in batch if isinstance(one, LeftOut)]
        items: list[Item] = []
        try:
            for one in self._answered(self._new([one for one in batch if isinstance(one, Met)])):
                items.append(one)
        finally:
            with uninterrupted():
                self._put(items)

    def _put(self, items: Sequence[Item]) -> None:
        if not items:
            return
        with self._context.database.write() as db:
            # It may be gone by now.
            find_project(db, self._project.arn)
            new, replaced = feedback.put(db, self._project.id, items)
        self.added, self.replaced = self.added + new, self.replaced + replaced
        # Somebody else may have added the same meanwhile.
        self.in_queue += len(items) - new - replaced

    def _new(self, met: Sequence[Met]) -> list[Met]:
        """Images that have to be asked about or kept, each where it will stay."""
        found: dict[str, Met] = {}
        outside = self._outside_datasets(met)
        placed = [(one, place) for one in outside if (place := self._placed(one)) is not None]
        for one in self._outside_datasets([one._replace(source_ref=place) for one, place in placed]):
            if one.source_ref in found:
                self.in_queue += 1
            else:
                found[one.source_ref] = one
        with self._context.database.read() as db:
            known = feedback.about(db, self._project.id, list(found))
        newest = self._answerer.version.created_ms
        there = {
            ref
            for ref, (state, version_ms) in known.items()
            if state != FeedbackState.WAITING or version_ms >= newest
        }  # fmt: skip
        self.in_queue += len(there)
        return [one for ref, one in found.items() if ref not in there]

    def _outside_datasets(self, met: Sequence[Met]) -> list[Met]:
        with self._context.database.read() as db:
            every = datasets.of_project(db, self._project.id)
        left = list(met)
        for dataset in every:
            with reading(self._context, dataset.arn, lambda _: None) as (_, db):
                left = [one for one in left if not entries.has(db, one.source_ref)]
        self.in_datasets += len(met) - len(left)
        return left

    def _placed(self, met: Met) -> str | None:
        """The source-ref of an object with the image; None, and a note, where it can't be used.

        Raises:
            AccessDenied: it can't be put into the bucket.
        """
        try:
            if met.answers is not None and (fault := fault_of(met.answers, self._answerer.thresholds)):
                self.left_out.append(LeftOut(met.where, fault))
                return None
            if met.source_ref.startswith("s3://"):
                if met.answers is not None:
                    # Nobody looks at it any more before somebody wants to see it.
                    verify_image(read_image(self._context, met.source_ref))
                return met.source_ref
            data, name = read_image(self._context, met.source_ref), unquote(met.source_ref)
            return store_picture(self._context, self._project.arn, name, data)
        except (AccessDenied, ResourceNotFound):
            raise
        except ServiceError as error:
            self.left_out.append(LeftOut(met.where, str(error)))
            return None

    def _answered(self, met: Sequence[Met]) -> Iterator[Item]:
        """Images with what the model says of them.

        Raises:
            ResourceNotReady: it is gone.
        """
        for one in met:
            if one.answers is not None:
                yield self._item(one, one.answers)
        asked = [one for one in met if one.answers is None]
        if not asked:
            return
        refs, threads = [one.source_ref for one in asked], min(_THREADS, len(asked))
        answers = detect_all(self._context, self.detector(), refs, 0.0, _MOST_ANSWERS, threads)
        with closing(answers):
            for one, answer in zip(asked, answers, strict=True):
                if answer.found is None:
                    self.left_out.append(LeftOut(one.where, str(answer.error)))
                else:
                    yield self._item(one, answer.found.labels)

    def _item(self, met: Met, answers: Sequence[dict[str, object]]) -> Item:
        return self._answerer.item(met.source_ref, met.origin, answers, self._context.now_ms())
