"""Labelled images looked over for what spoils a model."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rcl_cli.buckets.fetch import ImageFetcher
from rcl_cli.context import Context
from rcl_cli.errors import UsageError
from rcl_cli.formats.lines import part_of
from rcl_cli.formats.record import Notes, Record
from rcl_cli.local.datasets.checking.findings import Finding
from rcl_cli.local.datasets.checking.run import check
from rcl_cli.local.datasets.sources import PARTS, fetched, records_of
from rcl_cli.local.events import Tell, counter
from rcl_cli.scratch import scratch


@dataclass(frozen=True, slots=True)
class Request:
    """What to check.

    Args:
        sources: as for `records_of`. Of two, the first is for training, the second for testing.
        form: their format, found out if it is not given.
        images: where to look for images that lie elsewhere than the sources say.
    """

    sources: tuple[str, ...]
    form: str | None = None
    images: Path | None = None

    def __post_init__(self) -> None:
        """Whether it makes sense.

        Raises:
            UsageError: there are more than two sources.
        """
        if len(self.sources) > 2:
            raise UsageError("Give one source, or two: the first for training, the second for testing.")


def check_images(context: Context, request: Request, tell: Tell) -> list[Finding]:
    """What is wrong with labelled images, errors first.

    Raises:
        FormatError, ResourceNotFound: as `records_of`.
    """
    notes = Notes(most=sys.maxsize)
    step = counter("looking at images", tell)
    with scratch("check") as cache:
        fetcher = ImageFetcher(context.buckets, cache)

        def records() -> Iterator[tuple[str, Record]]:
            for number, source in enumerate(request.sources):
                for record in records_of(context, source, request.form, request.images, notes):
                    whole = PARTS[number] if len(request.sources) > 1 else ""
                    yield whole or part_of(record.split, ()), record

        return check(records(), lambda record: fetched(fetcher, record, Notes()), notes, step)


def is_bad_enough(found: Sequence[Finding], least: str) -> bool:
    """Whether there is a finding of a severity, or of a greater one.

    Args:
        least: `error`, `warning`, or `never`.
    """
    return least != "never" and any(one.severity == "error" or least == "warning" for one in found)
