"""`rcl dataset`: labelled images in and out, looked at and checked."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rcl_cli.cli.terminal import console
from rcl_cli.errors import UsageError
from rcl_cli.formats.registry import FORMATS
from rcl_cli.local.writing import write_file, write_text

if TYPE_CHECKING:
    from rcl_cli.context import Context
    from rcl_cli.local.datasets.checking.findings import Finding
    from rcl_cli.local.datasets.sources import Count

_FORMATS = tuple(FORMATS)
_WRITTEN = ("coco", "yolo", "voc", "folders", "csv", "manifest")
_SHOWN_LABELS = 20
_SHOWN_FINDINGS = 10
# The side of an image on a contact sheet.
_SHEET_PX = 320
# JPEG has 65 500 pixels at most; each row has captions too.
_MOST_PICTURE_PX = 50_000


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
    from rcl_cli.local.datasets.imports import (
        WHERE_BUCKETS_LIE,
        buckets_not_there,
        collected,
        make_datasets,
        write_manifests,
    )

    if (project is None) == (out is None):
        raise UsageError("Give either --project, to make its datasets, or --out, to write manifests.")
    notes = Notes()
    with counting("reading") as step, collected(source, form, images, part, notes, step) as found:
        context: Context = settings.context()
        for bucket in buckets_not_there(context, found):
            notes.add(f"buckets are not there ({WHERE_BUCKETS_LIE})", bucket)
        if out is not None:
            done = [str(path) for path in write_manifests(found, out)]
        else:
            called = make_datasets(context, found, str(project), notes)
            done = [str(call.result["DatasetArn"]) for call in called if call.operation == "CreateDataset"]
        summary(found.parts(), notes.lines())
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
    from rcl_cli.local.datasets.exports import export as write

    context: Context = settings.context()
    notes = Notes()
    with counting("writing") as step:
        counts = write(context, source, images, form, out, notes, step)
    summary(counts, notes.lines())
    click.echo(str(out))


@dataset.command()
@click.argument("source")
@click.option(
    "-o", "--out", type=click.Path(dir_okay=False, path_type=Path),
    help="HTML, PNG or JPEG file to write.  [default: SOURCE-images.html]",
)  # fmt: skip
@click.option("--count", type=click.IntRange(1, 2000), default=60, show_default=True, help="Images at most.")
@click.option("--label", "labels", multiple=True, metavar="LABEL", help="Images with this label; may be given again.")
@click.option("--part", type=click.Choice(["train", "test"]), help="Images of this part only.")
@click.option("--seed", default=0, show_default=True, help="Other seeds choose other images.")
@click.option("--columns", type=click.IntRange(1, 50), default=6, show_default=True, help="Of a PNG or JPEG.")
@click.option("--format", "form", type=click.Choice(_FORMATS), help="Found out if it is not given.")
@_images
@click.pass_obj
def show(
    settings: Any, source: str, out: Path | None, count: int, labels: tuple[str, ...], part: str | None, seed: int,
    columns: int, form: str | None, images: Path | None,
) -> None:  # fmt: skip
    """Make a contact sheet: images with their labels and boxes, as a page for the browser or as a picture.

    The images are chosen by chance over all of them. SOURCE is a project's name, PROJECT/train, a dataset's ARN, or
    whatever `rcl dataset import` reads.

    Example: rcl dataset show circuits -o sheet.png
    """
    from rcl_cli.formats.record import Notes
    from rcl_cli.local.datasets.sheets import Wanted, sheet_of

    # An ARN is no good name of a file.
    target = out or Path(f"{Path(source.rpartition(':')[2]).name or 'dataset'}-images.html")
    is_page = target.suffix.lower() in (".html", ".htm")
    if not is_page and target.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UsageError(f"--out {target}: the name must end in .html, .png or .jpg")
    if not is_page and -(-count // columns) * _SHEET_PX > _MOST_PICTURE_PX:
        raise UsageError(f"--count {count} is too much for one picture: use more --columns, or a page (.html).")
    wanted, notes = Wanted(count, labels, part, seed), Notes()
    with counting("looking at images") as step:
        sheet = sheet_of(settings.context(), source, form, images, wanted, _SHEET_PX, target, notes, step)
    if is_page:
        from rcl_cli.render.sheet import sheet_page

        write_text(target, sheet_page(sheet))
    else:
        from rcl_cli.render.sheet import sheet_picture

        write_file(target, sheet_picture(sheet, columns, _SHEET_PX).save)
    for line in notes.lines():
        click.echo(line, err=True)
    click.echo(str(target))


@dataset.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE…")
@click.option("--format", "form", type=click.Choice(_FORMATS), help="Found out if it is not given.")
@_images
@click.option("--json", "as_json", is_flag=True, help="A JSON object a finding.")
@click.option("--all", "shows_all", is_flag=True, help="Every finding, however many there are of a kind.")
@click.option(
    "--fail-on", type=click.Choice(["error", "warning", "never"]), default="error", show_default=True,
    help="From what on the exit code is 1.",
)  # fmt: skip
@click.pass_context
def check(
    ctx: click.Context, sources: tuple[str, ...], form: str | None, images: Path | None, as_json: bool,
    shows_all: bool, fail_on: str,
) -> None:  # fmt: skip
    """Look for what spoils a model: broken images, copies, odd boxes, slips in labels, leaks into the test set.

    SOURCE is a project's name, PROJECT/train, a dataset's ARN, or whatever `rcl dataset import` reads; of two, the
    first is for training and the second for testing. Every finding comes with its images and what to do.

    Example: rcl dataset check circuits
    """
    from rcl_cli.formats.record import Notes
    from rcl_cli.local.datasets.checks import check_datasets

    if len(sources) > 2:
        raise UsageError("Give one source, or two: the first for training, the second for testing.")
    notes = Notes(most=sys.maxsize)
    with counting("looking at images") as step:
        found = check_datasets(ctx.obj.context(), sources, form, images, notes, step)
    if as_json:
        for one in found:
            click.echo(json.dumps({**one._asdict(), "severity": one.severity, "fix": one.fix}, ensure_ascii=False))
    else:
        _show_findings(found, shows_all)
    if fail_on != "never" and any(one.severity == "error" or fail_on == "warning" for one in found):
        ctx.exit(1)


def _show_findings(found: Sequence[Finding], shows_all: bool) -> None:
    """A paragraph a kind: what it is, what to do, where."""
    from rich.text import Text

    shown = console()
    for kind, group in groupby(found, key=lambda one: one.kind):
        same = list(group)
        colour = "red" if same[0].severity == "error" else "yellow"
        shown.print(Text(f"{same[0].severity}: {kind} ({len(same)})", style=f"bold {colour}"))
        for one in same if shows_all else same[:_SHOWN_FINDINGS]:
            where = "" if len(one.images) != 1 else f"{one.images[0]}: "
            part = f"{one.part}: " if one.part else ""
            shown.print(Text(f"  {part}{where}{one.detail}"), soft_wrap=True)
        if len(same) > _SHOWN_FINDINGS and not shows_all:
            shown.print(f"  … and {len(same) - _SHOWN_FINDINGS} more: --all shows them")
        shown.print(Text(f"  → {same[0].fix}\n"))
    errors = sum(one.severity == "error" for one in found)
    click.echo(f"{errors} error(s), {len(found) - errors} warning(s)", err=True)


# --- what people see --------------------------------------------------------------------------------------------------


@contextmanager
def counting(what: str) -> Iterator[Callable[[int], None]]:
    """A counter on a terminal, for work of unknown length."""
    if not sys.stderr.isatty():
        yield lambda _number: None
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description} {task.completed}"), TimeElapsedColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as display:
        task = display.add_task(what, total=None)
        yield lambda number: display.update(task, completed=number)


def summary(counts: Mapping[str, Count], lines: Iterable[str]) -> None:
    """What there was, as a table, and what was left out, on stderr."""
    from rich.table import Table

    has_boxes = any(count.boxes for count in counts.values())
    table = Table()
    table.add_column("label")
    for part in counts:
        table.add_column(f"{part}: images", justify="right")
        if has_boxes:
            table.add_column("boxes", justify="right")
    labels = sorted({label for count in counts.values() for label in count.labels})

    def row(name: str, numbers: Callable[[Count], tuple[object, object]]) -> None:
        pairs = [numbers(count) for count in counts.values()]
        table.add_row(name, *(str(n) for pair in pairs for n in (pair if has_boxes else pair[:1])))

    for label in labels[:_SHOWN_LABELS]:
        name = repr(label) if label != label.strip() else label
        row(name, lambda count, label=label: (count.labels[label], count.boxes[label]))  # type: ignore[misc]
    if len(labels) > _SHOWN_LABELS:
        table.add_row(f"… and {len(labels) - _SHOWN_LABELS} more")
    table.add_section()
    row("without labels", lambda count: (count.unlabelled, ""))
    row("all", lambda count: (count.images, sum(count.boxes.values())))
    shown = console(stderr=True)
    shown.print(table)
    for line in lines:
        shown.print(line, markup=False, soft_wrap=True)
