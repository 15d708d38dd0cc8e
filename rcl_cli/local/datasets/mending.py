"""What a check found, mended where that needs nobody's eyes: entries go, boxes are cut or go, two labels become one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from rcl_cli.context import Context
from rcl_cli.domain import Box
from rcl_cli.formats.lines import source_ref
from rcl_cli.formats.record import BoxPx
from rcl_cli.local.datasets.checking.boxes import SAME_IOU, fault_of, iou
from rcl_cli.local.datasets.checking.findings import Finding
from rcl_cli.local.labelling.lines import Drawn, Labelling, size_in
from rcl_cli.local.labelling.many import Change, change_many, rename_label
from rcl_cli.local.labelling.parts import remove_entries
from rcl_cli.operations.contents import reading
from rcl_cli.operations.resources import find_project
from rcl_cli.store import datasets, entries

_TRAIN, _TEST = "TRAIN", "TEST"


class Where(NamedTuple):
    """An entry: its dataset, and the position in it.

    Args:
        part: `TRAIN` or `TEST`.
    """

    dataset_arn: str
    part: str
    position: int
    is_labeled: bool


class Mended(NamedTuple):
    """How many entries were taken out, and how many say something else."""

    removed: int
    changed: int


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
            labeled = {entry.position for entry in entries.at(own, list(there.values())) if entry.is_labeled}
            for ref, position in there.items():
                found[ref].append(Where(one.arn, one.type, position, position in labeled))
    return found


# --- which go ---------------------------------------------------------------------------------------------------------

Going = Callable[[list[Where]], list[Where]]


def _all(there: list[Where]) -> list[Where]:
    return there


def _all_but_one(there: list[Where]) -> list[Where]:
    """The first that somebody labelled stays, else the first."""
    return sorted(there, key=lambda one: not one.is_labeled)[1:]


def _those_for_training(there: list[Where]) -> list[Where]:
    """Where the test set has one, still."""
    return [one for one in there if one.part == _TRAIN] if any(one.part == _TEST for one in there) else []


_GOING: dict[str, Going] = {
    "missing-image": _all, "unreadable-image": _all, "unusable-size": _all,
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
    """Boxes end at the image's edge; those that lie beyond it go."""
    boxes = []
    for one in said.boxes:
        left, top = max(0.0, one.box.left), max(0.0, one.box.top)
        right, bottom = min(1.0, one.box.right), min(1.0, one.box.bottom)
        is_inside = (left, top, right, bottom) == (one.box.left, one.box.top, one.box.right, one.box.bottom)
        if is_inside:
            boxes.append(one)
        elif left < right and top < bottom:
            boxes.append(one._replace(box=Box(left, top, right - left, bottom - top)))
    return said._replace(boxes=tuple(boxes))


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


def ways_of(findings: Sequence[Finding]) -> list[str]:
    """What `mend` does about each finding; empty where people have to decide by looking.

    Args:
        findings: all of a check: of copies that are labelled differently somebody has to choose.
    """
    open_ = {image for one in findings if one.kind == "contradicting-duplicates" for image in one.images}
    return [
        "" if one.kind in _GOING and open_.intersection(one.images) and _GOING[one.kind] is not _all
        else _WAYS.get(one.kind, "")
        for one in findings
    ]  # fmt: skip


def mend(context: Context, project_arn: str, findings: Sequence[Finding]) -> Mended:
    """Do about findings what `ways_of` says; where that is nothing, nothing.

    What was found is looked for anew: where it is another by now, it is left.

    Raises:
        ResourceNotFound: there is no such project.
        ServiceError: a dataset can't be changed now; what was mended before stays so.
    """
    findings = [one for one, way in zip(findings, ways_of(findings), strict=True) if way]
    removed = _remove(context, project_arn, [one for one in findings if one.kind in _GOING])
    changed = sum(
        _change(context, project_arn, [one for one in findings if one.kind == kind], change)
        for kind, change in _CHANGES.items()
    )
    for one in findings:
        if one.kind in _ONE_LABEL:
            changed += sum(rename_label(context, project_arn, label, one.labels[0]) for label in one.labels[1:])
    return Mended(removed, changed)


def _remove(context: Context, project_arn: str, findings: Sequence[Finding]) -> int:
    there = whereabouts(context, project_arn, findings)
    gone = set[Where]()
    for finding in findings:
        # An image that another finding takes away is none to keep.
        own = [one for image in finding.images for one in there.get(ref_of(image), []) if one not in gone]
        gone |= set(_GOING[finding.kind]([one for one in own if finding.part.upper() in ("", one.part)]))
    chosen: dict[str, list[int]] = defaultdict(list)
    for one in gone:
        chosen[one.dataset_arn].append(one.position)
    return remove_entries(context, project_arn, chosen) if chosen else 0


def _change(context: Context, project_arn: str, findings: Sequence[Finding], change: Change) -> int:
    there = whereabouts(context, project_arn, findings) if findings else {}
    chosen: dict[str, set[int]] = defaultdict(set)
    for one in (one for every in there.values() for one in every):
        chosen[one.dataset_arn].add(one.position)
    return sum(change_many(context, arn, sorted(every), change) for arn, every in chosen.items())
