"""All checks of a dataset, in one pass over its images."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from rcl_cli.config import cpu_cores
from rcl_cli.formats.files import MISSING, OTHER_SIZE, UNUSABLE
from rcl_cli.formats.record import TEST, TRAIN, Notes, Record
from rcl_cli.local.datasets.checking import names
from rcl_cli.local.datasets.checking.boxes import check_boxes
from rcl_cli.local.datasets.checking.findings import KINDS, Finding
from rcl_cli.local.datasets.checking.labels import check_labels
from rcl_cli.local.datasets.checking.looks import Look, Unusable, look_at
from rcl_cli.local.datasets.checking.pairs import near_duplicates

_SHOWN_NAMES = 5
# What readers note, as a finding; manifests' errors by their codes.
_OF_NOTES = {
    MISSING: "missing-image",
    UNUSABLE: "unreadable-image",
    OTHER_SIZE: "wrong-image-size",
    "lines have ERROR_INVALID_BOUNDING_BOX": "box-outside",
    "lines have ERROR_BOUNDING_BOX_TOO_SMALL": "tiny-box",
    "lines have ERROR_TOO_MANY_BOUNDING_BOXES": "too-many-boxes",
}


class Seen(NamedTuple):
    """A record that could be looked at."""

    name: str
    part: str
    record: Record
    look: Look

    @property
    def truth(self) -> tuple[object, ...]:
        """Its labels and boxes, in an order of their own."""
        return tuple(sorted(self.record.labels)), tuple(sorted(self.record.boxes))


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
            seen.append(Seen(name, part, record, result))
    found += _noted(notes)
    found += (Finding("unlabelled-image", tuple(images), _these(images), part) for part, images in unlabelled.items())
    found += check_labels(counts)
    found += _copies(seen)
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


# --- copies -----------------------------------------------------------------------------------------------------------


def _copies(seen: Sequence[Seen]) -> Iterator[Finding]:
    """The same picture more than once: the same file, nearly the same, or the same by name."""
    known: set[frozenset[str]] = set()
    groups: dict[bytes, list[Seen]] = defaultdict(list)
    for one in seen:
        groups[one.look.digest].append(one)
    for group in groups.values():
        if len(group) > 1:
            yield from _same(group)
            known |= {frozenset((a.name, b.name)) for a in group for b in group}
    # One of each file will do.
    firsts = [group[0] for group in groups.values()]
    for cluster, alike in _clusters(firsts):
        parts = {one.part for group in cluster for one in groups[group.look.digest]}
        kind = "near-duplicate-across-parts" if len(parts) > 1 else "near-duplicate"
        images = tuple(one.name for one in sorted(cluster, key=lambda one: one.part))
        yield Finding(kind, images, f"{_names(cluster)}, likeness {alike:.3f}", "" if len(parts) > 1 else parts.pop())
        known |= {frozenset((a.name, b.name)) for a in cluster for b in cluster}
    by_part = {part: [one.name for one in seen if one.part == part] for part in (TRAIN, TEST)}
    for train, test in names.across(by_part[TRAIN], by_part[TEST]):
        if frozenset((train, test)) not in known:
            yield Finding("copy-by-name", (train, test), f"{train} in train, {test} in test")


def _same(group: Sequence[Seen]) -> Iterator[Finding]:
    """Findings about images of the same bytes."""
    images = tuple(one.name for one in group)
    parts = {one.part for one in group}
    if len(set(images)) < len(images):
        yield Finding("same-source", tuple(dict.fromkeys(images)), _names(group))
    elif len({one.truth for one in group}) > 1:
        yield Finding("contradicting-duplicates", images, f"{_names(group)}: labelled differently")
    if len(parts) > 1 and len(set(images)) == len(images):
        yield Finding("duplicate-across-parts", images, _names(group))
    elif len(parts) == 1:
        yield Finding("duplicate-image", images, _names(group), group[0].part)


def _names(group: Sequence[Seen]) -> str:
    shown = ", ".join(f"{one.name} ({one.part})" for one in group[:_SHOWN_NAMES])
    return f"{shown} and {len(group) - _SHOWN_NAMES} more" if len(group) > _SHOWN_NAMES else shown


def _clusters(seen: Sequence[Seen]) -> Iterator[tuple[list[Seen], float]]:
    """Images joined by likeness, with the least likeness that joined them."""
    parent = list(range(len(seen)))
    least: dict[int, float] = {}

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = index = parent[parent[index]]
        return index

    for one, other, alike in near_duplicates([each.look for each in seen]):
        a, b = root(one), root(other)
        low = min(alike, least.pop(a, 1.0), least.pop(b, 1.0))
        parent[max(a, b)] = min(a, b)
        least[min(a, b)] = low
    members: dict[int, list[Seen]] = defaultdict(list)
    for index, each in enumerate(seen):
        if root(index) in least:
            members[root(index)].append(each)
    for index, cluster in members.items():
        yield cluster, least[index]
