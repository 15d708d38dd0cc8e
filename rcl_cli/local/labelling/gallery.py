"""The images of a project in order, any number of them: which there are under a filter, and those of a stretch."""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left
from collections import OrderedDict
from typing import Any, NamedTuple, cast

from rcl_cli.context import Context
from rcl_cli.local.labelling.lines import Labelling, labelling_of
from rcl_cli.local.labelling.saving import Saved, as_saved
from rcl_cli.manifest.line import parse_line
from rcl_cli.operations.contents import reading
from rcl_cli.operations.resources import find_project
from rcl_cli.store import datasets, entries
from rcl_cli.store.entries import EntryFilter

PARTS = ("TRAIN", "TEST")
_MOST_KEPT, _MOST_FROZEN = 64, 32
_ALL, _ALL_LABELS = EntryFilter(), 2**31


class Stretch(NamedTuple):
    """Entries of one dataset.

    Args:
        type: `TRAIN` or `TEST`.
    """

    arn: str
    type: str
    positions: array[int]


class Listing(NamedTuple):
    """All entries under a filter, as it was at a moment.

    Args:
        revision: changes with every change of the datasets.
    """

    stretches: tuple[Stretch, ...]
    revision: str

    @property
    def total(self) -> int:
        return sum(len(one.positions) for one in self.stretches)


class Shown(NamedTuple):
    """An entry as galleries show it."""

    dataset_arn: str
    part: str
    position: int
    source_ref: str
    saved: Saved
    labelling: Labelling
    is_labeled: bool
    has_errors: bool


class Gallery:
    """Lists what projects hold; from several threads at once. The last listings are kept."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[object, ...], Any] = OrderedDict()
        # What somebody goes through, which others' looks must not push out.
        self._frozen: OrderedDict[tuple[object, ...], Listing] = OrderedDict()
        self._lock = threading.Lock()

    def listing(
        self,
        context: Context,
        project_arn: str,
        conditions: EntryFilter = _ALL,
        types: tuple[str, ...] = PARTS,
        revision: str = "",
    ) -> Listing:
        """All entries of a project that fit conditions, those for training first.

        Args:
            types: of datasets.
            revision: of a listing of before, whose order is to stay whatever became of the entries; where that is
                not known any more, it is a new one.

        Raises:
            ResourceNotFound: there is no such project.
        """
        asked = (project_arn, conditions, types)
        if revision and (kept := self._freeze((*asked, revision))) is not None:
            return kept
        with context.database.read() as db:
            found = datasets.of_project(db, find_project(db, project_arn).id)
        stretches, revisions = [], []
        for one in sorted(found, key=lambda dataset: PARTS.index(dataset.type)):
            with reading(context, one.arn, lambda _: None) as (dataset, own):
                revisions.append(f"{dataset.file[:8]}.{dataset.state.revision}")
                if one.type in types:
                    key = (dataset.file, dataset.state.revision, conditions)
                    positions = self._known(key)
                    if positions is None:
                        positions = self._keep(key, entries.positions(own, conditions))
                    stretches.append(Stretch(one.arn, one.type, positions))
        made = Listing(tuple(stretches), "-".join(revisions))
        return cast(Listing, self._keep((*asked, made.revision), made))

    def _known(self, key: tuple[object, ...]) -> Any:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _freeze(self, key: tuple[object, ...]) -> Listing | None:
        kept = self._known(key)
        with self._lock:
            found = self._frozen.pop(key, None) or cast("Listing | None", kept)
            if found is not None:
                self._frozen[key] = found
                while len(self._frozen) > _MOST_FROZEN:
                    self._frozen.popitem(last=False)
        return found

    def _keep(self, key: tuple[object, ...], found: Any) -> Any:
        with self._lock:
            self._kept[key] = found
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return found


def shown(context: Context, listing: Listing, offset: int, limit: int) -> list[Shown | None]:
    """The entries of a listing from one on; None where one is not there any more."""
    found: list[Shown | None] = []
    for stretch in listing.stretches:
        here = stretch.positions[max(0, offset) : max(0, offset + limit)]
        offset -= len(stretch.positions)
        if here:
            with reading(context, stretch.arn, lambda _: None) as (_, db):
                there = {entry.position: _shown(stretch, entry) for entry in entries.at(db, list(here))}
            found += [there.get(position) for position in here]
    return found


class LabelCount(NamedTuple):
    """How many images have a label, and how many have it on a box."""

    name: str
    images: int
    boxes: int


def labels_of(context: Context, project_arn: str) -> list[LabelCount]:
    """The labels of all datasets of a project, by name.

    Raises:
        ResourceNotFound: there is no such project.
    """
    with context.database.read() as db:
        found = datasets.of_project(db, find_project(db, project_arn).id)
    counts: dict[str, LabelCount] = {}
    for one in found:
        with reading(context, one.arn, lambda _: None) as (_, own):
            for name, images, boxes in entries.labels_page(own, "", _ALL_LABELS):
                before = counts.get(name, LabelCount(name, 0, 0))
                counts[name] = LabelCount(name, before.images + images, before.boxes + boxes)
    return [counts[name] for name in sorted(counts)]


def index_of(listing: Listing, dataset_arn: str, position: int) -> int | None:
    """Where in a listing an entry is; None where it is not."""
    first = 0
    for stretch in listing.stretches:
        at = bisect_left(stretch.positions, position)
        if stretch.arn == dataset_arn and at < len(stretch.positions) and stretch.positions[at] == position:
            return first + at
        first += len(stretch.positions)
    return None


def next_unlabeled(context: Context, listing: Listing, after: int) -> int | None:
    """Where in a listing the next entry without labels is; from the front again where there is none behind."""
    first, found = 0, list[int]()
    for stretch in listing.stretches:
        with reading(context, stretch.arn, lambda _: None) as (_, db):
            without = set(entries.positions(db, EntryFilter(is_labeled=False)))
        found += [index for index, position in enumerate(stretch.positions, first) if position in without]
        first += len(stretch.positions)
    return next((index for index in found if index > after), found[0] if found else None)


def _shown(stretch: Stretch, entry: entries.Entry) -> Shown:
    return Shown(
        stretch.arn, stretch.type, entry.position, parse_line(entry.line).source_ref, as_saved(entry.line),
        labelling_of(entry.line), entry.is_labeled, entry.has_errors,
    )  # fmt: skip
