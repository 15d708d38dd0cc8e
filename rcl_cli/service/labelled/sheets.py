"""A look at labelled images: some of them, spread over all, with what they are labelled as."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from rcl_cli.errors import RclError, ServiceError, UsageError
from rcl_cli.formats.files import UNUSABLE
from rcl_cli.formats.lines import part_of
from rcl_cli.formats.record import TRAIN, Notes, Record
from rcl_cli.imaging.decode import decode
from rcl_cli.imaging.geometry import fit_longer_side
from rcl_cli.render.sheet import Sheet, Tile
from rcl_cli.service.context import Context
from rcl_cli.service.labelled.sources import PARTS, Count, Step, fetched, records_of
from rcl_cli.training.prepare import ImageFetcher


class Wanted(NamedTuple):
    """Which images of a source are shown.

    Args:
        most: images.
        labels: those with any of these; empty for all.
        part: `train`, `test`, or None for both.
        seed: other seeds choose other images.
    """

    most: int
    labels: Sequence[str]
    part: str | None
    seed: int


def sheet_of(
    context: Context, source: str, form: str | None, images: Path | None, wanted: Wanted, longer_px: int, out: Path,
    notes: Notes, step: Step,
) -> Sheet:  # fmt: skip
    """Choose images and make them small.

    Args:
        source: as for `records_of`.
        longer_px: the longer side of a small image.
        out: where the sheet will be written; none of the images may lie there.
        notes: takes what can't be read.

    Raises:
        FormatError, ResourceNotFound: as `records_of`.
        RclError: there are no such images.
        UsageError: the sheet would replace an image.
    """
    counts: dict[str, Count] = {}
    chosen = _spread(_counted(records_of(context, source, form, images, notes), wanted, counts, out), wanted)
    if not chosen:
        reasons = "".join(f"\n  {line}" for line in notes.lines())
        raise RclError(f"{source} has no such images.{reasons}")
    tiles = []
    with tempfile.TemporaryDirectory(prefix="rcl-show-") as cache:
        fetcher = ImageFetcher(context.buckets, Path(cache))
        for number, (part, record) in enumerate(chosen, 1):
            tiles.append(_tile(fetcher, part, record, longer_px, notes))
            step(number)
    return Sheet(
        _title(source),
        {part: counts[part].images for part in (*PARTS, "") if part in counts},
        sum((count.labels for count in counts.values()), Counter()),
        frozenset(label for count in counts.values() for label in count.boxes),
        tuple(tiles),
    )


def _title(source: str) -> str:
    path = Path(source)
    return path.resolve().name if path.exists() else source


def _counted(
    records: Iterable[Record], wanted: Wanted, counts: dict[str, Count], out: Path
) -> Iterator[tuple[str, Record]]:
    """Those that are wanted, with their part."""
    target = out.resolve()
    labels = set(wanted.labels)
    for record in records:
        if isinstance(record.image, Path) and record.image.resolve() == target:
            raise UsageError(f"{out} is one of the images: choose another name.")
        part = part_of(record.split, ()) if record.split else ""
        has = {*record.labels, *(box.label for box in record.boxes)}
        if wanted.part in (None, part or TRAIN) and (not labels or labels & has):
            counts.setdefault(part, Count()).add(record)
            yield part, record


def _spread(records: Iterable[tuple[str, Record]], wanted: Wanted) -> list[tuple[str, Record]]:
    """So many of them, each as likely as any other, in their order (reservoir sampling, Vitter's algorithm R)."""
    chance = random.Random(wanted.seed)
    kept: list[tuple[int, tuple[str, Record]]] = []
    for number, one in enumerate(records):
        if number < wanted.most:
            kept.append((number, one))
        elif (place := chance.randrange(number + 1)) < wanted.most:
            kept[place] = (number, one)
    return [one for _, one in sorted(kept, key=lambda pair: pair[0])]


def _tile(fetcher: ImageFetcher, part: str, record: Record, longer_px: int, notes: Notes) -> Tile:
    pixels, size = None, record.size
    path = fetched(fetcher, record, notes)
    if path is not None:
        try:
            whole = decode(path, longer_px=longer_px)
            # Boxes are shares of the size that they were drawn on; of what is there where nothing says which that was.
            size = record.size if all(record.size) else (whole.shape[1], whole.shape[0])
            pixels = fit_longer_side(whole, min(longer_px, max(whole.shape[:2])))
        except (ServiceError, OSError):
            notes.add(UNUSABLE, record.image)
    width, height = (max(1, side) for side in size)
    boxes = tuple(
        (box.label, (box.left / width, box.top / height, box.width / width, box.height / height))
        for box in record.boxes
    )
    name = PurePosixPath(unquote(urlsplit(str(record.image)).path)).name
    return Tile(name, part, record.labels, boxes, pixels)
