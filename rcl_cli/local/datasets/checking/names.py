"""Images that look like copies of each other by their names alone."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

# `photo (1)`, `photo - Copy`, `photo_copy2`, `photo_aug3`, `photo_flipped`, `photo_rot90`
_COPY = re.compile(
    r"(?:[ _-]*\(\d{1,2}\)|[ _-]+(?:copy|kopie|copie|duplicate|dup|aug|augmented|flip|flipped|hflip|vflip|mirror|rot|"
    r"rotated|crop|blur|noise|bright|dark)[ _-]*\d*)+$",
    re.IGNORECASE,
)
# Roboflow adds a hash to each copy that it makes of an image: `photo_jpg.rf.0123456789abcdef`.
_ROBOFLOW = re.compile(r"_(?:jpe?g|png)\.rf\.[0-9A-Za-z]+$", re.IGNORECASE)
# Names that start again from one in each part say nothing.
_MOST_SHARED = 0.1


def stem_of(source_ref: str) -> str:
    """An image's name without folders, ending, and what copying adds."""
    stem = PurePosixPath(source_ref).name.rpartition(".")[0]
    return _COPY.sub("", _ROBOFLOW.sub("", stem)).casefold()


def across(train: Sequence[str], test: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(training image, test image) pairs whose names say that they are one picture."""
    by_stem: dict[str, list[str]] = defaultdict(list)
    for source_ref in train:
        by_stem[stem_of(source_ref)].append(source_ref)
    pairs = [(by_stem[stem][0], ref) for ref in test if (stem := stem_of(ref)) in by_stem]
    copies = [pair for pair in pairs if _name(pair[0]) != _name(pair[1])]
    same = [pair for pair in pairs if _name(pair[0]) == _name(pair[1]) and pair[0] != pair[1]]
    yield from copies
    if len(same) <= max(1, _MOST_SHARED * len(test)):
        yield from same


def _name(source_ref: str) -> str:
    return PurePosixPath(source_ref).name.casefold()
