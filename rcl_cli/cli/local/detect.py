"""`rcl detect`: a model and many images."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rcl_cli.errors import RclError

if TYPE_CHECKING:
    from rcl_cli.context import Context
    from rcl_cli.local.detecting.asking import Answer
    from rcl_cli.local.detecting.lines import ManifestWriter
    from rcl_cli.store.versions import Version

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
    from rcl_cli.local.detecting.asking import detect_all
    from rcl_cli.local.detecting.detectors import detector_of
    from rcl_cli.local.detecting.drawing import Drawing
    from rcl_cli.local.detecting.lines import json_line
    from rcl_cli.local.detecting.output import Output
    from rcl_cli.local.detecting.sources import find_images
    from rcl_cli.local.models.watching import named_version

    context: Context = settings.context()
    found = named_version(context, version)
    detector = detector_of(context, found, once=once)
    refs = list(find_images(context, sources))
    as_line = _manifest_writer(context, found, attribute) if kind == "manifest" else json_line
    output = Output(out, sys.stdout.write, resume=resume)
    left = [ref for ref in refs if ref not in output.done]
    drawing = Drawing(context, draw, left) if draw is not None else None
    failed: list[Answer] = []
    is_nothing_found = True
    try:
        answers = detect_all(context, detector, left, min_confidence, max_results, min(threads, max(1, len(left))))
        with _shown(answers, len(left)) as shown:
            for answer in shown:
                if answer.error is not None:
                    failed.append(answer)
                elif drawing is not None:
                    drawing.draw(answer)
                if answer.found is not None and answer.found.labels:
                    is_nothing_found = False
                # A manifest has no place for errors; stderr has.
                if answer.error is None or kind == "jsonl":
                    output.line(as_line(answer))
    except BrokenPipeError as error:
        from rcl_cli.cli.app import ReaderGone

        raise ReaderGone from error
    except OSError as error:
        raise RclError(f"{error.filename or out or 'output'}: {error.strerror or error}") from error
    finally:
        output.close()
    if is_nothing_found and len(left) > len(failed) and max_results != 0:
        _say_nothing_found(version, min_confidence)
    _report(failed, len(left))


def _manifest_writer(context: Context, version: Version, attribute: str) -> ManifestWriter:
    from rcl_cli.backends.registry import read_card
    from rcl_cli.local.detecting.lines import ManifestWriter

    card, _ = read_card(context.layout.model(version.id))
    return ManifestWriter(card.labels, attribute, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()))


@contextmanager
def _shown(answers: Iterator[Answer], total: int) -> Iterator[Iterable[Answer]]:
    """A bar on a terminal."""
    if not sys.stderr.isatty() or total < 2:
        yield answers
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as display:
        yield display.track(answers, total=total, description="detecting")


def _say_nothing_found(version: str, min_confidence: float | None) -> None:
    """Say why there is nothing, and what shows more."""
    if min_confidence is None:
        click.echo(
            f"Nothing was found: no label reached its threshold. --min-confidence 0 shows every score, rcl thresholds "
            f"{version} shows and sets the thresholds.",
            err=True,
        )
    elif min_confidence > 0:
        click.echo(f"Nothing was found with a confidence of {min_confidence:g} or more.", err=True)


def _report(failed: list[Answer], total: int) -> None:
    """Say what could not be done.

    Raises:
        SomeFailed: something could not.
    """
    if not failed:
        return
    for answer in failed[:_SHOWN_ERRORS]:
        print(f"{answer.source_ref}: {answer.error}", file=sys.stderr)
    if len(failed) > _SHOWN_ERRORS:
        print(f"… and {len(failed) - _SHOWN_ERRORS} more", file=sys.stderr)
    raise SomeFailed(f"{len(failed)} of {total} images failed; everything else was written.")
