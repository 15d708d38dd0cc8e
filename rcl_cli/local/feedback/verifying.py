"""What people say of a model's answers, and the training set that it goes into.

What is right or corrected becomes an entry first, and the queue says so afterwards: whoever finds an entry that the
queue does not know of, because a process died between the two, lets the queue say what the entry does.
"""

from __future__ import annotations

import sqlite3
from typing import Any, NamedTuple

from rcl_cli.context import Context
from rcl_cli.errors import InvalidParameter, ResourceAlreadyExists, ResourceInUse, ResourceNotFound
from rcl_cli.imaging.decode import read_header
from rcl_cli.local.detecting.sources import read_image
from rcl_cli.local.feedback.answers import labelling_of
from rcl_cli.local.labelling.adding import store_picture
from rcl_cli.local.labelling.lines import Labelling, edited
from rcl_cli.local.labelling.lines import labelling_of as labelling_of_line
from rcl_cli.local.labelling.saving import creation_date
from rcl_cli.local.models.naming import short_name
from rcl_cli.manifest.document import FEEDBACK, SOURCE_REF, compact, load
from rcl_cli.manifest.line import bucket_of
from rcl_cli.operations.contents import reading
from rcl_cli.operations.entries import update
from rcl_cli.operations.resources import find_project
from rcl_cli.status import UNENTERED, DatasetStatus, FeedbackState
from rcl_cli.store import datasets, entries, feedback
from rcl_cli.store.feedback import Item
from rcl_cli.store.projects import Project

_TRIES = 5
_ENTERED = (FeedbackState.RIGHT, FeedbackState.CORRECTED)
_STATES = (*UNENTERED, *_ENTERED)
VERDICTS = tuple(state for state in _STATES if state != FeedbackState.WAITING)


class Queued(NamedTuple):
    """An image in the queue as people see it.

    Args:
        version: PROJECT/VERSION that answered; it may be gone.
        answers: CustomLabels, best first, whatever their score, as far as they are known.
        labelling: what the model claims: the answers that reached their thresholds, as people would label it.
        unsureness: 0..1.
        state: of `FeedbackState`.
    """

    source_ref: str
    origin: str
    version: str
    version_arn: str
    answers: tuple[dict[str, Any], ...]
    labelling: Labelling
    unsureness: float
    state: str
    added_ms: int
    answered_ms: int
    verified_ms: int | None


class Verified(NamedTuple):
    """What a verdict came to.

    Args:
        dataset_arn, source_ref: of the entry that says it; None where there is none: the answers are wrong, or there
            is nothing in the image, and images without labels are not trained on.
    """

    state: str
    dataset_arn: str | None
    source_ref: str | None


class _ChangedMeanwhileError(Exception):
    """Somebody else changed the entry."""


def waiting(
    context: Context, project_arn: str, offset: int = 0, limit: int = 50, state: str = FeedbackState.WAITING
) -> list[Queued]:
    """The images of a project in a state, least sure first.

    Raises:
        ResourceNotFound: there is no such project.
        InvalidParameter: there is no such state.
    """
    _check_state(state, _STATES)
    with context.database.read() as db:
        found = feedback.page(db, find_project(db, project_arn).id, state, max(0, offset), max(0, limit))
    return [_queued(one) for one in found]


def queued(context: Context, project_arn: str, source_ref: str) -> Queued:
    """An image in the queue of a project.

    Raises:
        ResourceNotFound: there is no such project, or no such image in its queue.
    """
    return _queued(_found(context, project_arn, source_ref)[1])


def _found(context: Context, project_arn: str, source_ref: str) -> tuple[Project, Item]:
    with context.database.read() as db:
        project = find_project(db, project_arn)
        item = feedback.by_source_ref(db, project.id, source_ref)
    if item is None:
        raise ResourceNotFound(f"The image {source_ref} is not in the queue of {project.name}.")
    return project, item


def _queued(one: Item) -> Queued:
    return Queued(
        one.source_ref, one.origin, short_name(one.version_arn), one.version_arn, one.answers,
        labelling_of(one.claims), one.unsureness, one.state, one.added_ms, one.answered_ms, one.verified_ms,
    )  # fmt: skip


def verify(
    context: Context, project_arn: str, source_ref: str, verdict: str, labelling: Labelling | None = None,
    seen: str = "",
) -> Verified:  # fmt: skip
    """Say whether a model's answers about an image are right.

    RIGHT: what it claims becomes an entry of the TRAIN dataset, which is made where there is none. WRONG: only that is
    kept; the image can be corrected later. CORRECTED: the labelling becomes an entry. The same again changes nothing.

    Args:
        labelling: with CORRECTED only: what is to be seen in the image; None where somebody is about to label it: the
            entry has no labels then, so that nothing is trained on that nobody has said.
        seen: ARN of the version whose answers were judged; empty for whichever the queue has.

    Raises:
        ResourceNotFound: there is no such project, or no such image in its queue.
        ResourceInUse: the image is in a dataset by now, and what is said of it there is something else; or another
            version answered meanwhile.
        InvalidParameter: there is no such verdict, or an entry can't say the labelling.
        InvalidS3Object: the image is not there any more.
        ServiceError: what CreateDataset and UpdateDatasetEntries raise.
    """
    _check_state(verdict, VERDICTS)
    if labelling is not None and verdict != FeedbackState.CORRECTED:
        raise InvalidParameter("A labelling goes with the verdict CORRECTED.")
    project, item = _found(context, project_arn, source_ref)
    if seen not in ("", item.version_arn):
        raise ResourceInUse(f"{short_name(item.version_arn)} answered about {source_ref} meanwhile: look at it again.")
    begins = verdict == FeedbackState.CORRECTED and labelling is None
    wanted = Labelling() if begins else labelling or labelling_of(item.claims)
    if begins or (verdict != FeedbackState.WRONG and (wanted.labels or wanted.boxes)):
        return _entered(context, project, item, verdict, wanted)
    said = Verified(verdict, None, None)
    if (line := _line_there(context, project, item)) and FEEDBACK in (load(line) or {}):
        return _adopted(context, project, item, line, said, Labelling())
    return _settled(context, project, item, said)


def _line_there(context: Context, project: Project, item: Item) -> str | None:
    """What the TRAIN dataset says of an image, or of its copy in the dataset's bucket."""
    with context.database.read() as db:
        train = next((one for one in datasets.of_project(db, project.id) if one.type == "TRAIN"), None)
    if train is None:
        return None
    with reading(context, train.arn, lambda _: None) as (_, own):
        found = entries.line_of(own, item.source_ref)
    if found is None:
        ref = _in_bucket_of(context, project, train.arn, item.source_ref)
        with reading(context, train.arn, lambda _: None) as (_, own):
            found = entries.line_of(own, ref)
    return found


def _check_state(state: str, known: tuple[str, ...]) -> None:
    if state not in known:
        raise InvalidParameter(f"{state!r} is none of {', '.join(known)}.")


def _in_use(source_ref: str, state: str) -> ResourceInUse:
    return ResourceInUse(f"The image {source_ref} was judged already ({state}): change its entry in the dataset.")


def _settled(
    context: Context, project: Project, item: Item, said: Verified, allowed: tuple[str, ...] = UNENTERED
) -> Verified:  # fmt: skip
    """Let the queue say a verdict.

    Args:
        allowed: states in which it may.

    Raises:
        ResourceInUse: it says another one, which somebody may have seen.
    """
    with context.database.write() as db:
        if not feedback.settle(db, project.id, item, allowed, said.state, context.now_ms()):
            now = feedback.by_source_ref(db, project.id, item.source_ref)
            if now is None:
                raise ResourceNotFound(f"The image {item.source_ref} is not in the queue any more.")
            if now.version_arn != item.version_arn:
                raise ResourceInUse(f"{short_name(now.version_arn)} answered about {item.source_ref} meanwhile.")
            if now.state != said.state:
                raise _in_use(item.source_ref, now.state)
    return said


def _entered(context: Context, project: Project, item: Item, verdict: str, wanted: Labelling) -> Verified:
    """Let the TRAIN dataset have an entry with a labelling, and the queue the verdict."""
    for _ in range(_TRIES):
        arn = _train_dataset(context, project)
        ref = _in_bucket_of(context, project, arn, item.source_ref)
        for one in {item.source_ref, ref}:
            _check_not_tested_on(context, project, one)
        with reading(context, arn, lambda _: None) as (_, own):
            before = entries.line_of(own, ref)
        said = Verified(verdict, arn, ref)
        if before is not None and (item.state in _ENTERED or labelling_of_line(before) != Labelling()):
            return _adopted(context, project, item, before, said, wanted)
        try:
            _write(context, arn, ref, before, _line(context, item, ref, before, verdict, wanted))
        except _ChangedMeanwhileError:
            continue
        # Nobody else's verdict is in the dataset: whatever the queue says is older.
        return _settled(context, project, item, said, _STATES)
    raise ResourceInUse("Somebody else changes this image all the time: try again.")


def _adopted(
    context: Context, project: Project, item: Item, line: str, said: Verified, wanted: Labelling
) -> Verified:  # fmt: skip
    """Let the queue say what an entry does that is there already.

    Raises:
        ResourceInUse: that is something else.
    """
    origin = (load(line) or {}).get(FEEDBACK)
    there = origin.get("verdict") if isinstance(origin, dict) else None
    # What people said without the queue is theirs, too.
    state = str(there) if there in _ENTERED else FeedbackState.CORRECTED
    _settled(context, project, item, said._replace(state=state))
    if state != said.state or not _same(labelling_of_line(line), wanted):
        raise _in_use(item.source_ref, state)
    return said


def _same(one: Labelling, other: Labelling) -> bool:
    """Whether two labellings say the same, to a pixel or so."""
    if set(one.labels) != set(other.labels) or len(one.boxes) != len(other.boxes):
        return False
    near = 0.05
    return all(
        a.label == b.label and all(abs(x - y) <= near for x, y in zip(a.box, b.box, strict=True))
        for a, b in zip(one.boxes, other.boxes, strict=True)
    )


def _train_dataset(context: Context, project: Project) -> str:
    """The ARN of the TRAIN dataset, which is there from now on."""
    from rcl_cli.operations.invoke import invoke

    for _ in range(_TRIES):
        with context.database.read() as db:
            every = datasets.of_project(db, find_project(db, project.arn).id)
        if found := next((one.arn for one in every if one.type == "TRAIN"), None):
            return found
        try:
            made = invoke(context, "CreateDataset", {"ProjectArn": project.arn, "DatasetType": "TRAIN"})
            return str(made["DatasetArn"])
        except ResourceAlreadyExists:
            # Somebody else made it just now.
            continue
    raise ResourceInUse("The dataset is made and deleted all the time: try again.")


def _in_bucket_of(context: Context, project: Project, dataset_arn: str, source_ref: str) -> str:
    """The source-ref of an image in the bucket of a dataset, which takes images of no other: copied where need be."""
    with reading(context, dataset_arn, lambda _: None) as (_, own):
        bucket = bucket_of(entries.first_source_ref(own))
    if bucket in ("", bucket_of(source_ref)):
        return source_ref
    return store_picture(context, project.arn, source_ref, read_image(context, source_ref), bucket)


def _check_not_tested_on(context: Context, project: Project, source_ref: str) -> None:
    with context.database.read() as db:
        test = next((one for one in datasets.of_project(db, project.id) if one.type == "TEST"), None)
    if test is not None:
        with reading(context, test.arn, lambda _: None) as (_, own):
            if entries.has(own, source_ref):
                raise ResourceInUse(f"The image {source_ref} is in the TEST dataset: it can't be trained on.")


def _line(
    context: Context, item: Item, source_ref: str, before: str | None, verdict: str, wanted: Labelling
) -> str:  # fmt: skip
    def size_px() -> tuple[int, int]:
        header = read_header(read_image(context, source_ref))
        return header.width, header.height

    origin = {"origin": item.origin, "version": item.version_arn, "verdict": verdict}
    document = (load(before) if before is not None else None) or {SOURCE_REF: source_ref}
    return edited(compact({**document, FEEDBACK: origin}), wanted, size_px, creation_date(context))


def _write(context: Context, dataset_arn: str, source_ref: str, before: str | None, line: str) -> None:
    """Add an entry, or fill one that says nothing.

    Raises:
        _ChangedMeanwhileError: it is another one by now.
        InvalidParameter: the dataset can't have it.
    """

    def check(db: sqlite3.Connection) -> None:
        if entries.line_of(db, source_ref) != before:
            raise _ChangedMeanwhileError

    state = update(context, dataset_arn, line.encode(), check)
    if state.status == DatasetStatus.UPDATE_FAILED:
        raise InvalidParameter(state.message)
