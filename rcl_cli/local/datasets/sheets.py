"""A look at labelled images: some of them, spread over all, with what they are labelled as."""

from __future__ import annotations

import io
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from rcl_cli.buckets.base import NoSuchObjectError
from rcl_cli.buckets.fetch import ImageFetcher
from rcl_cli.buckets.local import LocalBucket
from rcl_cli.buckets.resolve import local_file
from rcl_cli.context import Context
from rcl_cli.errors import RclError, ServiceError, UsageError
from rcl_cli.formats.files import UNUSABLE
from rcl_cli.formats.lines import part_of
from rcl_cli.formats.record import TRAIN, BoxPx, Notes, Record
from rcl_cli.imaging.decode import decode
from rcl_cli.imaging.geometry import fit_longer_side
from rcl_cli.local.datasets.sources import PARTS, Count, Step, fetched, records_of
from rcl_cli.local.events import Noted, Tell, counter
from rcl_cli.local.writing import write_file, write_text
from rcl_cli.manifest.line import split_s3_url
from rcl_cli.render.sheet import Sheet, Tile, sheet_page, sheet_picture
from rcl_cli.scratch import scratch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_QUALITY = 80
# The side of an image on a contact sheet.
_TILE_PX = 320
# JPEG has 65 500 pixels at most; each row has captions too.
_MOST_PICTURE_PX = 50_000
_PAGES, _PICTURES = (".html", ".htm"), (".png", ".jpg", ".jpeg")


class Wanted(NamedTuple):
    """Which images of a source are shown.

    Args:
        most: images.
        labels: those with any of these; empty for all.
        part: `train`, `test`, or None for both.
        seed: other seeds choose other images.
    """

    most: int = 60
    labels: Sequence[str] = ()
    part: str | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """A contact sheet of a source.

    Args:
        source: as for `records_of`.
        out: the file to write; None for a page named after the source.
        columns: of a picture; a page has as many as fit.
        form: the source's format, found out if it is not given.
        images: where to look for images that lie elsewhere than the source says.
    """

    source: str
    wanted: Wanted = field(default_factory=Wanted)
    out: Path | None = None
    columns: int = 6
    form: str | None = None
    images: Path | None = None

    def __post_init__(self) -> None:
        """Whether it makes sense.

        Raises:
            UsageError: the file's name says neither page nor picture, or so many images are too much for a picture.
        """
        suffix = self.target.suffix.lower()
        if suffix in _PAGES:
            return
        if suffix not in _PICTURES:
            raise UsageError(f"--out {self.target}: the name must end in .html, .png or .jpg")
        if -(-self.wanted.most // self.columns) * _TILE_PX > _MOST_PICTURE_PX:
            raise UsageError(
                f"--count {self.wanted.most} is too much for one picture: use more --columns, or a page (.html)."
            )

    @property
    def target(self) -> Path:
        # An ARN is no good name of a file.
        return self.out or Path(f"{Path(self.source.rpartition(':')[2]).name or 'dataset'}-images.html")


def show(context: Context, request: Request, tell: Tell) -> Path:
    """Write a contact sheet, as a page or as a picture; returns the file.

    Raises:
        UsageError: the file is one of the images.
        FormatError, ResourceNotFound: as `records_of`.
        RclError: there are no such images, or the file can't be written.
    """
    target, notes = request.target, Notes()
    step = counter("looking at images", tell)
    sheet = sheet_of(context, request, _TILE_PX, target, notes, step)
    if target.suffix.lower() in _PAGES:
        write_text(target, sheet_page(sheet))
    else:
        write_file(target, sheet_picture(sheet, request.columns, _TILE_PX).save)
    tell(Noted(tuple(notes.lines())))
    return target


def sheet_of(context: Context, request: Request, longer_px: int, out: Path, notes: Notes, step: Step) -> Sheet:
    """Choose images and make them small.

    Args:
        longer_px: the longer side of a small image.
        out: where the sheet will be written; none of the images may lie there.
        notes: takes what can't be read.

    Raises:
        FormatError, ResourceNotFound: as `records_of`.
        RclError: there are no such images.
        UsageError: the sheet would replace an image.
    """
    counts: dict[str, Count] = {}
    records = records_of(context, request.source, request.form, request.images, notes)
    chosen = _spread(_counted(context, records, request.wanted, counts, out), request.wanted)
    if not chosen:
        reasons = "".join(f"\n  {line}" for line in notes.lines())
        raise RclError(f"{request.source} has no such images.{reasons}")
    tiles = []
    with scratch("show") as cache:
        fetcher = ImageFetcher(context.buckets, cache)
        for number, (part, record) in enumerate(chosen, 1):
            tiles.append(_tile(fetcher, part, record, longer_px, notes))
            step(number)
    return Sheet(
        _title(request.source),
        {part: counts[part].images for part in (*PARTS, "") if part in counts},
        sum((count.labels for count in counts.values()), Counter()),
        frozenset(label for count in counts.values() for label in count.boxes),
        tuple(tiles),
    )


def _title(source: str) -> str:
    path = Path(source)
    return path.resolve().name if path.exists() else source


def _is_same(context: Context, image: Path | str, out: Path) -> bool:
    """Whether an image is the file that is to be written, under whatever name."""
    try:
        path = image if isinstance(image, Path) else _local(context, image)
        return path is not None and path.samefile(out)
    except (OSError, NoSuchObjectError):
        return False


def _local(context: Context, url: str) -> Path | None:
    if path := local_file(url):
        return path
    place = split_s3_url(url)
    bucket = context.buckets.get(place[0]) if place else None
    # Real S3 is asked for nothing here.
    return bucket.local_path(place[1]) if place and isinstance(bucket, LocalBucket) else None


def _counted(
    context: Context, records: Iterable[Record], wanted: Wanted, counts: dict[str, Count], out: Path
) -> Iterator[tuple[str, Record]]:
    """Those that are wanted, with their part."""
    labels = set(wanted.labels)
    is_there = out.exists()
    for record in records:
        if is_there and _is_same(context, record.image, out):
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
    jpeg, shown, size = b"", (4, 3), record.size
    path = fetched(fetcher, record, notes)
    if path is not None:
        try:
            whole = decode(path, longer_px=longer_px)
            # Boxes are shares of the size that they were drawn on; of what is there where nothing says which that was.
            size = record.size if all(record.size) else (whole.shape[1], whole.shape[0])
            small = fit_longer_side(whole, min(longer_px, max(whole.shape[:2])))
            jpeg, shown = _encoded(small), (small.shape[1], small.shape[0])
        except (ServiceError, OSError):
            notes.add(UNUSABLE, record.image)
    width, height = (max(1, side) for side in size)
    boxes = tuple(
        (box.label, (box.left / width, box.top / height, box.width / width, box.height / height))
        for box in record.boxes
        if _is_box(box)
    )
    if len(boxes) < len(record.boxes):
        notes.add("boxes have no area, or coordinates that are no numbers, and are not shown", record.image)
    return Tile(_name(record.image), part, record.labels, boxes, jpeg, shown)


def _is_box(box: BoxPx) -> bool:
    return all(map(isfinite, box[1:])) and box.width > 0 and box.height > 0


def _name(image: Path | str) -> str:
    place = None if isinstance(image, Path) else split_s3_url(image)
    return PurePosixPath(place[1] if place else str(image)).name


def _encoded(pixels: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()
