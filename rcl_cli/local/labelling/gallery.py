"""The images of a project in order, any number of them: which there are under a filter, and those of a stretch."""

from __future__ import annotations

import hashlib
import secrets
import threading
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, cast

from rcl_cli.context import Context
from rcl_cli.errors import InvalidParameter, ResourceNotFound
from rcl_cli.local.labelling.lines import Labelling, labelling_of
from rcl_cli.local.labelling.saving import Saved, as_saved
from rcl_cli.manifest.line import parse_line
from rcl_cli.operations.contents import reading
from rcl_cli.operations.resources import find_project
from rcl_cli.store import datasets, entries
from rcl_cli.store.entries import EntryFilter

PARTS = ("TRAIN", "TEST")
_MOST_KEPT, _MOST_FROZEN, _BATCH = 64, 32, 500
_ALL, _ALL_LABELS = EntryFilter(), 2**31
_POSITION_BITS = 32
_POSITION_MASK = (1 << _POSITION_BITS) - 1


class Part(NamedTuple):
    """A dataset of a project.

    Args:
        type: `TRAIN` or `TEST`.
    """

    arn: str
    type: str


class Listing(NamedTuple):
    """Entries in an order, as they were at a moment.

    Args:
        parts: the datasets that they are of.
        places: of the entries: which of the parts, and the position in it; see `place`.
        revision: changes with every change of the datasets.
    """

    parts: tuple[Part, ...]
    places: array[int]
    revision: str

    @property
    def total(self) -> int:
        return len(self.places)

    def positions(self) -> dict[str, list[int]]:
        """All entries: positions by dataset, in the listing's order."""
        found: dict[str, list[int]] = {part.arn: [] for part in self.parts}
        every = [found[part.arn] for part in self.parts]
        for one in self.places:
            every[part_of(one)].append(position_of(one))
        return found


def place(part: int, position: int) -> int:
    """An entry of one of a listing's parts, as one number."""
    return part << _POSITION_BITS | position


def part_of(one: int) -> int:
    """Which of a listing's parts a place is in."""
    return one >> _POSITION_BITS


def position_of(one: int) -> int:
    """The position of a place in its part."""
    return one & _POSITION_MASK


def listing_of(wanted: Sequence[tuple[str, int]]) -> Listing:
    """A listing of entries, (dataset's ARN, position) each, in their order.

    Raises:
        InvalidParameter: there are datasets of more than one project, or something else.
    """
    arns = list(dict.fromkeys(arn for arn, _ in wanted))
    if len(arns) > len(PARTS):
        raise InvalidParameter("A list of images is of one project.")
    kinds = [next((kind for kind in PARTS if f"/dataset/{kind.lower()}/" in arn), "") for arn in arns]
    if "" in kinds:
        raise InvalidParameter("There is no such dataset.")
    numbers = {arn: number for number, arn in enumerate(arns)}
    places = array("Q", (place(numbers[arn], position) for arn, position in wanted if position <= _POSITION_MASK))
    return Listing(tuple(map(Part, arns, kinds)), places, "")


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
        *,
        by_name: bool = False,
    ) -> Listing:
        """All entries of a project that fit conditions, those for training first.

        Args:
            types: of datasets.
            by_name: in the order of their source-refs, not in the manifest's.
            revision: of a listing of before, whose order is to stay whatever became of the entries; where that is
                not known any more, it is a new one.

        Raises:
            ResourceNotFound: there is no such project.
        """
        asked = (project_arn, conditions, types, by_name)
        if revision and (kept := self._freeze((*asked, revision))) is not None:
            return kept
        with context.database.read() as db:
            found = datasets.of_project(db, find_project(db, project_arn).id)
        parts, places, revisions = list[Part](), array("Q"), list[str]()
        for one in sorted(found, key=lambda dataset: PARTS.index(dataset.type)):
            with reading(context, one.arn, lambda _: None) as (dataset, own):
                revisions.append(f"{dataset.file[:8]}.{dataset.state.revision}")
                if one.type in types:
                    key = (dataset.file, dataset.state.revision, conditions, by_name)
                    positions = self._known(key)
                    if positions is None:
                        positions = self._keep(key, entries.positions(own, conditions, by_name=by_name))
                    places.extend(array("Q", (place(len(parts), position) for position in positions)))
                    parts.append(Part(one.arn, one.type))
        made = Listing(tuple(parts), places, "-".join(revisions))
        return cast(Listing, self._keep((*asked, made.revision), made))

    def ordered(self, listing: Listing, order: str, make: Callable[[Listing], Listing]) -> Listing:
        """Entries of a listing in another order, which takes long to find.

        Args:
            order: names it; it is the same as long as this and the listing are.
        """
        told = hashlib.blake2b(order.encode(), digest_size=8)
        # Other conditions on the same entries are another listing.
        told.update(listing.places.tobytes())
        revision = f"{listing.revision}-{told.hexdigest()}"
        if (known := self._known(("ordered", revision))) is not None:
            return cast(Listing, known)
        return cast(Listing, self._keep(("ordered", revision), make(listing)._replace(revision=revision)))

    def order_of_before(self, revision: str) -> Listing | None:
        """What `ordered` made, whatever became of it since; None where it is not known any more."""
        return self._freeze(("ordered", revision))

    def queue(self, listing: Listing) -> str:
        """Keep a listing of some entries in an order of its own for who goes through it; returns its name."""
        name = f"queue-{secrets.token_hex(8)}"
        self._keep(("queue", name), listing._replace(revision=name))
        self._freeze(("queue", name))
        return name

    def queued(self, name: str) -> Listing:
        """
        Raises:
            ResourceNotFound: it is not known any more.
        """
        found = self._freeze(("queue", name))
        if found is None:
            raise ResourceNotFound("This list of images is not kept any more: begin where you chose them.")
        return found

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
    here = listing.places[max(0, offset) : max(0, offset + limit)]
    there: dict[int, Shown] = {}
    for number, part in enumerate(listing.parts):
        positions = [position_of(one) for one in here if part_of(one) == number]
        if positions:
            with reading(context, part.arn, lambda _: None) as (_, db):
                there |= {place(number, entry.position): _shown(part, entry) for entry in entries.at(db, positions)}
    return [there.get(one) for one in here]


def lines_of(context: Context, listing: Listing) -> Iterator[str]:
    """The manifest lines of a listing in its order, each with its end; what is not there any more is left out."""
    for start in range(0, listing.total, _BATCH):
        for one in shown(context, listing, start, _BATCH):
            if one is not None:
                yield f"{one.saved.line}\n"


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
    number = next((number for number, part in enumerate(listing.parts) if part.arn == dataset_arn), None)
    try:
        return None if number is None else listing.places.index(place(number, position))
    except ValueError:
        return None


def next_unlabeled(context: Context, listing: Listing, after: int) -> int | None:
    """Where in a listing the next entry without labels is; from the front again where there is none behind."""
    without = set[int]()
    for number, part in enumerate(listing.parts):
        with reading(context, part.arn, lambda _: None) as (_, db):
            without |= {place(number, one) for one in entries.positions(db, EntryFilter(is_labeled=False))}
    found = [index for index, one in enumerate(listing.places) if one in without]
    return next((index for index in found if index > after), found[0] if found else None)


def _shown(part: Part, entry: entries.Entry) -> Shown:
    return Shown(
        part.arn, part.type, entry.position, parse_line(entry.line).source_ref, as_saved(entry.line),
        labelling_of(entry.line), entry.is_labeled, entry.has_errors,
    )  # fmt: skip
