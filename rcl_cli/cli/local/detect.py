"""`rcl detect`: a model and many images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rcl_cli.cli.terminal import put, say
from rcl_cli.errors import RclError

if TYPE_CHECKING:
    from rcl_cli.local.detecting.asking import Answer

_SHOWN_ERRORS = 10


class SomeFailed(RclError):
    """Images about which nothing could be said."""


@click.command()
@click.argument("version")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE…")
@click.option("-o", "--out", type=click.Path(dir_okay=False, path_type=Path), help="File to write; without it, stdout.")
@click.option(
    "--format", "kind", type=click.Choice(["jsonl", "manifest"]), default="jsonl", show_default=True,
    help="CustomLabels a line, or Ground Truth lines for update-dataset-entries.",
)  # fmt: skip
@click.option(
    "--min-confidence",
    type=click.FloatRange(0, 100),
    metavar="NUMBER",
    help="For all labels, instead of their thresholds.",
)
@click.option("--max-results", type=click.IntRange(0), metavar="N", help="Labels an image at most.")
@click.option("--attribute", default="detected", show_default=True, help="Name of the label attribute in a manifest.")
@click.option("--resume", is_flag=True, help="Go on with --out after a kill; images that failed are tried again.")
@click.option(
    "--draw",
    type=click.Path(path_type=Path),
    metavar="FILE|FOLDER",
    help="Draw what is found: into a PNG or JPEG, or, of several images, into a folder.",
)
@click.option("--once", is_flag=True, help="Load the model here; it need not be running.")
@click.option(
    "--threads",
    type=click.IntRange(1, 256),
    metavar="N",
    default=16,
    show_default=True,
    help="Images asked about at once.",
)
@click.pass_obj
def detect(
    settings: Any, version: str, sources: tuple[str, ...], out: Path | None, kind: str, min_confidence: float | None,
    max_results: int | None, attribute: str, resume: bool, draw: Path | None, once: bool, threads: int,
) -> None:  # fmt: skip
    """Find labels in many images with one model.

    VERSION is an ARN, PROJECT/VERSION, or a PROJECT, for its latest version. SOURCE is a file, a folder, a pattern in
    quotes, an s3:// URL or prefix, or a list: a .jsonl or .manifest file whose lines have a source-ref. What can't be
    read is reported with its error, and the command then ends with 255.

    Example: rcl detect circuits/v1 ./photos -o found.jsonl
    """
    from rcl_cli.cli.local.showing import Shown
    from rcl_cli.local.detecting.flow import Request
    from rcl_cli.local.detecting.flow import detect as detect_many

    request = Request(
        version, sources, out, kind == "manifest", attribute, min_confidence, max_results, resume, draw, once, threads
    )
    try:
        with Shown() as shown:
            outcome = detect_many(settings.context(), request, put, shown)
    except BrokenPipeError as error:
        from rcl_cli.cli.usage import ReaderGone

        raise ReaderGone from error
    if outcome.is_empty and max_results != 0:
        _say_nothing_found(version, min_confidence)
    _report(outcome.failed, outcome.asked)


def _say_nothing_found(version: str, min_confidence: float | None) -> None:
    """Say why there is nothing, and what shows more."""
    if min_confidence is None:
        say(
            f"Nothing was found: no label reached its threshold. --min-confidence 0 shows every score, rcl thresholds "
            f"{version} shows and sets the thresholds.",
            err=True,
        )
    elif min_confidence > 0:
        say(f"Nothing was found with a confidence of {min_confidence:g} or more.", err=True)


def _report(failed: list[Answer], total: int) -> None:
    """Say what could not be done.

    Raises:
        SomeFailed: something could not.
    """
    if not failed:
        return
    for answer in failed[:_SHOWN_ERRORS]:
        say(f"{answer.source_ref}: {answer.error}", err=True)
    if len(failed) > _SHOWN_ERRORS:
        say(f"… and {len(failed) - _SHOWN_ERRORS} more", err=True)
    raise SomeFailed(f"{len(failed)} of {total} images failed; everything else was written.")
