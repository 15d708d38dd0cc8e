"""Labelled images out: from datasets, or files of another format, into a format's files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from rcl_cli.buckets.fetch import ImageFetcher
from rcl_cli.context import Context
from rcl_cli.formats.files import OTHER_SIZE, size_of
from rcl_cli.formats.lines import part_of, usable
from rcl_cli.formats.record import TEST, BoxPx, FormatError, Notes, Record
from rcl_cli.formats.writers import writing
from rcl_cli.local.datasets.sources import Count, created_now, fetched, records_of
from rcl_cli.local.events import Tell, Understood, counter
from rcl_cli.scratch import scratch


def export_images(
    context: Context, source: str, form: str, folder: Path, images: Path | None, tell: Tell
) -> dict[str, Count]:
    """Write datasets, or files of another format, in a format; returns what was written, by part.

    Args:
        source: as for `records_of`.
        form: of `registry.WRITTEN`.
        folder: empty, or not there yet.
        images: where to look for images that lie elsewhere than the source says.

    Raises:
        UsageError: the folder is not empty.
        FormatError: the format can't hold what there is.
        ResourceNotFound: there is no such source.
    """
    step = counter("writing", tell)
    notes = Notes()
    counts: dict[str, Count] = {}
    records = records_of(context, source, None, images, notes)
    with scratch("export") as cache, writing(form, folder, created_now()) as writer:
        fetcher = ImageFetcher(context.buckets, cache)
        for number, record in enumerate(usable(_sized(fetcher, records, notes), notes), 1):
            step(number)
            image = fetched(fetcher, record, notes)
            if image is None:
                continue
            part = part_of(record.split, (TEST,))
            writer.add(record, image, part)
            counts.setdefault(part, Count()).add(record)
        if not counts:
            reasons = "".join(f"\n  {line}" for line in notes.lines())
            raise FormatError(f"{source} holds no images that can be written.{reasons}")
    tell(Understood(counts, tuple(notes.lines())))
    return counts


def _sized(fetcher: ImageFetcher, records: Iterable[Record], notes: Notes) -> Iterator[Record]:
    """Records with the sizes that their images have; boxes that are relative to another size are scaled."""
    for record in records:
        image = fetched(fetcher, record, notes)
        size = size_of(image, notes) if image is not None else None
        if size is None:
            continue
        stated = record.size if all(record.size) else size
        if stated == size:
            yield record._replace(size=size)
            continue
        notes.add(f"{OTHER_SIZE}; boxes were scaled", record.image)
        across, down = size[0] / stated[0], size[1] / stated[1]
        boxes = [
            BoxPx(box.label, box.left * across, box.top * down, box.width * across, box.height * down)
            for box in record.boxes
        ]
        yield record._replace(size=size, boxes=tuple(boxes))
