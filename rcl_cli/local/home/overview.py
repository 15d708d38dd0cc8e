"""What there is: projects with their images and newest versions, and versions with how good they are."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from typing import Any, NamedTuple

from rcl_cli.backends.registry import read_card
from rcl_cli.compute.launcher import Usage, launcher
from rcl_cli.compute.places import host_of, making_of
from rcl_cli.config import cpu_cores
from rcl_cli.context import Context
from rcl_cli.errors import ConfigError, ResourceNotFound
from rcl_cli.operations.contents import settle_datasets
from rcl_cli.operations.progress import message_of
from rcl_cli.operations.settle import settle_versions
from rcl_cli.status import HOSTED, WORKED_ON, VersionStatus
from rcl_cli.store import datasets, projects, versions
from rcl_cli.store.versions import Version

_MOST = 100_000


class VersionRow(NamedTuple):
    """A version at a glance.

    Args:
        f1: of its evaluation, None where it has none.
        expected: F1 to expect on new images, `f1`, `low` and `high`; None where that can't be told.
        model: the architecture, empty where it is not trained.
        size_bytes: of its files.
    """

    name: str
    arn: str
    status: str
    message: str
    f1: float | None
    expected: dict[str, float] | None
    model: str
    training_images: int | None
    created_ms: int
    size_bytes: int


class ProcessRow(NamedTuple):
    """A process of a version that is trained or runs.

    Args:
        does: what its version's status says.
        workers: processes that it has itself; of a host those that answer.
        memory_bytes: of all of them, what they share counted more than once; None for one of another container.
        message: where a training stands.
    """

    version: str
    does: str
    where: str
    workers: int
    memory_bytes: int | None
    message: str


class ProjectRow(NamedTuple):
    """A project at a glance.

    Args:
        training, testing: entries of its datasets, None where it has none.
        running: how many of its versions run.
    """

    name: str
    arn: str
    training: int | None
    testing: int | None
    running: int
    newest: VersionRow | None

    def as_json(self) -> dict[str, Any]:
        return {**self._asdict(), "newest": self.newest._asdict() if self.newest else None}


def _row(context: Context, version: Version) -> VersionRow:
    folder = context.layout.model(version.id)
    model, images, on_new_images = "", None, None
    try:
        card, extra = read_card(folder)
        model, images = card.model, extra.get("data", {}).get("training_images")
        on_new_images = extra.get("expected")
    except ConfigError:
        pass
    size = sum(path.stat().st_size for path in folder.iterdir()) if folder.is_dir() else 0
    f1 = version.result.get("EvaluationResult", {}).get("F1Score")
    return VersionRow(
        version.name, version.arn, version.status, version.message, f1, on_new_images, model, images,
        version.created_ms, size,
    )  # fmt: skip


def versions_of(context: Context, project: str) -> list[VersionRow]:
    """The versions of a project, newest first.

    Args:
        project: name or ARN.

    Raises:
        ResourceNotFound: there is no such project.
    """
    settle_versions(context)
    with context.database.read() as db:
        found = projects.by_arn(db, project) if project.startswith("arn:") else projects.by_name(db, project)
        if found is None:
            raise ResourceNotFound(f"There is no project {project}; rcl status lists them.")
        every = versions.page(db, found.id, None, None, _MOST)
    return [_row(context, version) for version in every]


class Overview(NamedTuple):
    """What there is and what is at work.

    Args:
        running: how many models run.
        free_bytes: of the disk that the home is on.
    """

    projects: list[ProjectRow]
    processes: list[ProcessRow]
    running: int
    device: str
    free_bytes: int


def overview(context: Context) -> Overview:
    """Projects, what is at work, the device, and the disk."""
    every = projects_of(context)
    free = shutil.disk_usage(context.layout.home).free
    return Overview(every, processes_of(context), sum(row.running for row in every), device_name(), free)


def projects_of(context: Context) -> list[ProjectRow]:
    """All projects, newest first."""
    settle_versions(context)
    settle_datasets(context)
    found = []
    with context.database.read() as db:
        for project in projects.page(db, None, None, _MOST):
            entries = {dataset.type: dataset.state.total_entries for dataset in datasets.of_project(db, project.id)}
            every = versions.page(db, project.id, None, None, _MOST)
            running = sum(version.status == VersionStatus.RUNNING for version in every)
            newest = _row(context, every[0]) if every else None
            found.append(
                ProjectRow(project.name, project.arn, entries.get("TRAIN"), entries.get("TEST"), running, newest)
            )
    return found


def processes_of(context: Context) -> list[ProcessRow]:
    """Everything that works at the moment, or holds a model ready."""
    found = []
    with context.database.read() as db:
        named = [
            (project.name, version)
            for project in projects.page(db, None, None, _MOST)
            for version in versions.page(db, project.id, None, None, _MOST)
            if version.status in WORKED_ON
        ]
    for project_name, version in named:
        folder = (host_of if version.status in HOSTED else making_of)(context.layout, version.id)
        if not launcher().is_at_work(folder):
            continue
        usage = launcher().usage(folder) or Usage("elsewhere", 0, None)
        name, message = f"{project_name}/{version.name}", message_of(context, version)
        found.append(ProcessRow(name, version.status, usage.where, usage.processes, usage.memory_bytes, message))
    return found


def device_name() -> str:
    """What models are trained on here, without asking torch, which takes seconds to import."""
    if shutil.which("nvidia-smi"):
        words = ["nvidia-smi", "--query-gpu=name,memory.used,memory.total", "--format=csv,noheader"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip():
            name, used, total = (part.strip() for part in done.stdout.splitlines()[0].rsplit(",", 2))
            return f"{name}, {used} of {total} in use"
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return "Apple GPU"
    return f"CPU, {cpu_cores()} core(s)"
