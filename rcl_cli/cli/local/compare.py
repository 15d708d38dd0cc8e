"""`rcl compare`: two trained versions side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rcl_cli.cli.terminal import console, put, say

if TYPE_CHECKING:
    from rcl_cli.local.models.comparison import Changed, Comparison

_SHOWN_IMAGES = 5
_LEVEL = 0.0005


@click.command()
@click.argument("first")
@click.argument("second")
@click.option(
    "-o", "--out", type=click.Path(dir_okay=False, path_type=Path),
    help="HTML file to write too, with the images that changed most.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def compare(settings: Any, first: str, second: str, out: Path | None, as_json: bool) -> None:
    """Compare two trained versions on the test images that both were judged on.

    Figures of each label, whether the difference is more than chance, which images came out better and worse, and what
    the versions were made with. FIRST and SECOND are ARNs, PROJECT/VERSION, or a PROJECT, for its latest version.

    Example: rcl compare circuits/v1 circuits/v2
    """
    from rcl_cli.local.models import comparison as service
    from rcl_cli.local.models.watching import named_version

    context = settings.context()
    found = service.compare(context, named_version(context, first), named_version(context, second))
    if as_json:
        put(json.dumps(found.as_json(), ensure_ascii=False) + "\n")
    else:
        _show(found)
        console().print(service.said_of(found))
    if out is not None:
        service.write_comparison(context, found, out)
        say(f"A page with the images: {out}", err=True)


def _show(found: Comparison) -> None:
    from rich.table import Table

    first, second = found.sides
    table = Table(title=f"{first.title} → {second.title}")
    for heading in ("label", "F1", "precision", "recall", "average precision", "in test"):
        table.add_column(heading, justify="left" if heading == "label" else "right")
    for label, row in found.labels.items():
        cells = [_change(*row[name]) for name in ("f1", "precision", "recall", "average_precision")]
        table.add_row(label, *cells, str(row["positives"]))
    table.add_section()
    table.add_row("all", *(_change(*pair) for pair in found.overall.values()))
    console().print(table)
    if found.differing:
        made = Table()
        for heading in ("made with", first.title, second.title):
            made.add_column(heading)
        for key, (before, after) in found.differing.items():
            made.add_row(*("–" if cell is None else str(cell) for cell in (key.replace("_", " "), before, after)))
        console().print(made)
    _show_images(f"Better in {second.title}", found.better)
    _show_images(f"Worse in {second.title}", found.worse)


def _change(before: float, after: float) -> Any:
    """Both figures, coloured by which way it goes."""
    from rich.text import Text

    style = "" if abs(after - before) < _LEVEL else "green" if after > before else "red"
    return Text(f"{before:.3f} → {after:.3f}", style=style)


def _show_images(heading: str, images: tuple[Changed, ...]) -> None:
    names = ", ".join(one.images[0].source_ref.rpartition("/")[2] for one in images[:_SHOWN_IMAGES])
    more = ", …" if len(images) > _SHOWN_IMAGES else ""
    console().print(f"{heading}: {len(images)} images{': ' if names else ''}{names}{more}")
