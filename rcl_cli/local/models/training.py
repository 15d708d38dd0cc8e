"""From labelled images to a running model in one go, by calls of the API that whoever asked may repeat."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rcl_cli.backends.registry import read_card
from rcl_cli.context import Context
from rcl_cli.errors import RclError, UsageError
from rcl_cli.formats.record import Notes
from rcl_cli.local.datasets.imports import BUCKET, WHERE_BUCKETS_LIE, buckets_not_there, collected, make_datasets
from rcl_cli.local.events import (
    Begun,
    Called,
    Contested,
    Evaluated,
    Left,
    Preceded,
    Ready,
    Relaxed,
    Running,
    Standing,
    Tell,
    Understood,
    Warned,
    Wrote,
    counter,
)
from rcl_cli.local.home.overview import versions_of
from rcl_cli.local.making import Making
from rcl_cli.local.models.report import write_report
from rcl_cli.local.models.thresholds import relax
from rcl_cli.local.models.watching import evaluation_of, named_version
from rcl_cli.operations.invoke import invoke
from rcl_cli.operations.progress import progress_of
from rcl_cli.status import VersionStatus
from rcl_cli.store import datasets, projects, versions
from rcl_cli.store.versions import Version
from rcl_cli.training.options import TAG_PREFIX, resolve_options
from rcl_cli.training.outlook import Outlook

_UNWANTED = re.compile(r"[^A-Za-z0-9_.\-]+")
_MOST_NAME_CHARS = 255
_POLL_S = 0.3
_FROM_SCRATCH = (
    "This model was trained from scratch, without pretrained weights: with a network, or with --set weights=FILE, it "
    "needs far fewer images. See rcl logs for why."
)


@dataclass(frozen=True, slots=True)
class Request:
    """What to train.

    Args:
        source: a folder of pictures, a manifest or an export; None to train again on the datasets of `name`.
        name: of the project; None for that of the source.
        form: the source's format, found out if it is not given.
        images: where to look for images that lie elsewhere than the source says.
        options: training options.
        report: whether a page about the model is written, into the current folder.
        start: whether the model is started.
    """

    source: Path | None = None
    name: str | None = None
    form: str | None = None
    images: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    report: bool = True
    start: bool = True

    def __post_init__(self) -> None:
        """Whether it makes sense: what is wrong with options must not be found out when the datasets are there.

        Raises:
            UsageError: there is nothing to train on.
            InvalidParameter: an option makes no sense.
        """
        if self.source is None and self.name is None:
            raise UsageError(
                "Give a folder, a manifest or an export to train on, or --name of a project with datasets."
            )
        resolve_options(self.options)


def train(context: Context, request: Request, tell: Tell) -> str:
    """From labelled images to a running model; returns the version's ARN.

    Raises:
        UsageError: there is nothing to train on.
        RclError: the training did not begin, and nothing was made; or it failed, or the model did not start.
        KeyboardInterrupt: a training that has begun goes on.
    """
    making = None
    project_name = request.name or project_name_of(request.source or Path())
    if request.source is not None:
        making = _make_datasets(context, request, request.source, project_name, tell)
    version_arn, short = _begun(context, project_name, request, making, tell)
    try:
        _go_through(context, request, project_name, version_arn, short, tell)
    except KeyboardInterrupt:
        tell(Left(short, named_version(context, version_arn).status == VersionStatus.TRAINING_IN_PROGRESS))
        raise
    return version_arn


def _begun(context: Context, project_name: str, request: Request, making: Making | None, tell: Tell) -> tuple[str, str]:
    """Begin to train; the ARN and the short name of the version.

    Args:
        making: the datasets that were made for it: they go if it does not begin, so that it can be tried again.
    """
    name = next_version_name(context, project_name)
    try:
        version_arn = begin_training(context, project_name, request.options, tell)
    except BaseException as error:
        # Ctrl-C may have come when it had begun already.
        if (begun := _version_arn(context, project_name, name)) is not None:
            tell(Begun(begun, f"{project_name}/{name}"))
            tell(Left(f"{project_name}/{name}", is_training=True))
        elif making is not None:
            making.undo(error)
        raise
    short = "/".join(version_arn.split(":")[5].split("/")[1:4:2])
    tell(Begun(version_arn, short))
    return version_arn, short


def _version_arn(context: Context, project_name: str, name: str) -> str | None:
    with context.database.read() as db:
        project = projects.by_name(db, project_name)
        version = versions.by_name(db, project.id, name) if project else None
    return version.arn if version else None


def _go_through(
    context: Context, request: Request, project_name: str, version_arn: str, short: str, tell: Tell
) -> None:  # fmt: skip
    """Everything from the beginning of a training on."""
    follow(context, version_arn, tell)
    tell(Evaluated(version_arn, evaluation_of(context, version_arn)))
    version = named_version(context, version_arn)
    card, extra = read_card(context.layout.model(version.id))
    if rows := extra.get("contest"):
        tell(Contested(tuple(rows)))
    if (ahead := extra.get("outlook")) is not None:
        tell(Warned(Outlook(**ahead).sentence()))
    if card.weights_source.startswith("none"):
        tell(Warned(_FROM_SCRATCH))
    # Small test sets have few scores: labels count from a little below their lowest right one on.
    relax(context, version, ())
    tell(Relaxed(short))
    _tell_of_the_one_before(context, project_name, version.name, tell)
    if request.report:
        _write_report(context, version, Path(f"{short.replace('/', '-')}-report.html"), tell)
    if not request.start:
        tell(Ready(short))
        return
    _start(context, version_arn, tell)
    tell(Running(version_arn, short))


def _make_datasets(context: Context, request: Request, source: Path, project_name: str, tell: Tell) -> Making:
    notes = Notes()
    step = counter("reading", tell)
    with collected(source, request.form, request.images, None, notes, step) as found:
        if missing := buckets_not_there(context, found):
            raise RclError(f"Images are in buckets that are not there: {', '.join(missing)}. {WHERE_BUCKETS_LIE}.")
        making = make_datasets(context, found, project_name, notes)
        with making.or_undone():
            tell(Understood(found.parts(), tuple(notes.lines())))
            for one in making.called:
                tell(one)
    return making


def follow(context: Context, version_arn: str, tell: Tell) -> None:
    """Watch a training until it ends.

    Raises:
        RclError: it failed.
    """
    while True:
        version = named_version(context, version_arn)
        tell(Standing(version_arn, version.status, version.message, progress_of(context, version)))
        if version.status != VersionStatus.TRAINING_IN_PROGRESS:
            break
        time.sleep(_POLL_S)
    if version.status == VersionStatus.TRAINING_FAILED:
        raise RclError(f"The training failed: {version.message}")


def _tell_of_the_one_before(context: Context, project_name: str, name: str, tell: Tell) -> None:
    before = next((row for row in versions_of(context, project_name) if row.f1 is not None and row.name != name), None)
    if before is not None:
        tell(Preceded(f"{project_name}/{before.name}", f"{project_name}/{name}"))


def _write_report(context: Context, version: Version, target: Path, tell: Tell) -> None:
    try:
        write_report(context, version, target)
    except RclError as error:
        # The model is trained all the same.
        tell(Warned(f"No report was written: {error}"))
    else:
        tell(Wrote("A report for your browser", target))


def _start(context: Context, version_arn: str, tell: Tell) -> None:
    """Start the model, and wait until it runs.

    Raises:
        RclError: it did not.
    """
    params: dict[str, object] = {"ProjectVersionArn": version_arn, "MinInferenceUnits": 1}
    tell(Called("StartProjectVersion", params, invoke(context, "StartProjectVersion", params)))
    while (version := named_version(context, version_arn)).status == VersionStatus.STARTING:
        time.sleep(_POLL_S)
    if version.status != VersionStatus.RUNNING:
        raise RclError(f"The model did not start: {version.message}")


def project_name_of(source: Path) -> str:
    """A project's name after a folder or file."""
    stem = source.resolve().name if source.is_dir() else source.resolve().stem
    return _UNWANTED.sub("-", stem).strip("-.")[:_MOST_NAME_CHARS] or "project"


def next_version_name(context: Context, project_name: str) -> str:
    """`v1`, `v2`, …: the first that is free."""
    with context.database.read() as db:
        project = projects.by_name(db, project_name)
        number = 1
        while project and versions.by_name(db, project.id, f"v{number}"):
            number += 1
    return f"v{number}"


def begin_training(context: Context, project_name: str, options: Mapping[str, str], tell: Tell) -> str:
    """Begin to train on a project's datasets; returns the version's ARN.

    Args:
        options: training options.

    Raises:
        UsageError: the project has no datasets.
    """
    with context.database.read() as db:
        project = projects.by_name(db, project_name)
        kinds = {dataset.type for dataset in datasets.of_project(db, project.id)} if project else set()
    if project is None or "TRAIN" not in kinds:
        raise UsageError(f"The project {project_name} has no images to train on: give a folder or a manifest.")
    params: dict[str, object] = {
        "ProjectArn": project.arn,
        "VersionName": next_version_name(context, project_name),
        "OutputConfig": {"S3Bucket": BUCKET, "S3KeyPrefix": f"{project_name}/output"},
    }
    if options:
        params["Tags"] = {f"{TAG_PREFIX}{name}": value for name, value in options.items()}
    made = invoke(context, "CreateProjectVersion", params)
    tell(Called("CreateProjectVersion", params, made))
    return str(made["ProjectVersionArn"])
