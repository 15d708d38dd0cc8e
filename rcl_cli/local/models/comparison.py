"""Two trained versions side by side, on the test images that both were judged on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rcl_cli.backends.registry import read_card
from rcl_cli.buckets.fetch import ImageFetcher
from rcl_cli.context import Context
from rcl_cli.errors import RclError
from rcl_cli.evaluation import evidence
from rcl_cli.evaluation.evidence import Judged
from rcl_cli.evaluation.metrics import average_precision
from rcl_cli.evaluation.paired import counts_of, f1_interval, figures_of, is_enough
from rcl_cli.local.models.report import picture_of
from rcl_cli.local.models.thresholds import folder_of
from rcl_cli.local.writing import write_text
from rcl_cli.render.page import page
from rcl_cli.scratch import scratch
from rcl_cli.store import projects
from rcl_cli.store.versions import Version

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIGURES = ("f1", "precision", "recall", "average_precision")
_GALLERY = 12


class Side(NamedTuple):
    """A version, and what it said of its test images.

    Args:
        judged: by source-ref.
        described: what it was made with.
    """

    title: str
    labels: tuple[str, ...]
    thresholds: dict[str, float]
    judged: dict[str, Judged]
    described: dict[str, Any]


class Changed(NamedTuple):
    """A test image about which the versions are not equally right.

    Args:
        images: with the predictions of each.
        errors: what each said that is wrong, and what it missed.
    """

    images: tuple[Judged, Judged]
    errors: tuple[int, int]


class Comparison(NamedTuple):
    """How two versions differ; pairs are (first, second).

    Args:
        images: how many test images both have, with the same truth.
        only: how many test images only one has.
        relabelled: how many both have, with another truth.
        labels: by label, each of `FIGURES` as a pair, and `positives`, how many there should be.
        overall: means over labels.
        f1_interval: 95 % interval of second minus first.
        better, worse: where the second has fewer errors, or more; most changed first.
        differing: what they were made with, where that differs.
    """

    sides: tuple[Side, Side]
    images: int
    only: tuple[int, int]
    relabelled: int
    labels: dict[str, dict[str, Any]]
    overall: dict[str, tuple[float, float]]
    f1_interval: tuple[float, float]
    better: tuple[Changed, ...]
    worse: tuple[Changed, ...]
    differing: dict[str, tuple[Any, Any]]

    def as_json(self) -> dict[str, Any]:
        """All but the predictions."""
        return {
            "versions": [side.title for side in self.sides],
            "images": self.images,
            "only": self.only,
            "relabelled": self.relabelled,
            "overall": self.overall,
            "f1_interval": self.f1_interval,
            "labels": self.labels,
            "better": [changed.images[0].source_ref for changed in self.better],
            "worse": [changed.images[0].source_ref for changed in self.worse],
            "differing": self.differing,
        }


def write_comparison(context: Context, found: Comparison, out: Path) -> None:
    """Write a page with the images about which the versions differ most.

    Raises:
        RclError: it can't be written.
    """
    title = " and ".join(side.title for side in found.sides)
    with scratch("compare") as cache:
        fetcher = ImageFetcher(context.buckets, cache)
        data = page_data(found, lambda image: picture_of(fetcher, image))
    write_text(out, page("compare", title, data))


def compare(context: Context, first: Version, second: Version) -> Comparison:
    """Hold two versions against each other, each at its assumed thresholds.

    Raises:
        ResourceNotReady: one is not trained.
        RclError: one was trained before predictions were kept, or they share no test image or no label.
    """
    a, b = sides = (_side(context, first), _side(context, second))
    both = [(a.judged[ref], b.judged[ref]) for ref in a.judged if ref in b.judged]
    pairs = [pair for pair in both if _truth(pair[0]) == _truth(pair[1])]
    labels = [label for label in a.labels if label in b.labels]
    if not pairs or not labels:
        what = "test image with the same labels" if labels else "label"
        raise RclError(f"{a.title} and {b.title} have no {what} in common: there is nothing to compare.")
    judged = ([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    counts = (counts_of(judged[0], labels, a.thresholds), counts_of(judged[1], labels, b.thresholds))
    figures = (_figures(counts[0], judged[0], labels), _figures(counts[1], judged[1], labels))
    occurring = [number for number, count in enumerate(figures[0]["positives"]) if count]
    if not occurring:
        raise RclError(f"No label that {a.title} and {b.title} share occurs in the test images that they share.")
    changed = _changed(pairs, counts)
    return Comparison(
        sides,
        len(pairs),
        (len(a.judged) - len(both), len(b.judged) - len(both)),
        len(both) - len(pairs),
        {labels[i]: _row(figures, i) for i in occurring},
        {name: (float(figures[0][name][occurring].mean()), float(figures[1][name][occurring].mean()))
         for name in FIGURES},
        f1_interval(*counts),
        tuple(one for one in changed if one.errors[1] < one.errors[0]),
        tuple(one for one in changed if one.errors[1] > one.errors[0]),
        {key: (a.described.get(key), b.described.get(key)) for key in {**a.described, **b.described}
         if a.described.get(key) != b.described.get(key)},
    )  # fmt: skip


def _side(context: Context, version: Version) -> Side:
    folder = folder_of(context, version)
    card, extra = read_card(folder)
    with context.database.read() as db:
        title = f"{projects.by_id(db, version.project_id).name}/{version.name}"
    judged = {image.source_ref: image for image in evidence.read(folder)}
    described = {
        "model": card.model,
        "weights": card.weights_source,
        "image size": card.image_size,
        **card.hyperparameters,
        **extra.get("data", {}),
        "runtime": extra.get("runtime"),
        **extra.get("versions", {}),
        "size in MB": round(sum(path.stat().st_size for path in folder.iterdir()) / 1e6),
    }
    return Side(title, card.labels, extra["thresholds"], judged, described)


def _truth(image: Judged) -> list[tuple[str, Any]]:
    return sorted(image.truth, key=str)


def _figures(counts: NDArray[np.int64], judged: Sequence[Judged], labels: Sequence[str]) -> dict[str, Any]:
    events = evidence.events_of(judged, labels)
    precisions = np.array([average_precision(events[label]) for label in labels])
    return {**figures_of(counts.sum(axis=0)), "average_precision": precisions}


def _row(figures: tuple[dict[str, Any], dict[str, Any]], number: int) -> dict[str, Any]:
    pairs = {name: (float(figures[0][name][number]), float(figures[1][name][number])) for name in FIGURES}
    return {**pairs, "positives": int(figures[0]["positives"][number])}


def _changed(
    pairs: Sequence[tuple[Judged, Judged]], counts: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> list[Changed]:
    """All images with their errors, the most changed first."""
    errors = [one[:, :, 1:].sum(axis=(1, 2)) for one in counts]
    every = [
        Changed(pair, (int(before), int(after)))
        for pair, before, after in zip(pairs, errors[0], errors[1], strict=True)
    ]
    return sorted(every, key=lambda one: -abs(one.errors[1] - one.errors[0]))


def said_of(comparison: Comparison) -> str:
    """On what they were compared, and how sure the difference is, in a sentence or two."""
    first, second = comparison.sides
    shared = f"On {comparison.images} test images that both have"
    if comparison.relabelled:
        shared += f" ({comparison.relabelled} more have other labels now)"
    if any(comparison.only):
        shared += f"; {comparison.only[0]} are only {first.title}'s, {comparison.only[1]} only {second.title}'s"
    low, high = comparison.f1_interval
    before, after = comparison.overall["f1"]
    if not is_enough(comparison.images, len(comparison.better) + len(comparison.worse)):
        sure = "too few images, or too few that differ, to tell"
    else:
        sure = "within what chance gives" if low <= 0 <= high else "more than chance gives"
    return (
        f"{shared}. F1 changes by {after - before:+.3f}; over images drawn anew, 95 % are between {low:+.3f} and "
        f"{high:+.3f}: {sure}."
    )


# --- for a page -------------------------------------------------------------------------------------------------------


def page_data(comparison: Comparison, picture: Callable[[Judged], dict[str, Any]]) -> dict[str, Any]:
    """What a page about it shows, with the pictures that changed most.

    Args:
        picture: what a page is told of a picture.
    """
    galleries = {
        name: {
            "count": len(images),
            "images": [
                {**picture(one.images[0]), "found": _found(one, comparison.sides), "errors": one.errors}
                for one in images[:_GALLERY]
            ],
        }
        for name, images in (("better", comparison.better), ("worse", comparison.worse))
    }
    return {**comparison.as_json(), **galleries, "said": said_of(comparison)}


def _found(changed: Changed, sides: tuple[Side, Side]) -> list[list[dict[str, Any]]]:
    """What each said that reaches its threshold."""
    # What only one of them knows was not counted as an error either.
    shared = set(sides[0].labels) & set(sides[1].labels)
    return [
        [
            {
                "label": match.detection.label,
                "score": match.detection.score,
                "box": match.detection.box,
                "right": match.truth is not None,
            }
            for match in image.matches
            if match.detection.label in shared and match.detection.score >= side.thresholds[match.detection.label]
        ]
        for image, side in zip(changed.images, sides, strict=True)
    ]
