"""`rcl dataset`: labelled images in and out, looked at and checked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rcl_cli.errors import UsageError

if TYPE_CHECKING:
    from rcl_cli.formats.record import Notes
    from rcl_cli.service.context import Context
    from rcl_cli.service.labelled import Count

_FORMATS = ("manifest", "folders", "csv", "coco", "yolo", "voc", "labelstudio", "cvat")
_WRITTEN = ("coco", "yolo", "voc", "folders", "csv", "manifest")
_SHOWN_LABELS = 20

_images = click.option(
    "--images",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder to look for images in, if they lie elsewhere than the files say.",
)


@click.group()
def dataset() -> None:
    """Bring labelled images in and out, look at them, and check them."""


@dataset.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(_FORMATS), help="Found out if it is not given.")
@_images
@click.option("--project", metavar="NAME", help="Make the datasets of this project; the project is made if need be.")
@click.option("-o", "--out", type=click.Path(file_okay=False, path_type=Path), help="Write manifests into this folder.")
@click.option("--part", type=click.Choice(["train", "test"]), help="Take all of it for training, or for testing.")
@click.pass_obj
def import_(
    settings: Any, source: Path, form: str | None, images: Path | None, project: str | None, out: Path | None,
    part: str | None,
) -> None:  # fmt: skip
    """Make datasets, or manifests, from labelled images of other tools.

    SOURCE is a folder of images for each label, a CSV file, or an export: COCO, YOLO, Pascal VOC, Label Studio, CVAT,
    or a Ground Truth manifest. Images stay where they are. Parts for testing are kept apart; validation images are
    for testing where there are no others.

    Example: rcl dataset import ./photos --project pets
    """
    from rcl_cli.formats.record import Notes
    from rcl_cli.service.labelled import collected, make_datasets, write_manifests

    if (project is None) == (out is None):
        raise UsageError("Give either --project, to make its datasets, or --out, to write manifests.")
    notes = Notes()
    with counting("reading") as step, collected(source, form, images, part, notes, step) as found:
        if out is not None:
            done = [str(path) for path in write_manifests(found, out)]
        else:
            called = make_datasets(settings.context(), found, str(project))
            done = [str(call.result["DatasetArn"]) for call in called if call.operation == "CreateDataset"]
        summary(found.parts(), notes)
    for line in done:
        click.echo(line)


@dataset.command()
@click.argument("source")
@click.option("--format", "form", required=True, type=click.Choice(_WRITTEN), help="What to write.")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="An empty folder, or a new one.")
@_images
@click.pass_obj
def export(settings: Any, source: str, form: str, out: Path, images: Path | None) -> None:
    """Write datasets, with their images, in the format of another tool.

    SOURCE is a project's name, PROJECT/train, PROJECT/test, a dataset's ARN, or whatever `rcl dataset import` reads.

    Example: rcl dataset export circuits --format coco -o ./circuits-coco
    """
    from rcl_cli.formats.record import Notes
    from rcl_cli.service.labelled import export as write

    context: Context = settings.context()
    notes = Notes()
    with counting("writing") as step:
        counts = write(context, source, images, form, out, notes, step)
    summary(counts, notes)
    click.echo(str(out))


# --- what people see --------------------------------------------------------------------------------------------------


@contextmanager
def counting(what: str) -> Iterator[Callable[[int], None]]:
    """A counter on a terminal, for work of unknown length."""
    if not sys.stderr.isatty():
        yield lambda _number: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description} {task.completed}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as display:
        task = display.add_task(what, total=None)
        yield lambda number: display.update(task, completed=number)


def summary(counts: dict[str, Count], notes: Notes) -> None:
    """What there was, as a table, and what was left out, on stderr."""
    from rich.console import Console
    from rich.table import Table

    table = Table()
    table.add_column("label")
    for part in counts:
        table.add_column(f"{part}: images", justify="right")
        table.add_column("boxes", justify="right")
    labels = sorted({label for count in counts.values() for label in count.labels})
    for label in labels[:_SHOWN_LABELS]:
        cells = [str(n) for count in counts.values() for n in (count.labels[label], count.boxes[label])]
        table.add_row(repr(label) if label != label.strip() else label, *cells)
    if len(labels) > _SHOWN_LABELS:
        table.add_row(f"… and {len(labels) - _SHOWN_LABELS} more")
    table.add_section()
    unlabelled = [str(n) for count in counts.values() for n in (count.unlabelled, "")]
    table.add_row("without labels", *unlabelled)
    table.add_row("all", *(str(n) for count in counts.values() for n in (count.images, sum(count.boxes.values()))))
    console = Console(stderr=True, highlight=False)
    console.print(table)
    for line in notes.lines():
        console.print(line, markup=False)
