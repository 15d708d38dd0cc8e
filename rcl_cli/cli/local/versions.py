"""`rcl versions`: the versions of a project, at a glance."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from rcl_cli.cli.terminal import STATUS_COLOURS, console, put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcl_cli.local.home.overview import VersionRow


@click.command()
@click.argument("project")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a version.")
@click.pass_obj
def versions(settings: Any, project: str, as_json: bool) -> None:
    """Show the versions of a project, the newest first: how good they are, what they are, where they stand.

    PROJECT is a name or an ARN. F1 is the API's, with thresholds that fit the test images; on new images expect one in
    the span beside it (95 %).

    Example: rcl versions circuits
    """
    from rcl_cli.local.home.overview import versions_of

    rows = versions_of(settings.context(), project)
    if as_json:
        for row in rows:
            put(json.dumps(row._asdict(), ensure_ascii=False) + "\n")
        return
    _show_versions(rows)


def _show_versions(rows: Sequence[VersionRow]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for heading in ("version", "status", "F1", "on new images", "model", "trained on", "made", "MB"):
        table.add_column(heading, justify="right" if heading in ("F1", "on new images", "MB") else "left")
    for row in rows:
        table.add_row(
            row.name,
            Text(row.status, style=STATUS_COLOURS.get(row.status, "")),
            "" if row.f1 is None else f"{row.f1:.3f}",
            _span(row.expected),
            row.model,
            "" if row.training_images is None else f"{row.training_images} images",
            time.strftime("%Y-%m-%d %H:%M", time.localtime(row.created_ms / 1000)),
            f"{row.size_bytes / 1e6:.0f}" if row.size_bytes else "",
        )
    console().print(table)


def _span(expected: dict[str, float] | None) -> str:
    return "" if expected is None else f"{expected['low']:.2f}–{expected['high']:.2f}"
