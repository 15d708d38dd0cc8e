"""Ground Truth manifests, also with Ground Truth's own type of several labels, which Custom Labels does not read."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rcl_cli.buckets.resolve import local_file
from rcl_cli.formats.damaged import own_files, start_of
from rcl_cli.formats.files import ImageFinder
from rcl_cli.formats.record import BoxPx, FormatError, Notes, Record
from rcl_cli.manifest.checks import IMAGE
from rcl_cli.manifest.document import FEEDBACK, METADATA_SUFFIX, SOURCE_REF, compact, load
from rcl_cli.manifest.line import parse_line
from rcl_cli.manifest.reader import TerminalManifestError, read_rows
from rcl_cli.regular import open_bytes

MULTILABEL = "groundtruth/image-classification-multilabel"
_SUFFIXES = (".manifest", ".jsonl", ".json")
_DECIMALS = 6


def fits(source: Path) -> bool:
    return any(map(_is_manifest, _candidates(source)))


def _candidates(source: Path) -> list[Path]:
    if source.is_file():
        return [source] if source.suffix.lower() in _SUFFIXES else []
    return sorted(source.glob("*.manifest"))


def _is_manifest(path: Path) -> bool:
    """Whether it has a line with a source-ref near its start: others may be empty, or damaged."""
    lines = start_of(path).removeprefix(BOM_UTF8).splitlines()
    return any(line.lstrip().startswith(b"{") and b'"source-ref"' in line for line in lines)


def _split_of(path: Path, count: int) -> str:
    """What the file's name says, where there are several."""
    name = path.name.lower()
    return next((part for part in ("train", "test", "val") if count > 1 and part in name), "")


def read(source: Path, images: Path | None, notes: Notes) -> Iterator[Record]:
    files = list(own_files(_candidates(source), _is_manifest, notes))
    if not files:
        raise FormatError(f"{source} is no Ground Truth manifest: a JSON object a line, each with a source-ref.")
    for path in files:
        finder = ImageFinder(images) if images else None
        split = _split_of(path, len(files))
        try:
            with open_bytes(path) as stream:
                for number, text in enumerate(read_rows(stream), 1):
                    record = record_of(text or "", f"{path.name}:{number}", finder, notes)
                    if record is not None:
                        yield record._replace(split=split)
        except TerminalManifestError as error:
            raise FormatError(f"{path}: {error}") from error


def record_of(text: str, where: str, finder: ImageFinder | None, notes: Notes) -> Record | None:
    """A manifest line as a record; None, and a note, where nothing in it can be used."""
    document = load(text)
    if document is None:
        notes.add("lines are no JSON objects", where)
        return None
    if any(_is_multilabel(value) for value in document.values()):
        document = with_single_labels(document)
        text = compact(document)
    line = parse_line(text)
    for problem in line.errors:
        notes.add(f"lines have {problem.code.code}", line.source_ref or where)
    if not line.source_ref:
        return None
    sizes = [s for s in (_image_size(value) for value in document.values()) if s]
    size = sizes[0] if sizes else (0, 0)
    boxes = tuple(
        BoxPx(label.name, *(round(v * side, _DECIMALS) for v, side in zip(label.box, size * 2, strict=True)))
        for label in line.labels
        if label.box is not None
    )
    labels = tuple(dict.fromkeys(label.name for label in line.labels if label.box is None))
    image = (finder.find(line.source_ref) if finder else None) or local_file(line.source_ref) or line.source_ref
    said = document.get(FEEDBACK)
    return Record(image, size, labels, boxes, feedback=said if isinstance(said, dict) else None)


def _image_size(value: Any) -> tuple[int, int] | None:
    try:
        size = value["image_size"][0]
        return int(size["width"]), int(size["height"])
    except (TypeError, KeyError, IndexError, ValueError):
        return None


def _is_multilabel(value: Any) -> bool:
    return isinstance(value, dict) and value.get("type") == MULTILABEL


def with_single_labels(document: dict[str, Any]) -> dict[str, Any]:
    """Turn each attribute that holds several classes into one attribute a class.

    Args:
        document: a line with `name: [ids]` and `name-metadata: {"class-map": {id: class}, "confidence-map": …}`.
    """
    found: dict[str, Any] = {SOURCE_REF: document.get(SOURCE_REF)}
    for key, value in document.items():
        metadata = document.get(key + METADATA_SUFFIX)
        if _is_multilabel(value) or key == SOURCE_REF:
            continue
        if metadata is None or not _is_multilabel(metadata):
            found[key] = value
            continue
        names = metadata.get("class-map") or {}
        confidences = metadata.get("confidence-map") or {}
        for number in value if isinstance(value, list) else [value]:
            name = names.get(str(number)) if isinstance(names, dict) else None
            if name is None:
                continue
            attribute = f"{key}-{number}"
            found[attribute] = 1
            found[attribute + METADATA_SUFFIX] = {
                "confidence": confidences.get(str(number), 1) if isinstance(confidences, dict) else 1,
                "class-name": name,
                **{k: v for k, v in metadata.items() if k in ("human-annotated", "creation-date", "job-name")},
                "type": IMAGE,
            }
    return found
