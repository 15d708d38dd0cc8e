"""All checks of a dataset, in one pass over its images."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rcl_cli.config import cpu_cores
from rcl_cli.formats.files import MISSING, OTHER_SIZE, UNUSABLE
from rcl_cli.formats.record import Notes, Record
from rcl_cli.imaging.clusters import Album
from rcl_cli.imaging.looks import Look, Unusable, look_at
from rcl_cli.local.datasets.checking.boxes import check_boxes
from rcl_cli.local.datasets.checking.copies import Seen, check_copies
from rcl_cli.local.datasets.checking.findings import KINDS, Finding
from rcl_cli.local.datasets.checking.labels import check_labels

# What readers note, as a finding; manifests' errors by their codes.
_OF_NOTES = {
    MISSING: "missing-image",
    UNUSABLE: "unreadable-image",
    OTHER_SIZE: "wrong-image-size",
    "lines have ERROR_INVALID_BOUNDING_BOX": "box-outside",
    "lines have ERROR_BOUNDING_BOX_TOO_SMALL": "tiny-box",
    "lines have ERROR_TOO_MANY_BOUNDING_BOXES": "too-many-boxes",
}


def check(
    records: Iterable[tuple[str, Record]],
    fetch: Callable[[Record], Path | None],
    notes: Notes,
    step: Callable[[int], None],
) -> list[Finding]:
    """Everything that is wrong with a dataset, errors first.

    Args:
        records: with their parts, `train` or `test`.
        fetch: gives a record's image as a file, None where it can't be had.
        notes: of whoever reads the records; complete once they are read.
        step: told how many images have been looked at.
    """
    seen: list[Seen] = []
    album = Album()
    found: list[Finding] = []
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    unlabelled: dict[str, list[str]] = defaultdict(list)

    def look(item: tuple[str, Record]) -> tuple[str, Record, Look | Unusable]:
        path = fetch(item[1])
        return *item, look_at(path) if path else Unusable("missing-image", "there is no such image")

    with ThreadPoolExecutor(cpu_cores()) as pool:
        for number, (part, record, result) in enumerate(_in_batches(pool, look, records), 1):
            step(number)
            name = str(record.image)
            if isinstance(result, Unusable):
                found.append(Finding(result.kind, (name,), result.detail, part))
                continue
            counts[part].update({*record.labels, *(box.label for box in record.boxes)})
            if not record.labels and not record.boxes:
                unlabelled[part].append(name)
            found += _sizes(record, result, name, part)
            found += check_boxes(record, name, part)
            seen.append(Seen(name, part, record.labels, record.boxes, album.add(result)))
    found += _noted(notes)
    found += (Finding("unlabelled-image", tuple(images), _these(images), part) for part, images in unlabelled.items())
    found += check_labels(counts)
    found += check_copies(seen, album)
    order = list(KINDS)
    return sorted(found, key=lambda one: (one.severity != "error", order.index(one.kind)))


def _in_batches(
    pool: ThreadPoolExecutor,
    look: Callable[[tuple[str, Record]], tuple[str, Record, Look | Unusable]],
    records: Iterable[tuple[str, Record]],
) -> Iterator[tuple[str, Record, Look | Unusable]]:
    """Looks in order, without asking for all records at once."""
    batch: list[tuple[str, Record]] = []
    for item in records:
        batch.append(item)
        if len(batch) == 256:
            yield from pool.map(look, batch)
            batch = []
    yield from pool.map(look, batch)


def _these(images: Sequence[str]) -> str:
    return f"{len(images)} images"


def _noted(notes: Notes) -> Iterator[Finding]:
    """What readers left out, as far as it is a fault of the data."""
    for what, examples in notes.examples.items():
        kind = next((kind for start, kind in _OF_NOTES.items() if what.startswith(start)), None)
        if kind is None and what.startswith("lines have ERROR_"):
            kind = "manifest-error"
        for example in examples if kind else ():
            yield Finding(str(kind), (example,), what)


def _sizes(record: Record, look: Look, name: str, part: str) -> Iterator[Finding]:
    """Boxes are numbers of pixels; they mean nothing where the image has others."""
    if not record.boxes:
        return
    stated = record.size
    if look.orientation != 1:
        if stated == look.raw_size != look.size:
            detail = (
                f"its boxes are relative to {stated[0]}×{stated[1]}, the turned image is {look.size[0]}×{look.size[1]}"
            )
            yield Finding("rotated-image", (name,), detail, part)
            return
        yield Finding("turned-by-exif", (name,), f"EXIF orientation {look.orientation}", part)
    if all(stated) and stated != look.size:
        detail = f"image_size says {stated[0]}×{stated[1]}, the image is {look.size[0]}×{look.size[1]}"
        yield Finding("wrong-image-size", (name,), detail, part)
