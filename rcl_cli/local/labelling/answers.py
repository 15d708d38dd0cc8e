"""What models say of a project's images: asked once, kept, and used to say which images deserve a look.

Kept in a file a version below the home's cache: it can be made anew by asking again.
"""

from __future__ import annotations

import json
import threading
from array import array
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import NamedTuple

from rcl_cli.context import Context
from rcl_cli.domain import Detection
from rcl_cli.evaluation.sureness import disagreement, unsure
from rcl_cli.local.detecting.asking import Answer, detect_all
from rcl_cli.local.detecting.detectors import detector_of
from rcl_cli.local.feedback.answers import answerer_of, detection_of
from rcl_cli.local.labelling.gallery import Listing, part_of, place, position_of
from rcl_cli.local.labelling.lines import labelling_of
from rcl_cli.local.works import trouble_of
from rcl_cli.operations.contents import reading
from rcl_cli.store import answers, entries
from rcl_cli.store.versions import Version

# Fainter ones are no help to anybody.
_LEAST_SCORE = 0.01
_BATCH, _THREADS = 500, 4


class Progress(NamedTuple):
    """Where asking about many images stands.

    Args:
        failed: images about which nothing could be said.
        trouble: why it ended early, empty where it did not.
    """

    total: int
    done: int = 0
    failed: int = 0
    is_over: bool = False
    trouble: str = ""


class Answers:
    """What one version said.

    Args:
        version: a trained one.

    Attributes:
        thresholds: 0..1, by label: those that count where a request says nothing.
        path: of the file; see `store.answers`.

    Raises:
        ResourceNotReady: it is not trained.
    """

    def __init__(self, context: Context, version: Version) -> None:
        self.thresholds = answerer_of(context, version).thresholds
        self._context, self._version = context, version
        self.path = context.layout.answers(version.id)

    def count(self) -> int:
        """Of how many images it is known what the model says."""
        return answers.count(self.path)

    def of(self, source_refs: Sequence[str]) -> dict[str, tuple[Detection, ...]]:
        """What it said of pictures, best first; those that it was not asked about are left out."""
        return {ref: _detections(text) for ref, text in answers.of(self.path, source_refs).items()}

    def ask(self, source_refs: Iterable[str]) -> Generator[Answer, None, None]:
        """Ask about pictures of which nothing is known yet, and keep what is said.

        Raises:
            ResourceNotReady: the model does not run, or is gone.
        """
        with (
            closing(detector_of(self._context, self._version, once=False)) as detector,
            closing(detect_all(self._context, detector, source_refs, 100 * _LEAST_SCORE, None, _THREADS)) as found,
            answers.writing(self.path) as db,
        ):
            for answer in found:
                if answer.found is not None:
                    answers.put(db, answer.source_ref, json.dumps(answer.found.labels, ensure_ascii=False))
                yield answer


def _detections(text: str) -> tuple[Detection, ...]:
    return tuple(map(detection_of, json.loads(text)))


# --- which images deserve a look --------------------------------------------------------------------------------------


def least_sure(context: Context, listing: Listing, model: Answers) -> Listing:
    """Those of a listing of which it is known what the model says, the ones that it is least sure of first."""
    ranked = [
        (-unsure(said, model.thresholds), one)
        for _, chunk in _said_of(context, listing, model)
        for one, said in chunk.items()
    ]
    return _in_order(listing, ranked)


def disagreeing(context: Context, listing: Listing, model: Answers) -> Listing:
    """Those of a listing of which the model says something else than people did, the ones that differ most first."""
    ranked: list[tuple[float, int]] = []
    for number, chunk in _said_of(context, listing, model):
        with reading(context, listing.parts[number].arn, lambda _: None) as (_, db):
            there = entries.at(db, [position_of(one) for one in chunk])
        for entry in there:
            one = place(number, entry.position)
            # What nobody has labelled yet can't be denied.
            if entry.is_labeled and (wrong := _differing(entry.line, chunk[one], model)):
                ranked.append((-wrong, one))
    return _in_order(listing, ranked)


def _differing(line: str, said: Sequence[Detection], model: Answers) -> int:
    labelling = labelling_of(line)
    boxes = [(one.label, one.box) for one in labelling.boxes]
    return disagreement(said, labelling.labels, boxes, model.thresholds)


def _said_of(
    context: Context, listing: Listing, model: Answers
) -> Iterator[tuple[int, dict[int, tuple[Detection, ...]]]]:
    """What is known of a listing's entries, by place: some at a time, all of one part."""
    for number, part in enumerate(listing.parts):
        wanted = {position_of(one) for one in listing.places if part_of(one) == number}
        with reading(context, part.arn, lambda _: None) as (_, db):
            refs = {ref: position for position, ref in entries.all_source_refs(db) if position in wanted}
        every = iter(refs)
        while chunk := list(islice(every, _BATCH)):
            yield number, {place(number, refs[ref]): said for ref, said in model.of(chunk).items()}


def _in_order(listing: Listing, ranked: list[tuple[float, int]]) -> Listing:
    return listing._replace(places=array("Q", (one for _, one in sorted(ranked))))


# --- asking about many in the background ------------------------------------------------------------------------------


class Asking:
    """Asks models about all images of listings, beside whatever else is done."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._standing: dict[str, Progress] = {}
        self._stopped: set[str] = set()
        self._lock = threading.Lock()

    def progress(self, version_arn: str) -> Progress | None:
        """Where asking a version stands; None where it was not asked."""
        with self._lock:
            return self._standing.get(version_arn)

    def begin(self, version: Version, listing: Listing) -> None:
        """Ask a version about all entries of a listing of which it is not known yet.

        Raises:
            ResourceNotReady: it does not run.
        """
        model = Answers(self._context, version)
        detector_of(self._context, version, once=False).close()
        with self._lock:
            standing = self._standing.get(version.arn)
            if standing and not standing.is_over:
                # One that is about to stop goes on.
                self._stopped.discard(version.arn)
                return
            self._stopped.discard(version.arn)
            self._standing[version.arn] = Progress(0)
        threading.Thread(target=self._ask, args=(version.arn, model, listing), daemon=True).start()

    def stop(self, version_arn: str) -> None:
        """Ask it no more; what was said is kept."""
        with self._lock:
            self._stopped.add(version_arn)

    def _ask(self, arn: str, model: Answers, listing: Listing) -> None:
        trouble = ""
        try:
            refs = self._unknown(model, listing)
            self._tell(arn, Progress(len(refs)))
            failed = 0
            with closing(model.ask(refs)) as every:
                for done, answer in enumerate(every, 1):
                    failed += answer.error is not None
                    self._tell(arn, Progress(len(refs), done, failed))
                    if arn in self._stopped:
                        break
        except Exception as error:  # noqa: BLE001 - whatever ends it must be told
            trouble = trouble_of(self._context, error)
        with self._lock:
            self._standing[arn] = self._standing[arn]._replace(is_over=True, trouble=trouble)

    def _tell(self, arn: str, progress: Progress) -> None:
        with self._lock:
            self._standing[arn] = progress

    def _unknown(self, model: Answers, listing: Listing) -> list[str]:
        left: list[str] = []
        for number, part in enumerate(listing.parts):
            wanted = {position_of(one) for one in listing.places if part_of(one) == number}
            with reading(self._context, part.arn, lambda _: None) as (_, db):
                refs = [ref for position, ref in entries.all_source_refs(db) if position in wanted]
            for start in range(0, len(refs), _BATCH):
                chunk = refs[start : start + _BATCH]
                known = model.of(chunk)
                left += [ref for ref in chunk if ref not in known]
        return left
