"""One JSON line of a Ground Truth manifest, parsed and checked.

Lines without a fault are told quickly by `faultless`; `checks` says what is wrong with the others.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from rcl_cli.manifest import checks, codes, faultless
from rcl_cli.manifest.checks import SOURCE_REF_PATTERN, Label, Problem
from rcl_cli.manifest.document import FEEDBACK, SOURCE_REF, load

_S3_URL = re.compile(checks.S3_URL, re.DOTALL)


class Line(NamedTuple):
    """A parsed manifest line.

    Args:
        text: the line as it was given.
        labels: usable labels.
        named: (label, is a box) of everything that names a label, usable or not.
        is_labeled: has an annotation or a class name, valid or not.
        problems: errors and warnings in the order found.
    """

    text: str
    source_ref: str = ""
    labels: tuple[Label, ...] = ()
    named: frozenset[tuple[str, bool]] = frozenset()
    is_labeled: bool = False
    problems: tuple[Problem, ...] = ()

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(p for p in self.problems if not p.code.is_warning)

    @property
    def listed_errors(self) -> tuple[Problem, ...]:
        return tuple(p for p in self.errors if p.code.listed)

    @property
    def has_listed_errors(self) -> bool:
        return bool(self.listed_errors)

    @property
    def removed_from_datasets(self) -> bool:
        """Has no place in a dataset at all (no object, no usable source-ref)."""
        early = {codes.INVALID_JSON_LINE, codes.MISSING_SOURCE_REF, codes.INVALID_SOURCE_REF_FORMAT}
        return any(p.code in early for p in self.problems)

    @property
    def kinds(self) -> frozenset[Literal["image", "box"]]:
        """Which sorts of usable labels the line has."""
        return frozenset("box" if label.box else "image" for label in self.labels)


def bucket_of(source_ref: str) -> str:
    """The bucket of an `s3://` URL; the empty string for local files."""
    match = _S3_URL.fullmatch(source_ref)
    return match[1] if match else ""


def split_s3_url(url: str) -> tuple[str, str] | None:
    """(bucket, key), or None where the URL is no `s3://` URL."""
    match = _S3_URL.fullmatch(url)
    return (match[1], match[2]) if match else None


def refused(line: Line) -> Line:
    """A line whose image is a file, from somebody who may name none: the service knows no such source-refs either."""
    return Line(line.text, problems=(Problem(codes.INVALID_SOURCE_REF_FORMAT),))


def parse_line(text: str) -> Line:
    """Parse and check one manifest line.

    Args:
        text: the line, without its newline.

    Returns:
        The line with its usable labels and all its problems. Never raises: a line that makes no sense says so itself.
    """
    found = faultless.labels_of(text)
    if found is None:
        return _diagnosed(text)
    source_ref, labels = found
    named = frozenset([(label[0], label[1] is not None) for label in labels])
    return Line(text, source_ref, tuple(labels), named, is_labeled=True)


def _diagnosed(text: str) -> Line:
    """Any line, with all that is wrong with it."""
    document = load(text)
    if document is None:
        return Line(text, problems=(Problem(codes.INVALID_JSON_LINE),))
    if SOURCE_REF not in document:
        return Line(text, problems=(Problem(codes.MISSING_SOURCE_REF),))
    source_ref = document[SOURCE_REF]
    if not isinstance(source_ref, str) or not SOURCE_REF_PATTERN.fullmatch(source_ref):
        return Line(text, problems=(Problem(codes.INVALID_SOURCE_REF_FORMAT),))
    if document.keys() <= {SOURCE_REF, FEEDBACK}:
        return Line(text, source_ref, problems=(Problem(codes.UNANNOTATED_RECORD),))
    found = checks.diagnose(document)
    return Line(text, source_ref, found.labels, found.named, found.is_labeled, found.problems)
