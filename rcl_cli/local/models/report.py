"""What a report says about a trained version, as plain data; `render.report` makes a page of it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from rcl_cli.backends.registry import family, read_card
from rcl_cli.buckets.base import NoSuchObjectError
from rcl_cli.buckets.fetch import ImageFetcher
from rcl_cli.context import Context
from rcl_cli.domain import ModelCard
from rcl_cli.errors import ServiceError
from rcl_cli.evaluation import evidence
from rcl_cli.evaluation.evidence import Judged
from rcl_cli.evaluation.expected import expected
from rcl_cli.evaluation.metrics import iou
from rcl_cli.imaging.decode import decode
from rcl_cli.imaging.geometry import fit_longer_side
from rcl_cli.local.models.thresholds import folder_of
from rcl_cli.local.models.watching import evaluation_of
from rcl_cli.local.writing import write_text
from rcl_cli.render.page import page
from rcl_cli.scratch import scratch
from rcl_cli.store import projects
from rcl_cli.store.versions import Version
from rcl_cli.tiles import Tiling
from rcl_cli.training.outlook import Outlook

_GALLERY = 18
_THUMBNAIL_PX = 420
_QUALITY = 72
_SAME_THING_IOU = 0.5
# More predictions than this a page would take long to open with; the faintest are left out then.
_MOST_EVENTS = 200_000
NOTHING = "nothing"


def write_report(context: Context, version: Version, out: Path | None = None) -> Path:
    """Write a page about how good a trained version is; returns the file.

    Args:
        out: None for one named after the version, in the current folder.

    Raises:
        ResourceNotReady: the version is not trained.
        RclError: it was trained before predictions were kept, or the page can't be written.
    """
    found = report_of(context, version)
    target = out or Path(f"{found['title'].replace('/', '-')}-report.html")
    write_text(target, page("report", found["title"], found))
    return target


def report_of(context: Context, version: Version) -> dict[str, Any]:
    """Everything that a report shows.

    Raises:
        ResourceNotReady: the version is not trained.
        RclError: it was trained before predictions were kept.
    """
    folder = folder_of(context, version)
    card, extra = read_card(folder)
    judged = list(evidence.read(folder))
    with context.database.read() as db:
        project = projects.by_id(db, version.project_id).name
    thresholds: dict[str, float] = extra["thresholds"]
    galleries, pictures = _galleries(context, judged, thresholds)
    return {
        "title": f"{project}/{version.name}",
        "arn": version.arn,
        "is_detector": family(card.family).task == "detection",
        "labels": list(card.labels),
        "thresholds": thresholds,
        "summary": evaluation_of(context, version.arn),
        "expected": expected_of(judged, card, extra),
        "events": _events(judged, card.labels),
        "confusion": _confusion(judged, card.labels, thresholds),
        "galleries": galleries,
        "pictures": pictures,
        "history": list(card.history),
        "contest": extra.get("contest", []),
        "settings": settings_of(card, extra),
        "data": extra.get("data", {}),
        "versions": extra.get("versions", {}),
    }


def expected_of(judged: Sequence[Judged], card: ModelCard, extra: Mapping[str, Any]) -> dict[str, float] | None:
    """F1 to expect on new images; computed for models that are older than that."""
    if "expected" in extra:
        found: dict[str, float] | None = extra["expected"]
        return found
    told = expected(judged, card.labels)
    return told and told._asdict()


def settings_of(card: ModelCard, extra: Mapping[str, Any]) -> dict[str, Any]:
    """What a model was made with, as people read it."""
    return {
        "model": card.model,
        "licence": family(card.family).licence,
        "weights": card.weights_source,
        "chosen": card.choice,
        "image size": f"{card.image_size} px",
        "runtime": extra.get("runtime", ""),
        **_tiles(card),
        **card.hyperparameters,
        **({"outlook": Outlook(**ahead).sentence()} if (ahead := extra.get("outlook")) else {}),
    }


def _tiles(card: ModelCard) -> dict[str, str]:
    if "tiling" not in card.preprocessing:
        return {}
    tiling = Tiling(**card.preprocessing["tiling"])
    also = ", and as a whole" if tiling.whole else ""
    return {"tiles": f"of {tiling.tile_px} px of the images, which share {tiling.overlap_px} px{also}"}


def _events(judged: Sequence[Judged], labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    """By label: scores, whether each was right, and how many there should be; highest first."""
    found = {}
    most = _MOST_EVENTS // max(1, len(labels))
    for label, events in evidence.events_of(judged, labels).items():
        ranked = sorted(zip(events.scores, events.hits, strict=True), key=lambda pair: -pair[0])[:most]
        found[label] = {
            "scores": [score for score, _ in ranked],
            "hits": [int(hit) for _, hit in ranked],
            "positives": events.positives,
            "images": events.images,
        }
    return found


def _confusion(judged: Iterable[Judged], labels: Sequence[str], thresholds: dict[str, float]) -> list[list[int]]:
    """Counts: rows are what is there, columns what was said; the last of each is nothing.

    Of single-label images, what was said is the best label; of boxes, the best that lies on the same thing and reaches
    its threshold; several labels of one image are counted by themselves.
    """
    index = {label: number for number, label in enumerate(labels)}
    nothing = len(labels)
    counts = [[0] * (nothing + 1) for _ in range(nothing + 1)]
    for image in judged:
        reached = [m.detection for m in image.matches if m.detection.score >= thresholds.get(m.detection.label, 0.5)]
        if any(box is not None for _, box in image.truth) or any(d.box is not None for d in reached):
            left = sorted(reached, key=lambda d: -d.score)
            for label, box in image.truth:
                near = [d for d in left if d.box and box and iou(d.box, box) >= _SAME_THING_IOU]
                # The right label first: another box on the same thing is a thing of its own.
                best = next((d for d in near if d.label == label), near[0] if near else None)
                if best is not None:
                    left.remove(best)
                if label in index:
                    counts[index[label]][index[best.label] if best else nothing] += 1
            for detection in left:
                counts[nothing][index[detection.label]] += 1
        elif len(image.truth) == 1 and image.matches:
            best = max((m.detection for m in image.matches), key=lambda d: d.score)
            if image.truth[0][0] in index:
                counts[index[image.truth[0][0]]][index[best.label]] += 1
        else:
            truth, said = {label for label, _ in image.truth}, {d.label for d in reached}
            for label in truth & index.keys():
                counts[index[label]][index[label] if label in said else nothing] += 1
            for label in said - truth:
                counts[nothing][index[label]] += 1
    return counts


# --- galleries --------------------------------------------------------------------------------------------------------


def _galleries(
    context: Context, judged: Sequence[Judged], thresholds: dict[str, float]
) -> tuple[dict[str, list[dict[str, Any]]], list[dict[str, Any]]]:
    """The worst mistakes and the least sure answers, and the pictures that they are in."""
    wrong: list[tuple[float, int, dict[str, Any]]] = []
    missed: list[tuple[float, int, dict[str, Any]]] = []
    unsure: list[tuple[float, int, dict[str, Any]]] = []
    for number, image in enumerate(judged):
        found_at = {m.truth: m.detection for m in image.matches if m.truth is not None}
        for match in image.matches:
            score, threshold = match.detection.score, thresholds.get(match.detection.label, 0.5)
            item = {"label": match.detection.label, "score": score, "box": match.detection.box}
            if match.truth is None and score >= threshold:
                wrong.append((-score, number, item))
            unsure.append((abs(score - threshold), number, {**item, "right": match.truth is not None}))
        for index, (label, box) in enumerate(image.truth):
            found = found_at.get(index)
            if found is None or found.score < thresholds.get(label, 0.5):
                score = found.score if found else 0.0
                missed.append((score, number, {"label": label, "score": score, "box": box}))
    used: dict[int, int] = {}
    galleries = {}
    for name, items in (("wrong", wrong), ("missed", missed), ("unsure", unsure)):
        best = sorted(items, key=lambda item: item[:2])[:_GALLERY]
        galleries[name] = [{**item, "picture": used.setdefault(number, len(used))} for _, number, item in best]
    with scratch("report") as cache:
        fetcher = ImageFetcher(context.buckets, cache)
        pictures = [picture_of(fetcher, judged[number]) for number in used]
    return galleries, pictures


def picture_of(fetcher: ImageFetcher, image: Judged) -> dict[str, Any]:
    """A small copy of a picture, as a data URL; empty where it is gone."""
    url = ""
    try:
        pixels = decode(fetcher.fetch(image.source_ref), longer_px=_THUMBNAIL_PX)
        small = fit_longer_side(pixels, min(_THUMBNAIL_PX, max(pixels.shape[:2])))
        out = io.BytesIO()
        Image.fromarray(small).save(out, "JPEG", quality=_QUALITY)
        url = f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"
    except (NoSuchObjectError, ServiceError, OSError):
        pass
    return {"name": image.source_ref, "url": url, "truth": image.truth, "size": [image.width, image.height]}
