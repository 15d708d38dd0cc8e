"""Training and testing manifests held against each other: which lines count, which use case, which errors end it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rcl_cli.domain import UseCase
from rcl_cli.limits import limits
from rcl_cli.manifest import codes
from rcl_cli.manifest.checks import Label, Problem
from rcl_cli.manifest.codes import Code
from rcl_cli.manifest.line import Line, bucket_of
from rcl_cli.manifest.listing import validation

MAX_INVALID_SHARE = 0.2
MIN_OVERLAP = 0.5
_MIN_LABELS: dict[UseCase, int] = {"IMAGE_LEVEL_LABELS": 2, "OBJECT_LOCALIZATION": 1, "NOT_DETERMINED": 1}
_KIND: dict[UseCase, Literal["image", "box"]] = {"IMAGE_LEVEL_LABELS": "image", "OBJECT_LOCALIZATION": "box"}

Standing = Literal["valid", "invalid", "ignored"]


@dataclass(frozen=True, slots=True)
class CheckedLine:
    """A manifest line and what looking at its image found.

    Args:
        path: the image as a local file, empty where it can't be used.
        width, height: upright size in pixels.
    """

    line: Line
    image_problems: tuple[Problem, ...] = ()
    path: str = ""
    width: int = 0
    height: int = 0

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self.line.problems + self.image_problems

    @property
    def has_errors(self) -> bool:
        return any(not p.code.is_warning for p in self.problems)

    @property
    def standing(self) -> Standing:
        """`ignored` lines only carry warnings; `invalid` ones have an error and nothing usable left."""
        if not self.image_problems and self.line.labels:
            return "valid"
        return "invalid" if self.has_errors else "ignored"

    def labels(self, kind: Literal["image", "box"]) -> tuple[Label, ...]:
        """Usable labels of one sort."""
        if self.standing != "valid":
            return ()
        return tuple(label for label in self.line.labels if (label.box is not None) == (kind == "box"))

    def validated(self) -> str:
        return validation(self.line, self.image_problems)


@dataclass(slots=True)
class FileCheck:
    """One manifest and the errors that concern it as a whole.

    Args:
        bucket_is_missing: the bucket of its images can't be reached at all.
        invalid_share: of the manifest as it was given, where these lines are only a part of it.
    """

    lines: Sequence[CheckedLine]
    bucket_is_missing: bool = False
    invalid_share: float | None = None
    errors: list[Code] = field(default_factory=list)
    use_case: UseCase = "NOT_DETERMINED"

    def count(self, standing: Standing) -> int:
        return sum(line.standing == standing for line in self.lines)

    def named_labels(self) -> set[str]:
        return {name for line in self.lines for name, _ in line.line.named}

    def usable_labels(self, kind: Literal["image", "box"]) -> set[str]:
        return {label.name for line in self.lines for label in line.labels(kind)}

    def lines_with(self, kind: Literal["image", "box"]) -> int:
        return sum(bool(line.labels(kind)) for line in self.lines)

    def statistics(self) -> dict[str, Any]:
        """The file's part of the manifest summary; line numbers start at 1."""
        return {
            "use_case": self.use_case,
            "total_json_lines": len(self.lines),
            "valid_json_lines": self.count("valid"),
            "invalid_json_lines": self.count("invalid"),
            "ignored_json_lines": self.count("ignored"),
            "error_json_line_indices": [i for i, line in enumerate(self.lines, 1) if line.has_errors],
            "errors": [code.entry() for code in self.errors],
        }


@dataclass(slots=True)
class TrainingCheck:
    """Both manifests, what is wrong with them, and what they can be used for.

    Args:
        brand: training images carry only image-level labels, test images boxes.
    """

    training: FileCheck
    testing: FileCheck
    use_case: UseCase
    brand: bool
    errors: list[Code] = field(default_factory=list)

    @property
    def terminal(self) -> Code | None:
        """The error that gives StatusMessage: the first in the contract's order."""
        found = set(self.training.errors) | set(self.testing.errors) | set(self.errors)
        return next((code for code in codes.TRAINING_ORDER if code in found), None)

    def summary(self) -> dict[str, Any]:
        """The manifest summary file."""
        return {
            "errors": [code.entry() for code in self.errors],
            "statistics": {"training": self.training.statistics(), "testing": self.testing.statistics()},
        }


def choose_use_case(training: FileCheck, testing: FileCheck | None) -> tuple[UseCase, bool]:
    """The use case, and whether it is brand detection (contract §4.7)."""
    boxes, images = training.lines_with("box"), training.lines_with("image")
    if boxes + images == 0:
        return "NOT_DETERMINED", False
    only_boxes = testing is not None and testing.lines_with("box") > 0 and testing.lines_with("image") == 0
    if boxes >= images:
        return "OBJECT_LOCALIZATION", False
    return ("OBJECT_LOCALIZATION", boxes == 0) if only_boxes else ("IMAGE_LEVEL_LABELS", False)


def check_file(file: FileCheck, use_case: UseCase, kind: Literal["image", "box"]) -> None:
    """Collect the errors that concern one manifest."""
    note = file.errors.append
    if file.bucket_is_missing:
        # That is the news, not each of its images.
        note(codes.INVALID_PERMISSIONS_IMAGES)
    elif _too_many_invalid(file):
        note(codes.TOO_MANY_INVALID_ROWS)
    if len({bucket_of(line.line.source_ref) for line in file.lines} - {""}) > 1:
        note(codes.IMAGES_IN_MULTIPLE_BUCKETS)
    named, usable = len(file.named_labels()), len(file.usable_labels(kind))
    if named < _MIN_LABELS[use_case]:
        note(codes.MANIFEST_TOO_FEW_LABELS)
    elif named > limits().labels:
        note(codes.MANIFEST_TOO_MANY_LABELS)
    elif usable < _MIN_LABELS[use_case]:
        note(codes.MANIFEST_TOO_FEW_USABLE_LABELS)
    wanted = [line for line in file.lines if line.line.labels]
    if wanted and not file.bucket_is_missing and not any(line.path for line in wanted):
        note(codes.FAILED_IMAGES_S3_COPY)
    file.use_case = "NOT_DETERMINED" if file.errors else use_case


def _too_many_invalid(file: FileCheck) -> bool:
    if file.invalid_share is not None:
        return file.invalid_share > MAX_INVALID_SHARE
    return file.count("invalid") > MAX_INVALID_SHARE * len(file.lines)


def check_pair(training: FileCheck, testing: FileCheck) -> TrainingCheck:
    """Check both manifests, each alone and against the other."""
    use_case, brand = choose_use_case(training, testing)
    kind = _KIND.get(use_case, "image")
    train_kind: Literal["image", "box"] = "image" if brand else kind
    check_file(training, use_case, train_kind)
    check_file(testing, use_case, kind)
    check = TrainingCheck(training, testing, use_case, brand)
    if _overlap(training.named_labels(), testing.named_labels()) < MIN_OVERLAP:
        check.errors.append(codes.INSUFFICIENT_LABEL_OVERLAP)
    elif _overlap(training.usable_labels(train_kind), testing.usable_labels(kind)) < MIN_OVERLAP:
        check.errors.append(codes.INSUFFICIENT_USABLE_LABEL_OVERLAP)
    return check


def _overlap(training: set[str], testing: set[str]) -> float:
    """|both| / |training|; an empty training set is reported by other rules."""
    return len(training & testing) / len(training) if training else 1.0
