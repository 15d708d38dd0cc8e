"""What a training of a project's images would be like if it began now, and why; told by a process of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rcl_cli.child import command, environment
from rcl_cli.context import Context
from rcl_cli.errors import RclError, UsageError
from rcl_cli.local.datasets.sources import lines_of
from rcl_cli.operations.outputs import making
from rcl_cli.operations.resources import find_project
from rcl_cli.scratch import scratch
from rcl_cli.store import datasets, tags
from rcl_cli.training import job as jobs
from rcl_cli.training.job import TrainingJob
from rcl_cli.training.options import from_tags, resolve_options

_LONGEST_S = 300
Foreseer = subprocess.Popen[bytes]
ASKED = "Asked for, here or in the settings."


class Choice(NamedTuple):
    """What would be decided about something.

    Args:
        what: an option of trainings, or what the plan is besides.
        is_asked: somebody asked for it: a tag of the project, a setting, or an option that was given.
    """

    what: str
    value: str
    why: str
    is_asked: bool


class Foresight(NamedTuple):
    """A plan; or why there would be none.

    Args:
        trouble: what the training would end with at once; empty else.
    """

    trouble: str
    choices: tuple[Choice, ...]


def foresee(
    context: Context, project_arn: str, given: Mapping[str, str], begun: Callable[[Foreseer], None] = lambda _: None
) -> Foresight:
    """Plan, as a training that began now would.

    Args:
        given: options for this training.
        begun: given the process, for who may want to end it.

    Raises:
        ResourceNotFound: there is no such project.
        UsageError: it has no images to train on, or a device or weights that are asked for are not there.
        InvalidParameter: an option that does not exist, or a value that it can't have.
        RclError: the process failed.
    """
    with context.database.read() as db:
        project = find_project(db, project_arn)
        inherited = from_tags(tags.of(db, project.arn))
        there = {one.type: one for one in datasets.of_project(db, project.id)}
    if "TRAIN" not in there:
        raise UsageError(f"The project {project.name} has no images to train on.")
    sources = (context.config.training, inherited, given)
    params = {"VersionName": "", "OutputConfig": {}}
    job = TrainingJob(
        making(context, "", project.name, params), params, resolve_options(*sources), context.layout.weights_cache,
        context.config.offline, Path(),
    )  # fmt: skip
    with scratch("foresight") as folder:
        for kind, name in (("TRAIN", jobs.TRAINING_MANIFEST), ("TEST", jobs.TESTING_MANIFEST)):
            if kind in there:
                with (folder / name).open("w", encoding="utf-8", newline="\n") as out:
                    out.writelines(f"{line}\n" for line in lines_of(context, there[kind]))
        (folder / "job.json").write_text(json.dumps(job.as_json()), encoding="utf-8")
        document = _told(folder, begun)
    if "refused" in document:
        raise UsageError(document["refused"])
    named = {name for source in sources for name in source}
    choices = tuple(
        Choice(what, value, ASKED if what in named else why, what in named) for what, value, why in document["choices"]
    )
    return Foresight(document["trouble"], choices)


def _told(folder: Path, begun: Callable[[Foreseer], None]) -> dict[str, Any]:
    """What the process says of a folder.

    Raises:
        RclError: it failed.
    """
    words = command("rcl_cli.training.foreseer", str(folder))
    try:
        process = subprocess.Popen(
            words, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        with process:
            begun(process)
            try:
                out, err = process.communicate(timeout=_LONGEST_S)
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            said = err.decode("utf-8", "replace").strip().splitlines() or [f"it ended with {process.returncode}"]
            raise RclError(f"The plan could not be made: {said[-1]}.")
        document: dict[str, Any] = json.loads(out)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise RclError(f"The plan could not be made: {error}.") from error
    return document
