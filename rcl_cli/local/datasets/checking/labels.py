"""What can be wrong with labels: their spelling, and how often they occur."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from rcl_cli.formats.record import TEST, TRAIN
from rcl_cli.local.datasets.checking.findings import Finding

_SEPARATORS = re.compile(r"[\s_\-]+")
_RARE_SHARE = 0.1
_LEAST_LETTERS = 4
_IMBALANCE = 20
_FEW = 10


def check_labels(counts: Mapping[str, Counter[str]]) -> Iterator[Finding]:
    """Findings about labels.

    Args:
        counts: images with a label, by part and label.
    """
    together: Counter[str] = Counter()
    for count in counts.values():
        together.update(count)
    yield from _spellings(together)
    yield from _frequencies(counts)


def _spellings(together: Counter[str]) -> Iterator[Finding]:
    alike: dict[str, list[str]] = defaultdict(list)
    for label in together:
        alike[_SEPARATORS.sub(" ", label.strip()).casefold()].append(label)
    for variants in alike.values():
        if len(variants) > 1:
            shown = ", ".join(f"{label!r} ({together[label]} images)" for label in sorted(variants))
            commonest = tuple(sorted(variants, key=lambda label: (-together[label], label)))
            yield Finding("label-spelling", (), shown, labels=commonest)
    plain = [label for label in variants_once(alike) if len(label) >= _LEAST_LETTERS]
    for label in plain:
        for other in plain:
            rare = together[label] <= _RARE_SHARE * together[other]
            if label != other and rare and not _differ_in_digits(label, other) and _is_one_slip(label, other):
                detail = f"{label!r} ({together[label]} images) and {other!r} ({together[other]} images)"
                yield Finding("label-typo", (), detail, labels=(other, label))


def variants_once(alike: Mapping[str, list[str]]) -> list[str]:
    """Labels that are spelt in one way only."""
    return [variants[0] for variants in alike.values() if len(variants) == 1]


def _differ_in_digits(one: str, other: str) -> bool:
    """`class 1` and `class 2` are no slips of each other."""
    return re.findall(r"\d+", one) != re.findall(r"\d+", other)


def _is_one_slip(one: str, other: str) -> bool:
    """Whether a letter was left out, added, exchanged, or two neighbours swapped."""
    a, b = one.casefold(), other.casefold()
    if abs(len(a) - len(b)) > 1:
        return False
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    rest_a, rest_b = a[start:], b[start:]
    swapped = len(rest_a) > 1 and len(rest_b) > 1 and rest_a[:2] == rest_b[1::-1] and rest_a[2:] == rest_b[2:]
    return rest_a[1:] == rest_b or rest_a == rest_b[1:] or rest_a[1:] == rest_b[1:] or swapped


def _frequencies(counts: Mapping[str, Counter[str]]) -> Iterator[Finding]:
    train, test = counts.get(TRAIN, Counter()), counts.get(TEST, Counter())
    most = max(train.values(), default=0)
    for label, images in sorted(train.items()):
        if images < _FEW:
            yield Finding("few-images", (), f"{label!r}: {images} training images", TRAIN, (label,))
        elif images * _IMBALANCE <= most:
            detail = f"{label!r}: {images} training images, {most} of the commonest label"
            yield Finding("imbalance", (), detail, TRAIN, (label,))
    if train and test:
        for label in sorted(test.keys() - train.keys()):
            detail = f"{label!r}: {test[label]} test images, none for training"
            yield Finding("label-only-in-test", (), detail, labels=(label,))
        for label in sorted(train.keys() - test.keys()):
            detail = f"{label!r}: {train[label]} training images, none for testing"
            yield Finding("label-only-in-train", (), detail, labels=(label,))
