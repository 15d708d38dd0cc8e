"""The same picture more than once: the same file, nearly the same, or the same by name."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rcl_cli.formats.record import TEST, TRAIN, BoxPx
from rcl_cli.imaging.clusters import Album
from rcl_cli.local.datasets.checking import names
from rcl_cli.local.datasets.checking.findings import Finding

_SHOWN_NAMES = 5
_SAME = "are the same file"


class Seen(NamedTuple):
    """An image that was looked at.

    Args:
        file: its number in the album.
    """

    name: str
    part: str
    labels: tuple[str, ...]
    boxes: tuple[BoxPx, ...]
    file: int

    @property
    def truth(self) -> tuple[object, ...]:
        """Its labels and boxes, in an order of their own."""
        return tuple(sorted(self.labels)), tuple(sorted(self.boxes))


def check_copies(seen: Sequence[Seen], album: Album) -> Iterator[Finding]:
    """Findings about images that are the same, or look the same.

    Args:
        seen: in the order in which they were added to the album.
    """
    groups: dict[int, list[Seen]] = defaultdict(list)
    for one in seen:
        groups[one.file].append(one)
    for group in groups.values():
        if len(group) > 1:
            yield from _same(group)
    cluster_of = {file: file for file in groups}
    for files, alike in album.clusters():
        cluster_of |= dict.fromkeys(files, files[0])
        # One of each file will do.
        cluster = [groups[file][0] for file in files]
        parts = {one.part for file in files for one in groups[file]}
        kind = "near-duplicate-across-parts" if len(parts) > 1 else "near-duplicate"
        images = tuple(one.name for one in sorted(cluster, key=lambda one: one.part))
        detail = f"{_names(cluster, 'look the same')}, likeness {alike:.3f}"
        yield Finding(kind, images, detail, "" if len(parts) > 1 else parts.pop())
    yield from _by_name(seen, cluster_of)


def _by_name(seen: Sequence[Seen], cluster_of: dict[int, int]) -> Iterator[Finding]:
    """Of those whose names say that they are one picture, the ones that do not look so."""
    looks = {one.name: cluster_of[one.file] for one in seen}
    by_part = {part: [one.name for one in seen if one.part == part] for part in (TRAIN, TEST)}
    for train, test in names.across(by_part[TRAIN], by_part[TEST]):
        if looks[train] != looks[test]:
            yield Finding("copy-by-name", (train, test), f"{train} in train, {test} in test")


def _same(group: Sequence[Seen]) -> Iterator[Finding]:
    """Findings about images of the same bytes."""
    images = tuple(one.name for one in group)
    parts = {one.part for one in group}
    if len(set(images)) < len(images):
        yield Finding("same-source", tuple(dict.fromkeys(images)), _names(group, _SAME))
    elif len({one.truth for one in group}) > 1:
        yield Finding("contradicting-duplicates", images, f"{_names(group, _SAME)}: labelled differently")
    if len(parts) > 1 and len(set(images)) == len(images):
        yield Finding("duplicate-across-parts", images, _names(group, _SAME))
    elif len(parts) == 1:
        yield Finding("duplicate-image", images, _names(group, _SAME), group[0].part)


def _names(group: Sequence[Seen], what: str) -> str:
    """The first of each part, then others; of many, how many there are.

    Args:
        what: is said of them.
    """
    firsts = {one.part: number for number, one in reversed(list(enumerate(group)))}
    order = sorted(range(len(group)), key=lambda number: (number not in firsts.values(), number))
    shown = ", ".join(f"{group[number].name} ({group[number].part})" for number in order[:_SHOWN_NAMES])
    if len(group) <= _SHOWN_NAMES:
        return shown
    counts = Counter(one.part for one in group)
    whole = " and ".join(f"{count} of {part}" for part, count in sorted(counts.items(), reverse=True))
    return f"{whole} {what}: {shown} and {len(group) - _SHOWN_NAMES} more"
