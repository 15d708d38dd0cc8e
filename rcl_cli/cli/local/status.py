"""`rcl status`: what there is and what is at work, at a glance."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from rcl_cli.cli.terminal import STATUS_COLOURS, console, put, say
from rcl_cli.status import VersionStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcl_cli.local.home.overview import ProcessRow, ProjectRow


@click.command()
@click.option("--json", "as_json", is_flag=True, help="A JSON object a project.")
@click.pass_obj
def status(settings: Any, as_json: bool) -> None:
    """Show projects, their images, their newest versions, what is at work, the device, and the disk.

    Example: rcl status
    """
    from rcl_cli.local.home.overview import overview, projects_of

    context = settings.context()
    if as_json:
        for row in projects_of(context):
            put(json.dumps(row.as_json(), ensure_ascii=False) + "\n")
        return
    found = overview(context)
    _show_projects(found.projects)
    if found.processes:
        _show_processes(found.processes)
    say(f"{found.running} model(s) running. Device: {found.device}.")
    say(f"{context.layout.home}: {found.free_bytes / 2**30:.1f} GiB free.")


def _show_projects(rows: Sequence[ProjectRow]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for heading in ("project", "training images", "test images", "newest version", "status", "F1"):
        table.add_column(heading, justify="right" if "images" in heading or heading == "F1" else "left")
    for row in rows:
        newest = row.newest
        table.add_row(
            row.name,
            "" if row.training is None else str(row.training),
            "" if row.testing is None else str(row.testing),
            newest.name if newest else "",
            Text(newest.status, style=STATUS_COLOURS.get(newest.status, "")) if newest else "",
            f"{newest.f1:.3f}" if newest and newest.f1 is not None else "",
        )
    console().print(table)


def _show_processes(rows: Sequence[ProcessRow]) -> None:
    from rich.table import Table

    table = Table()
    for heading in ("at work", "does", "where", "workers", "MB"):
        table.add_column(heading, justify="left" if heading in ("at work", "does") else "right")
    for row in rows:
        is_training = row.does == VersionStatus.TRAINING_IN_PROGRESS
        does = row.message.partition(": ")[2].rstrip(".") if is_training else row.does
        memory = "" if row.memory_bytes is None else f"{row.memory_bytes / 1e6:.0f}"
        cells = (row.version, does, row.where, "" if is_training else str(row.workers), memory)
        table.add_row(*cells)
    console().print(table)
