"""What a check found, mended where that needs nobody's eyes: entries go, boxes are cut or go, two labels become one.

Findings may be old: everything is looked at again, and what is another by now is left. Nothing goes that says something
which nothing that stays says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from rcl_cli.buckets.base import NoSuchObjectError
from rcl_cli.buckets.fetch import ImageFetcher
from rcl_cli.context import Context
from rcl_cli.domain import Box
from rcl_cli.errors import ServiceError
from rcl_cli.formats.lines import source_ref
from rcl_cli.formats.record import BoxPx
from rcl_cli.imaging.decode import read_header, verify
from rcl_cli.local.datasets.checking.boxes import SAME_IOU, fault_of, iou
from rcl_cli.local.datasets.checking.findings import Finding
from rcl_cli.local.labelling.lines import Drawn, Labelling, labelling_of, size_in
from rcl_cli.local.labelling.many import Change, change_many, rename_label
from rcl_cli.local.labelling.parts import remove_entries
from rcl_cli.manifest.line import bucket_of, parse_line
from rcl_cli.operations.contents import reading
from rcl_cli.operations.resources import find_project
from rcl_cli.scratch import scratch
from rcl_cli.store import datasets, entries

_TRAIN, _TEST = "TRAIN", "TEST"
# Boxes of two pictures of one thing are the same where they overlap so much.
_ALIKE_IOU = 0.5


class Where(NamedTuple):
    """An entry: its dataset, the position in it, and its line.

    Args:
        part: `TRAIN` or `TEST`.
    """

    dataset_arn: str
    part: str
    position: int
    line: str


class Mended(NamedTuple):
    """What came of it.

    Args:
        removed: entries that were taken out.
        changed: entries that say something else.
        left: numbers of findings of which nothing was mended: somebody has to look.
    """

    removed: int
    changed: int
    left: frozenset[int]


# --- which entries ----------------------------------------------------------------------------------------------------


def ref_of(image: str) -> str:
    """The source-ref of an image as findings name it."""
    return image if "://" in image else source_ref(Path(image))


def whereabouts(context: Context, project_arn: str, findings: Iterable[Finding]) -> dict[str, list[Where]]:
    """The entries of the images of findings by source-ref, as they are now; one image may be in two datasets.

    Raises:
        ResourceNotFound: there is no such project.
    """
    refs = list(dict.fromkeys(ref_of(image) for finding in findings for image in finding.images))
    with context.database.read() as db:
        every = datasets.of_project(db, find_project(db, project_arn).id)
    found: dict[str, list[Where]] = defaultdict(list)
    for one in every:
        with reading(context, one.arn, lambda _: None) as (_, own):
            there = entries.positions_of(own, refs)
            lines = {entry.position: entry.line for entry in entries.at(own, list(there.values()))}
        for ref, position in there.items():
            found[ref].append(Where(one.arn, one.type, position, lines[position]))
    return found


def entries_of(finding: Finding, there: dict[str, list[Where]]) -> list[Where]:
    """The entries that a finding is about."""
    return [
        at
        for image in finding.images
        for at in there.get(ref_of(image), [])
        if finding.part.upper() in ("", at.part)
    ]  # fmt: skip


# --- which go ---------------------------------------------------------------------------------------------------------


class _Looking:
    """Looks at images once more."""

    def __init__(self, context: Context, folder: Path) -> None:
        self._buckets, self._fetcher = context.buckets, ImageFetcher(context.buckets, folder)

    def is_unusable(self, at: Where) -> bool:
        """Whether an image is gone or broken; not where its whole bucket is: that may come back."""
        ref = parse_line(at.line).source_ref
        try:
            verify(self._fetcher.fetch(ref))
        except ServiceError:
            return True
        except NoSuchObjectError:
            return not self._is_away(bucket_of(ref))
        return False

    def _is_away(self, bucket: str) -> bool:
        """Whether a bucket can't be reached or has nothing, as a disk that is not mounted."""
        if not bucket:
            return False
        try:
            return next(iter(self._buckets.get(bucket).children("")), None) is None
        except NoSuchObjectError:
            return True

    def has_size(self, line: str) -> bool:
        """Whether an image is as large as its line says."""
        try:
            header = read_header(self._fetcher.fetch(parse_line(line).source_ref))
        except (NoSuchObjectError, ServiceError):
            return False
        return size_in(line) == (header.width, header.height)


_Going = Callable[[list[Where], _Looking | None], list[Where]]


def _unusable(own: list[Where], looking: _Looking | None) -> list[Where]:
    return [one for one in own if looking is not None and looking.is_unusable(one)]


def _all_but_one(own: list[Where], _looking: _Looking | None) -> list[Where]:
    """The first that somebody labelled stays, else the first."""
    ranked = sorted(own, key=lambda one: not _says_something(one))
    return _spare(ranked[1:], ranked[:1])


def _those_for_training(own: list[Where], _looking: _Looking | None) -> list[Where]:
    return _spare([one for one in own if one.part == _TRAIN], [one for one in own if one.part == _TEST])


def _spare(some: list[Where], staying: list[Where]) -> list[Where]:
    """Those that can go because something stays: one that says the same, or anything where they say nothing."""
    return [
        one
        for one in some
        if staying and (not _says_something(one) or any(_agree(one, other) for other in staying))
    ]  # fmt: skip


def _says_something(one: Where) -> bool:
    return labelling_of(one.line) != Labelling()


def _agree(one: Where, other: Where) -> bool:
    """Whether two entries have the same labels, and boxes at the same places."""
    said, again = labelling_of(one.line), labelling_of(other.line)
    left = list(again.boxes)
    for box in said.boxes:
        alike = [other for other in left if other.label == box.label and _overlap(box.box, other.box) >= _ALIKE_IOU]
        if not alike:
            return False
        left.remove(alike[0])
    return not left and set(said.labels) == set(again.labels)


def _overlap(one: Box, other: Box) -> float:
    return iou(BoxPx("", *one), BoxPx("", *other))


_GOING: dict[str, _Going] = {
    "missing-image": _unusable, "unreadable-image": _unusable, "unusable-size": _unusable,
    "duplicate-image": _all_but_one, "near-duplicate": _all_but_one,
    "duplicate-across-parts": _those_for_training, "near-duplicate-across-parts": _those_for_training,
    "same-source": _those_for_training,
}  # fmt: skip


# --- what becomes of boxes --------------------------------------------------------------------------------------------


def _without(kind: str) -> Change:
    """Boxes go that are such by themselves."""

    def change(said: Labelling, line: str) -> Labelling:
        size = size_in(line) or (1.0, 1.0)
        return said._replace(boxes=tuple(one for one in said.boxes if fault_of(_in_pixels(one, size), size) != kind))

    return change


def _cut(said: Labelling, _line: str) -> Labelling:
    """Boxes end at the image's edge; one that lies beyond it, wholly, is for somebody to look at."""
    return said._replace(boxes=tuple(map(_inside, said.boxes)))


def _inside(one: Drawn) -> Drawn:
    left, top = max(0.0, one.box.left), max(0.0, one.box.top)
    right, bottom = min(1.0, one.box.right), min(1.0, one.box.bottom)
    is_inside = (left, top, right, bottom) == (one.box.left, one.box.top, one.box.right, one.box.bottom)
    if is_inside or left >= right or top >= bottom:
        return one
    return one._replace(box=Box(left, top, right - left, bottom - top))


def _once(said: Labelling, line: str) -> Labelling:
    """Of boxes of one label around the same thing, the first stays."""
    size = size_in(line) or (1.0, 1.0)
    kept: list[Drawn] = []
    for one in said.boxes:
        around = _in_pixels(one, size)
        if all(other.label != one.label or iou(_in_pixels(other, size), around) < SAME_IOU for other in kept):
            kept.append(one)
    return said._replace(boxes=tuple(kept))


def _in_pixels(one: Drawn, size: tuple[float, float]) -> BoxPx:
    width, height = size
    return BoxPx(one.label, one.box.left * width, one.box.top * height, one.box.width * width, one.box.height * height)


_CHANGES: dict[str, Change] = {
    "empty-box": _without("empty-box"), "tiny-box": _without("tiny-box"), "box-outside": _cut,
    "overlapping-boxes": _once,
}  # fmt: skip
_ONE_LABEL = ("label-spelling", "label-typo")

# What is done about a kind, for people who decide whether to.
_WAYS = {
    **dict.fromkeys(("missing-image", "unreadable-image", "unusable-size"), "Remove the entry"),
    **dict.fromkeys(("duplicate-image", "near-duplicate"), "Keep one, remove the others"),
    **dict.fromkeys(
        ("duplicate-across-parts", "near-duplicate-across-parts", "same-source"), "Remove it from the training set"
    ),
    **dict.fromkeys(("empty-box", "tiny-box"), "Remove the box"),
    "box-outside": "Cut the box at the edge",
    "overlapping-boxes": "Keep one of the boxes",
    **dict.fromkeys(_ONE_LABEL, "Make it one label"),
}
# Of these, each may be as it should be: nobody decides about all of them at once.
_ONE_BY_ONE = frozenset({"label-typo", "near-duplicate", "near-duplicate-across-parts", "tiny-box"})


def way_of(finding: Finding) -> str:
    """What `mend` does about a finding; empty where people have to decide by looking."""
    return _WAYS.get(finding.kind, "")


def is_for_all(finding: Finding) -> bool:
    """Whether all findings of its kind may be mended at once."""
    return bool(way_of(finding)) and finding.kind not in _ONE_BY_ONE


def can_be_mended(finding: Finding, there: dict[str, list[Where]]) -> bool:
    """Whether `mend` would do something, as far as entries tell; `there` as of `whereabouts`."""
    if finding.kind not in _GOING or _GOING[finding.kind] is _unusable:
        return bool(way_of(finding))
    return bool(_GOING[finding.kind](entries_of(finding, there), None))


def mend(context: Context, project_arn: str, findings: Sequence[Finding]) -> Mended:
    """Do about findings what `way_of` says, where that takes away nothing but what is wrong.

    Raises:
        ResourceNotFound: there is no such project.
        ServiceError: a dataset can't be changed now; what was mended before stays so.
    """
    done = set[int]()
    with scratch("mending") as folder:
        looking = _Looking(context, folder)
        removed = _remove(context, project_arn, findings, looking, done)
        changed = sum(
            _change(context, project_arn, findings, kind, looking, done)
            for kind in _CHANGES
            if any(one.kind == kind for one in findings)
        )
    for number, finding in enumerate(findings):
        if finding.kind in _ONE_LABEL:
            first, *others = finding.labels
            count = sum(rename_label(context, project_arn, label, first) for label in others)
            changed += count
            done |= {number} if count else set()
    return Mended(removed, changed, frozenset(range(len(findings))) - done)


def _remove(context: Context, project_arn: str, findings: Sequence[Finding], looking: _Looking, done: set[int]) -> int:
    """
    Args:
        done: takes the numbers of findings about which something was done.
    """
    there = whereabouts(context, project_arn, [one for one in findings if one.kind in _GOING])
    gone = set[Where]()
    for number, finding in enumerate(findings):
        if finding.kind not in _GOING:
            continue
        every = entries_of(finding, there)
        # An image that another finding takes away is none to keep.
        going = _GOING[finding.kind]([one for one in every if one not in gone], looking)
        if going or any(one in gone for one in every):
            done.add(number)
        gone |= set(going)
    chosen: dict[str, dict[int, str]] = defaultdict(dict)
    for one in gone:
        chosen[one.dataset_arn][one.position] = one.line
    return remove_entries(context, project_arn, chosen) if chosen else 0


def _change(
    context: Context, project_arn: str, findings: Sequence[Finding], kind: str, looking: _Looking, done: set[int]
) -> int:
    """
    Args:
        done: as of `_remove`.
    """

    def change(said: Labelling, line: str) -> Labelling:
        # Where the size is another, so are all boxes.
        return _CHANGES[kind](said, line) if looking.has_size(line) else said

    wanted = {number: one for number, one in enumerate(findings) if one.kind == kind}
    before = whereabouts(context, project_arn, wanted.values())
    chosen: dict[str, set[int]] = defaultdict(set)
    for one in wanted.values():
        for at in entries_of(one, before):
            chosen[at.dataset_arn].add(at.position)
    changed = sum(change_many(context, arn, sorted(every), change) for arn, every in chosen.items())
    after = whereabouts(context, project_arn, wanted.values())
    done |= {number for number, one in wanted.items() if entries_of(one, before) != entries_of(one, after)}
    return changed
