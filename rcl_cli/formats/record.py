"""What all formats of labelled images have in common: an image, its labels, its boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from rcl_cli.errors import RclError

TRAIN, TEST = "train", "test"
_MOST_EXAMPLES = 3


class FormatError(RclError):
    """Files that are not what they should be."""


class BoxPx(NamedTuple):
    """A labelled box; pixels of the upright image, from its top left corner."""

    label: str
    left: float
    top: float
    width: float
    height: float


class Record(NamedTuple):
    """One labelled image.

    Args:
        image: a local file, or an `s3://` URL.
        size: (width, height) in pixels, as the format or the file says; (0, 0) where neither does.
        labels: image-level labels.
        boxes: in the order of the format.
        split: the part that the format puts it in, in the format's own word; empty where it has none.
        feedback: where a manifest says that the image came from (`rcl feedback`); other formats have no place for it.
    """

    image: Path | str
    size: tuple[int, int] = (0, 0)
    labels: tuple[str, ...] = ()
    boxes: tuple[BoxPx, ...] = ()
    split: str = ""
    feedback: Mapping[str, Any] | None = None


class Notes:
    """What was left out or changed on the way, counted, with the first few examples of each.

    Args:
        most: how many examples are kept.
    """

    def __init__(self, most: int = _MOST_EXAMPLES) -> None:
        self._most = most
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}

    def add(self, what: str, where: object, count: int = 1) -> None:
        """Count something.

        Args:
            what: in the plural: `images are missing`.
            where: an image, or a line.
        """
        self.counts[what] += count
        examples = self.examples.setdefault(what, [])
        if len(examples) < self._most:
            examples.append(str(where))

    def lines(self) -> Iterator[str]:
        for what, count in self.counts.most_common():
            examples = ", ".join(self.examples[what][:_MOST_EXAMPLES])
            yield f"{count} {what}: {examples}{', …' if count > _MOST_EXAMPLES else ''}"


class Reader(Protocol):
    """A module that reads a format."""

    def fits(self, source: Path) -> bool:
        """Whether a file or folder looks like this format."""
        ...

    def read(self, source: Path, images: Path | None, notes: Notes) -> Iterator[Record]:
        """The records, one by one.

        Args:
            images: a folder to look for images in, first of all.
            notes: takes what can't be used.

        Raises:
            FormatError: the files are not of this format.
        """
        ...


def bounding(label: str, points: list[tuple[float, float]]) -> BoxPx:
    """The smallest box around points."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return BoxPx(label, min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))


def turned(label: str, centre: tuple[float, float], size: tuple[float, float], degrees: float) -> BoxPx:
    """The upright box around one that is turned clockwise about its centre."""
    from math import cos, radians, sin

    c, s = abs(cos(radians(degrees))), abs(sin(radians(degrees)))
    width, height = size[0] * c + size[1] * s, size[0] * s + size[1] * c
    return BoxPx(label, centre[0] - width / 2, centre[1] - height / 2, width, height)
