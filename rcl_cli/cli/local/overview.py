"""`rcl status` and `rcl versions`: what there is, at a glance."""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING, Any

import click

from rcl_cli.cli.terminal import console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcl_cli.local.home.overview import ProcessRow, ProjectRow, VersionRow

_COLOURS = {"RUNNING": "green", "TRAINING_IN_PROGRESS": "cyan", "STARTING": "cyan"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="A JSON object a project.")
@click.pass_obj
def status(settings: Any, as_json: bool) -> None:
    """Show projects, their images, their newest versions, what is at work, the device, and the disk.

    Example: rcl status
    """
    from rcl_cli.local.home.overview import device_name, processes_of, projects_of

    context = settings.context()
    rows = projects_of(context)
    if as_json:
        for row in rows:
            click.echo(json.dumps(row.as_json(), ensure_ascii=False))
        return
    _show_projects(rows)
    if processes := processes_of(context):
        _show_processes(processes)
    free = shutil.disk_usage(context.layout.home).free
    running = sum(row.running for row in rows)
    click.echo(f"{running} model(s) running. Device: {device_name()}.")
    click.echo(f"{context.layout.home}: {free / 2**30:.1f} GiB free.")


@click.command()
@click.argument("project")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a version.")
@click.pass_obj
def versions(settings: Any, project: str, as_json: bool) -> None:
    """Show the versions of a project, the newest first: how good they are, what they are, where they stand.

    PROJECT is a name or an ARN.

    Example: rcl versions circuits
    """
    from rcl_cli.local.home.overview import versions_of

    rows = versions_of(settings.context(), project)
    if as_json:
        for row in rows:
            click.echo(json.dumps(row._asdict(), ensure_ascii=False))
        return
    _show_versions(rows)


def _show_projects(rows: Sequence[ProjectRow]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for heading in ("project", "training images", "test images", "newest version", "status", "F1"):
        table.add_column(heading, justify="right" if "images" in heading or heading == "F1" else "left")
    for row in rows:
        newest = row.newest
        table.add_row(
            Text(row.name),
            "" if row.training is None else str(row.training),
            "" if row.testing is None else str(row.testing),
            newest.name if newest else "",
            Text(newest.status, style=_COLOURS.get(newest.status, "")) if newest else "",
            f"{newest.f1:.3f}" if newest and newest.f1 is not None else "",
        )
    console().print(table)


def _show_processes(rows: Sequence[ProcessRow]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for heading in ("at work", "does", "process", "workers", "MB"):
        table.add_column(heading, justify="left" if heading in ("at work", "does") else "right")
    for row in rows:
        is_training = row.does == "TRAINING_IN_PROGRESS"
        does = row.message.partition(": ")[2].rstrip(".") if is_training else row.does
        memory = "" if row.memory_bytes is None else f"{row.memory_bytes / 1e6:.0f}"
        cells = (row.version, does, str(row.pid), "" if is_training else str(row.workers), memory)
        table.add_row(*(Text(cell) for cell in cells))
    console().print(table)


def _show_versions(rows: Sequence[VersionRow]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for heading in ("version", "status", "F1", "model", "trained on", "made", "MB"):
        table.add_column(heading, justify="right" if heading in ("F1", "MB") else "left")
    for row in rows:
        table.add_row(
            Text(row.name),
            Text(row.status, style=_COLOURS.get(row.status, "")),
            "" if row.f1 is None else f"{row.f1:.3f}",
            row.model,
            "" if row.training_images is None else f"{row.training_images} images",
            time.strftime("%Y-%m-%d %H:%M", time.localtime(row.created_ms / 1000)),
            f"{row.size_bytes / 1e6:.0f}" if row.size_bytes else "",
        )
    console().print(table)
