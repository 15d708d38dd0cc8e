"""What `rcl detect` does: many images, one model, a line an image, whoever asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rcl_cli.backends.registry import read_card
from rcl_cli.context import Context
from rcl_cli.errors import RclError
from rcl_cli.local.detecting.asking import Answer, detect_all
from rcl_cli.local.detecting.detectors import detector_of
from rcl_cli.local.detecting.drawing import Drawing
from rcl_cli.local.detecting.lines import ManifestWriter, json_line
from rcl_cli.local.detecting.output import Output
from rcl_cli.local.detecting.sources import find_images
from rcl_cli.local.events import Answered, Planned, Tell
from rcl_cli.local.models.watching import named_version
from rcl_cli.store.versions import Version


@dataclass(frozen=True, slots=True)
class Request:
    """What to detect.

    Args:
        version: ARN, PROJECT/VERSION, or a PROJECT.
        sources: files, folders, patterns, s3:// URLs or prefixes, lists.
        out: the file of the lines; None gives them to `write`.
        as_manifest: Ground Truth lines instead of CustomLabels.
        attribute: name of the label attribute in a manifest.
        min_confidence: 0..100 for all labels, None for their thresholds.
        resume: go on with `out`.
        draw: where to draw what is found: a file for one image, a folder for several.
        once: load the model here.
        threads: images asked about at once.
    """

    version: str
    sources: tuple[str, ...]
    out: Path | None = None
    as_manifest: bool = False
    attribute: str = "detected"
    min_confidence: float | None = None
    max_results: int | None = None
    resume: bool = False
    draw: Path | None = None
    once: bool = False
    threads: int = 16


class Outcome(NamedTuple):
    """What came of it.

    Args:
        asked: images that the model was asked about.
        failed: those about which nothing could be said.
        found: those in which something was found.
    """

    asked: int
    failed: list[Answer]
    found: int

    @property
    def is_empty(self) -> bool:
        """Whether the model answered, and found nothing in any image."""
        return not self.found and self.asked > len(self.failed)


def detect(context: Context, request: Request, write: Callable[[str], object], tell: Tell) -> Outcome:
    """Find labels in many images.

    Args:
        write: takes lines where the request names no file.

    Raises:
        UsageError: a source or a target makes no sense; nothing was written.
        ResourceNotReady: the model is not running, or has gone.
        RclError: a file can't be written.
        BrokenPipeError: `write` has nobody to write to.
    """
    version = named_version(context, request.version)
    with closing(detector_of(context, version, once=request.once)) as detector:
        refs = list(find_images(context, request.sources))
        # First, so that a target that makes no sense leaves no file behind.
        drawing = Drawing(context, request.draw, refs) if request.draw is not None else None
        as_line = _manifest_writer(context, version, request.attribute) if request.as_manifest else json_line
        with closing(Output(request.out, write, resume=request.resume)) as output:
            left = [ref for ref in refs if ref not in output.done]
            tell(Planned("detecting", len(left)))
            threads = min(request.threads, max(1, len(left)))
            answers = detect_all(context, detector, left, request.min_confidence, request.max_results, threads)
            try:
                # Before the detector is closed: threads that are asking it would wait for an answer that nobody hears.
                with closing(answers):
                    return _written(answers, len(left), request, drawing, lambda one: output.line(as_line(one)), tell)
            except BrokenPipeError:
                raise
            except OSError as error:
                raise RclError(f"{error.filename or request.out or 'output'}: {error.strerror or error}") from error


def _written(
    answers: Iterator[Answer], asked: int, request: Request, drawing: Drawing | None, line: Callable[[Answer], None],
    tell: Tell,
) -> Outcome:  # fmt: skip
    failed: list[Answer] = []
    found = 0
    for answer in answers:
        if answer.error is not None:
            failed.append(answer)
        elif drawing is not None:
            drawing.draw(answer)
        found += bool(answer.found is not None and answer.found.labels)
        # A manifest has no place for errors.
        if answer.error is None or not request.as_manifest:
            line(answer)
        tell(Answered(answer.source_ref, answer.error))
    return Outcome(asked, failed, found)


def _manifest_writer(context: Context, version: Version, attribute: str) -> ManifestWriter:
    card, _ = read_card(context.layout.model(version.id))
    return ManifestWriter(card.labels, attribute, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()))
