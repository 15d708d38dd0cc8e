"""How sure a model is of what it said about an image, and how far what people say is from it.

People look at the least sure first: uncertainty sampling (Lewis and Gale, "A sequential algorithm for training text
classifiers", SIGIR 1994). bench/RESULTS.md has what that is worth here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rcl_cli.domain import Box, Detection, Sample
from rcl_cli.evaluation.metrics import DEFAULT_THRESHOLD, match_image

# A model that says nothing at all may have missed everything; others are less sure still.
UNSURE_OF_NOTHING = 0.75
_SUM_TOLERANCE = 1e-3


def unsure(found: Sequence[Detection], thresholds: Mapping[str, float], *, one_label: bool | None = None) -> float:
    """How unsure a model is about an image, 0 to 1.

    Where an image has one label, 1 - (p1 - p2) of the two best scores: margin sampling (Scheffer, Decomain and Wrobel,
    "Active hidden Markov models for information extraction", IDA 2001). With one answer alone, p2 is the most that is
    left for others: 1 - p1.

    Where it may have several labels, or boxes, the answer that is nearest to its label's threshold t decides: s / t
    below it and (1 - s) / (1 - t) above it, so 1 where a slightly different score would have turned the answer, and 0
    where nothing could. The nearest to its border over all labels is what Brinker takes ("On active learning in
    multi-label classification", 2006), the most unsure over all boxes the "maximum" of Brust, Käding and Denzler
    ("Active learning for deep object detection", 2019).

    Args:
        found: what the model said, at best whatever the score.
        thresholds: 0..1, by label; other labels count from 0.5 on.
        one_label: whether each image has one label; None to tell by the scores, which then add up to 1.
    """
    if not found:
        return UNSURE_OF_NOTHING
    if any(one.box is not None for one in found):
        one_label = False
    elif one_label is None:
        one_label = abs(sum(one.score for one in found) - 1) <= _SUM_TOLERANCE
    if one_label:
        best, second = ([*sorted((one.score for one in found), reverse=True), 1 - found[0].score])[:2]
        return _within(1 - (best - second))
    return _within(max(_nearness(one.score, thresholds.get(one.label, DEFAULT_THRESHOLD)) for one in found))


def _nearness(score: float, threshold: float) -> float:
    """1 at the threshold, 0 as far from it as scores can be."""
    if score < threshold:
        return score / threshold
    return (1 - score) / (1 - threshold) if threshold < 1 else 1.0


def _within(value: float) -> float:
    return min(1.0, max(0.0, value))


def disagreement(
    found: Sequence[Detection],
    labels: Sequence[str],
    boxes: Sequence[tuple[str, Box]],
    thresholds: Mapping[str, float],
) -> int:
    """How many answers of a model are wrong, and how many are missing, by what people said of the image.

    Args:
        labels, boxes: what people said; where they drew boxes, image-level answers are held against the boxes' labels.
        thresholds: 0..1, by label; other labels count from 0.5 on. Answers below count for nothing.
    """
    claimed = [one for one in found if one.score >= thresholds.get(one.label, DEFAULT_THRESHOLD)]
    if boxes and any(one.box is None for one in found):
        labels, boxes = tuple({*labels, *(label for label, _ in boxes)}), ()
    truth = Sample("", () if boxes else tuple(dict.fromkeys(labels)), tuple(boxes))
    right = sum(match.truth is not None for match in match_image(claimed, truth))
    return len(claimed) - right + len(truth.boxes or truth.labels) - right
