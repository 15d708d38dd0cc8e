"""From manifests to samples: every image is found, opened and judged before training starts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rcl_cli.buckets.fetch import ImageFetcher
from rcl_cli.config import cpu_cores
from rcl_cli.domain import Sample
from rcl_cli.imaging.decode import verify
from rcl_cli.manifest import codes
from rcl_cli.manifest.checks import Problem
from rcl_cli.manifest.line import Line, bucket_of, parse_line, refused
from rcl_cli.manifest.reader import read_rows
from rcl_cli.manifest.split import CannotSplitError, grouped_split, split_apart, stratified_split
from rcl_cli.manifest.training import CheckedLine, FileCheck, TrainingCheck, check_pair, choose_use_case
from rcl_cli.training.likeness import groups_of
from rcl_cli.training.plan import HOLDOUT_SHARE

TEST_SHARE = 0.2
_MIN_FOR_HOLDOUT = 8
Step = Callable[[int, int], None]


def _check_image(fetcher: ImageFetcher, line: Line) -> CheckedLine:
    """Look at a line's image: is it there, whole, and within the limits."""
    if not line.labels:
        return CheckedLine(line)
    try:
        path = fetcher.fetch(line.source_ref)
        height, width = verify(path)
    except Exception:  # noqa: BLE001 - whatever is wrong with one image must not end the training of all
        return CheckedLine(line, (Problem(codes.INVALID_IMAGE),))
    return CheckedLine(line, (), str(path), width, height)


def _parsed(manifest: Path, takes_files: bool) -> Iterator[Line]:
    with manifest.open("rb") as stream:
        for text in read_rows(stream):
            line = parse_line(text if text is not None else "")
            is_file = line.source_ref and not bucket_of(line.source_ref)
            yield refused(line) if is_file and not takes_files else line


def _unique(lines: Iterable[Line]) -> list[Line]:
    """Of lines with the same source-ref the first counts; later ones stay, without labels."""
    seen: set[str] = set()
    found = []
    for line in lines:
        if line.source_ref and line.source_ref in seen:
            line = line._replace(labels=(), named=frozenset())
        seen.add(line.source_ref)
        found.append(line)
    return found


def check_images(fetcher: ImageFetcher, manifest: Path, step: Step, *, takes_files: bool = True) -> list[CheckedLine]:
    """Parse a manifest and look at all its images, on all cores.

    Args:
        takes_files: images may be files, and not only objects in buckets.
    """
    lines = _unique(_parsed(manifest, takes_files))
    checked = []
    with ThreadPoolExecutor(cpu_cores()) as pool:
        for number, one in enumerate(pool.map(lambda line: _check_image(fetcher, line), lines), 1):
            checked.append(one)
            step(number, len(lines))
    return checked


def split_lines(
    lines: Sequence[CheckedLine], seed: int, look_alikes: Callable[[Sequence[str]], Sequence[int]] | None = None
) -> tuple[list[CheckedLine], list[CheckedLine]]:
    """Auto-split 80/20 of the usable lines; what can't be used stays with the training part.

    Args:
        look_alikes: of images' files, a number for each, the same for those that look the same: they stay on one side
            where a split of the same size can have it so.

    Raises:
        CannotSplitError: a label has too few images.
    """
    training = FileCheck(lines)
    use_case, _ = choose_use_case(training, None)
    kind: Literal["image", "box"] = "box" if use_case == "OBJECT_LOCALIZATION" else "image"
    usable = [i for i, line in enumerate(lines) if line.labels(kind)]
    if not usable:
        return list(lines), []
    labels = [{label.name for label in lines[i].labels(kind)} for i in usable]
    split = stratified_split(labels, TEST_SHARE, seed)
    if look_alikes is not None:
        split = split_apart(labels, look_alikes([lines[i].path for i in usable]), TEST_SHARE, seed) or split
    chosen = {usable[i] for i in split}
    keep = [line for i, line in enumerate(lines) if i not in chosen]
    return keep, [line for i, line in enumerate(lines) if i in chosen]


def check_manifests(
    fetcher: ImageFetcher, training: Path, testing: Path | None, seed: int, step: Step, *, takes_files: bool = True
) -> TrainingCheck:
    """Check the training manifest and the testing one, or split the first; see `check_images`.

    Returns:
        What can be used, and every error; `terminal` tells whether training may go on.
    """
    train = FileCheck(
        check_images(fetcher, training, step, takes_files=takes_files), bucket_is_missing=fetcher.misses_bucket()
    )
    if testing is not None:
        test_lines = check_images(fetcher, testing, step, takes_files=takes_files)
        return check_pair(train, FileCheck(test_lines, bucket_is_missing=fetcher.misses_bucket()))
    return _check_split(train, seed, step)


def _check_split(train: FileCheck, seed: int, step: Step) -> TrainingCheck:
    """Split, then check; the share of invalid lines is the given manifest's, wherever its lines went."""
    train.invalid_share = train.count("invalid") / max(1, len(train.lines))
    given = train.lines
    try:
        train.lines, test_lines = split_lines(given, seed, lambda paths: groups_of(paths, step))
    except CannotSplitError:
        test_lines = []
    check = check_pair(train, FileCheck(test_lines))
    if not test_lines:
        # An empty test side has nothing to say of its own.
        check.testing.errors.clear()
        check.errors.clear()
        check.testing.use_case = train.use_case = "NOT_DETERMINED"
        train.errors.append(codes.INSUFFICIENT_IMAGES_FOR_AUTOSPLIT)
    return check


# --- samples ----------------------------------------------------------------------------------------------------------


def samples_of(lines: Sequence[CheckedLine], kind: Literal["image", "box"]) -> list[Sample]:
    """Usable images with their labels of one kind."""
    found = []
    for line in lines:
        labels = line.labels(kind)
        if not labels:
            continue
        boxes = tuple((label.name, label.box) for label in labels if label.box is not None)
        names = tuple(dict.fromkeys(label.name for label in labels)) if kind == "image" else ()
        found.append(Sample(line.path, names, boxes, line.line.source_ref, line.width, line.height))
    return found


@dataclass(frozen=True, slots=True)
class Parts:
    """Training data in two: what is trained on, and what checkpoints are chosen on."""

    train: tuple[Sample, ...]
    holdout: tuple[Sample, ...]


def hold_out(samples: Sequence[Sample], seed: int, groups: Sequence[int] | None = None) -> Parts:
    """Set a tenth of the training data aside, stratified; very small sets judge themselves.

    Args:
        groups: of each image, the number of those that look the same; they stay together, where there is more to a set.
    """
    if len(samples) < _MIN_FOR_HOLDOUT:
        return Parts(tuple(samples), tuple(samples))
    labels = [set(s.labels) | {label for label, _ in s.boxes} for s in samples]
    found = grouped_split(labels, groups, HOLDOUT_SHARE, seed) if groups else None
    chosen = set(found if found is not None else stratified_split(labels, HOLDOUT_SHARE, seed, strict=False))
    if not chosen:
        # Every image is the only one of some label: none can be spared.
        return Parts(tuple(samples), tuple(samples))
    return Parts(
        tuple(s for i, s in enumerate(samples) if i not in chosen),
        tuple(s for i, s in enumerate(samples) if i in chosen),
    )


def fingerprint(samples: Sequence[Sample]) -> str:
    """SHA-256 over source-refs, labels and boxes, in an order of their own: the same data gives the same text."""
    digest = hashlib.sha256()
    for text in sorted(_identity(samples)):
        digest.update(text.encode())
    return digest.hexdigest()


def _identity(samples: Sequence[Sample]) -> Iterator[str]:
    for s in samples:
        boxes = [(label, box.left, box.top, box.width, box.height) for label, box in s.boxes]
        yield f"{s.source_ref}|{sorted(s.labels)}|{sorted(boxes)}\n"
