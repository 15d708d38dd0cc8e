"""Dividing labelled images in two, so that both parts represent every label.

Iterative stratification after Sechidis, Tsoumakas and Vlahavas, "On the stratification of multi-label data" (2011):
the rarest label is dealt out first, each image to the part that still misses most of that label.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Sequence

# Of small groups that may be taken, and how many images more than wanted may be.
_MOST_SHARE, _MOST_OF_WANTED = 0.9, 1.5
# A split by groups of an exact size is a matter of luck.
_ATTEMPTS = 30


class CannotSplitError(Exception):
    """A label has too few images to stand in both parts."""

    def __init__(self, label: str) -> None:
        super().__init__(label)
        self.label = label


def part_size(count: int, share: float) -> int:
    """How many of `count` images go into the smaller part: at least one."""
    return max(1, round(share * count))


def stratified_split(labels: Sequence[Collection[str]], share: float, seed: int, *, strict: bool = True) -> list[int]:
    """Choose images for the smaller part.

    Args:
        labels: the labels of each image; an image may have none.
        share: the smaller part's share, 0..1.
        strict: demand every label in both parts; otherwise do what can be done.

    Returns:
        Sorted indices of the smaller part, `part_size(len(labels), share)` of them as far as labels allow.

    Raises:
        CannotSplitError: `strict`, and a label has fewer than two images.
    """
    sets = [frozenset(one) or frozenset({""}) for one in labels]
    totals = Counter(label for one in sets for label in one)
    rare = next((label for label in sorted(totals) if label and totals[label] < 2), None)
    if strict and rare is not None:
        raise CannotSplitError(rare)
    wanted = part_size(len(sets), share)
    chosen = _deal(sets, totals, share, wanted, random.Random(seed))
    _repair(sets, totals, chosen, wanted, strict=strict)
    if strict and (missing := _one_sided(sets, totals, chosen)):
        raise CannotSplitError(missing)
    return sorted(chosen)


def grouped_split(
    labels: Sequence[Collection[str]], groups: Sequence[int], share: float, seed: int
) -> list[int] | None:
    """As `stratified_split`, as far as can be, of groups of images that stay together.

    Args:
        groups: of each image, the number of its group.

    Returns:
        Sorted indices of the smaller part; None where the groups are too large for it to have half of what it should,
        as where all images are one scene.
    """
    members: dict[int, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    wanted = part_size(len(labels), share)
    # Of a large one most says little that the rest of it doesn't; where there is nothing else it must do.
    for most in (max(1, wanted // 2), 2 * wanted):
        small = [images for images in members.values() if len(images) <= most]
        images = sum(map(len, small))
        if images >= wanted and len(small) > 1:
            break
    else:
        return None
    each = [set().union(*(labels[index] for index in one)) for one in small]
    chosen = [small[number] for number in stratified_split(each, min(wanted / images, _MOST_SHARE), seed, strict=False)]
    # Groups are dealt out by their number, which may come to too many images, or to too few.
    chosen.sort(key=len)
    while len(chosen) > 1 and sum(map(len, chosen)) > _MOST_OF_WANTED * wanted:
        chosen.pop()
    found = {index for one in chosen for index in one}
    left = Counter(label for index, one in enumerate(labels) if index not in found for label in set(one))
    for one in sorted(small, key=len, reverse=True):
        theirs = Counter(label for index in one for label in set(labels[index]))
        is_spare = all(left[label] > count for label, count in theirs.items())
        fits = len(found) < wanted and len(found) + len(one) <= _MOST_OF_WANTED * wanted
        if found.isdisjoint(one) and is_spare and fits:
            found.update(one)
            left -= theirs
    return sorted(found) if len(found) >= wanted / 2 else None


def split_apart(labels: Sequence[Collection[str]], groups: Sequence[int], share: float, seed: int) -> list[int] | None:
    """As `stratified_split`, strict and of the same size, of groups of images that stay together.

    Returns:
        Sorted indices of the smaller part; None where all images are groups of their own, or no such part was found.
    """
    if len(set(groups)) == len(groups):
        return None
    wanted, names = part_size(len(labels), share), {label for one in labels for label in one}
    for attempt in range(_ATTEMPTS):
        found = grouped_split(labels, groups, share, seed + attempt)
        if found is None or len(found) != wanted:
            continue
        inside = set(found)
        sides = (
            {label for index, one in enumerate(labels) if (index in inside) == is_in for label in one}
            for is_in in (True, False)
        )
        if all(side == names for side in sides):
            return found
    return None


def _deal(
    sets: Sequence[frozenset[str]], totals: Counter[str], share: float, wanted: int, rng: random.Random
) -> set[int]:
    by_label: dict[str, list[int]] = {label: [] for label in totals}
    order = list(range(len(sets)))
    rng.shuffle(order)
    for index in order:
        for label in sets[index]:
            by_label[label].append(index)
    need = {label: share * count for label, count in totals.items()}
    keep = {label: (1 - share) * count for label, count in totals.items()}
    room = float(wanted)
    dealt: set[int] = set()
    chosen: set[int] = set()
    for label in sorted(totals, key=lambda name: (totals[name], name)):
        for index in by_label[label]:
            if index in dealt:
                continue
            dealt.add(index)
            # Shares are scaled, so that the small part is not starved of its turn.
            takes = need[label] / share > keep[label] / (1 - share) and room > 0
            if not takes and need[label] >= 0.5 and keep[label] < 0.5 and room > 0:
                takes = True
            side = need if takes else keep
            for other in sets[index]:
                side[other] -= 1
            if takes:
                chosen.add(index)
                room -= 1
    return chosen


def _repair(
    sets: Sequence[frozenset[str]], totals: Counter[str], chosen: set[int], wanted: int, *, strict: bool
) -> None:
    """Give every label an image on each side, then bring the part to its size without breaking that.

    Not strict: only the larger part is sure to have every label.
    """
    inside = Counter(label for index in chosen for label in sets[index])

    def move(index: int) -> None:
        step = -1 if index in chosen else 1
        chosen.symmetric_difference_update({index})
        for label in sets[index]:
            inside[label] += step

    def may_leave(index: int) -> bool:
        """Moving this image leaves each of its labels represented where it was."""
        if index in chosen:
            return not strict or all(inside[label] > 1 for label in sets[index])
        return all(totals[label] - inside[label] > 1 for label in sets[index])

    for label in sorted(totals, key=lambda name: (totals[name], name)):
        if totals[label] < 2 and strict:
            continue
        for missing_inside in (True, False) if strict else (False,):
            count = inside[label] if missing_inside else totals[label] - inside[label]
            if count:
                continue
            holders = [i for i, one in enumerate(sets) if label in one and (i not in chosen) == missing_inside]
            best = next((i for i in holders if may_leave(i)), holders[0])
            move(best)
    for index in range(len(sets)):
        if len(chosen) == wanted:
            break
        grows = len(chosen) < wanted
        if (index not in chosen) == grows and may_leave(index):
            move(index)


def _one_sided(sets: Sequence[frozenset[str]], totals: Counter[str], chosen: set[int]) -> str | None:
    inside = Counter(label for index in chosen for label in sets[index])
    return next((x for x in sorted(totals) if x and (inside[x] == 0 or inside[x] == totals[x])), None)
