"""`rcl dataset`: labelled images in and out, looked at and checked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rcl_cli.cli.terminal import console, put, say
from rcl_cli.formats.registry import FORMATS, WRITTEN

if TYPE_CHECKING:
    from rcl_cli.local.datasets.checking.findings import Finding

_FORMATS = tuple(FORMATS)
_SHOWN_FINDINGS = 10


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
@click.option("--copy-to", metavar="S3-URL", help="Copy the images into a bucket: s3://BUCKET, or s3://BUCKET/PREFIX.")
@click.pass_obj
def import_(
    settings: Any, source: Path, form: str | None, images: Path | None, project: str | None, out: Path | None,
    part: str | None, copy_to: str | None,
) -> None:  # fmt: skip
    """Make datasets, or manifests, from labelled images of other tools.

    SOURCE is a folder of images for each label, a CSV file, or an export: COCO, YOLO, Pascal VOC, Label Studio, CVAT,
    or a Ground Truth manifest. Images stay where they are, unless --copy-to names a bucket for them. Parts for testing
    are kept apart; validation images are for testing where there are no others.

    Example: rcl dataset import ./photos --project pets
    """
    from rcl_cli.cli.local.showing import Shown
    from rcl_cli.local.datasets.imports import Request, import_images

    request = Request(source, project, out, form, images, part, copy_to)
    with Shown(calls=False) as shown:
        made = import_images(settings.context(), request, shown)
    for line in made:
        say(line)


@dataset.command()
@click.argument("source")
@click.option("--format", "form", required=True, type=click.Choice(WRITTEN), help="What to write.")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="An empty folder, or a new one.")
@_images
@click.pass_obj
def export(settings: Any, source: str, form: str, out: Path, images: Path | None) -> None:
    """Write datasets, with their images, in the format of another tool.

    SOURCE is a project's name, PROJECT/train, PROJECT/test, a dataset's ARN, or whatever `rcl dataset import` reads.

    Example: rcl dataset export circuits --format coco -o ./circuits-coco
    """
    from rcl_cli.cli.local.showing import Shown
    from rcl_cli.local.datasets.exports import export_images

    with Shown() as shown:
        export_images(settings.context(), source, form, out, images, shown)
    say(str(out))


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
    from rcl_cli.cli.local.showing import Shown
    from rcl_cli.local.datasets.sheets import Request, Wanted
    from rcl_cli.local.datasets.sheets import show as write_sheet

    request = Request(source, Wanted(count, labels, part, seed), out, columns, form, images)
    with Shown() as shown:
        target = write_sheet(settings.context(), request, shown)
    say(str(target))


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
    from rcl_cli.cli.local.showing import Shown
    from rcl_cli.local.datasets.checks import Request, check_images, is_bad_enough

    request = Request(sources, form, images)
    with Shown() as shown:
        found = check_images(ctx.obj.context(), request, shown)
    if as_json:
        for one in found:
            put(json.dumps({**one._asdict(), "severity": one.severity, "fix": one.fix}, ensure_ascii=False) + "\n")
    else:
        _show_findings(found, shows_all)
    if is_bad_enough(found, fail_on):
        ctx.exit(1)


def _show_findings(found: Sequence[Finding], shows_all: bool) -> None:
    """A paragraph a kind: what it is, what to do, where."""
    shown = console()
    for kind, group in groupby(found, key=lambda one: one.kind):
        same = list(group)
        colour = "red" if same[0].severity == "error" else "yellow"
        shown.print(f"{same[0].severity}: {kind} ({len(same)})", style=f"bold {colour}")
        for one in same if shows_all else same[:_SHOWN_FINDINGS]:
            where = "" if len(one.images) != 1 else f"{one.images[0]}: "
            part = f"{one.part}: " if one.part else ""
            shown.print(f"  {part}{where}{one.detail}", soft_wrap=True)
        if len(same) > _SHOWN_FINDINGS and not shows_all:
            shown.print(f"  … and {len(same) - _SHOWN_FINDINGS} more: --all shows them")
        shown.print(f"  → {same[0].fix}\n")
    errors = sum(one.severity == "error" for one in found)
    say(f"{errors} error(s), {len(found) - errors} warning(s)", err=True)
