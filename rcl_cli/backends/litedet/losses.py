"""Which cells answer for which box, and how wrong they are.

Assignment: task alignment (Feng et al., "TOOD", 2021). Scores are trained towards how well the cell's box fits, with
few, weighted background cells (Zhang et al., "VarifocalNet", 2021); boxes by complete IoU (Zheng et al., 2020) and by
the distribution of distances (Li et al., "Generalized Focal Loss", 2020).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F

from rcl_cli.backends.litedet.network import REACH, corners, distances

# Candidates a box, and how much scores and fits count in choosing them.
_CANDIDATES, _SCORE_POWER, _FIT_POWER = 13, 1.0, 6.0
_BACKGROUND, _FOCUS = 0.75, 2.0
_BOX_WEIGHT, _DISTANCE_WEIGHT = 2.0, 0.25
# A box that nothing fits yet must pull all the same.
_LEAST_WEIGHT = 0.1
_TINY = 1e-9


class Truth(NamedTuple):
    """What is in one image: (G,) label numbers, and (G, 4) left, top, right, bottom in pixels of the canvas."""

    labels: torch.Tensor
    boxes: torch.Tensor


class Assigned(NamedTuple):
    """Per image: the cells that answer, (P,); for which box, (P,); and how well they could, (P,) in 0..1."""

    cells: torch.Tensor
    boxes: torch.Tensor
    quality: torch.Tensor


def ious(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """(N, M), 0..1, of (N, 4) and (M, 4) corners in pixels."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(2)
    areas = [(box[:, 2:] - box[:, :2]).prod(1) for box in (a, b)]
    return shared / (areas[0][:, None] + areas[1][None] - shared + _TINY)


@torch.no_grad()
def assign(scores: torch.Tensor, boxes: torch.Tensor, centres: torch.Tensor, truth: Truth) -> Assigned:
    """Choose cells for the boxes of one image.

    A box is answered for by cells whose centre is in it: those whose score for its label and whose own box fit best. Of
    two boxes that want the same cell, the one that fits better has it. A box so small that no centre is in it takes the
    nearest one.

    Args:
        scores: (A, classes), 0..1.
        boxes: (A, 4) corners in pixels.
        centres: (A, 2) in pixels.
    """
    fits = ious(truth.boxes, boxes)
    inside = torch.cat([centres[None] - truth.boxes[:, None, :2], truth.boxes[:, None, 2:] - centres[None]], 2).amin(2)
    allowed = inside > 0
    missed = ~allowed.any(1)
    if missed.any():
        middle = (truth.boxes[missed, :2] + truth.boxes[missed, 2:]) / 2
        nearest = torch.cdist(middle, centres).argmin(1)
        allowed[missed.nonzero().squeeze(1), nearest] = True
    aligned = scores[:, truth.labels].T.pow(_SCORE_POWER) * fits.pow(_FIT_POWER)
    # Where nothing fits yet, what is nearest to the middle goes first.
    middles, sizes = (truth.boxes[:, :2] + truth.boxes[:, 2:]) / 2, truth.boxes[:, 2:] - truth.boxes[:, :2]
    near = 1 / (1 + torch.cdist(middles, centres) / sizes.amax(1, keepdim=True).clamp(min=1))
    ranked = (aligned + _TINY * near) * allowed
    best = ranked.topk(min(_CANDIDATES, ranked.shape[1]), 1)
    chosen = torch.zeros_like(allowed).scatter_(1, best.indices, best.values > 0)
    contested = chosen.sum(0) > 1
    if contested.any():
        owner = (fits * chosen).masked_fill(~chosen, -1)[:, contested].argmax(0)
        chosen[:, contested] = F.one_hot(owner, len(chosen)).T.bool()
    box, cell = chosen.nonzero(as_tuple=True)
    # The best aligned cell of a box is as good as its own fit, the others in proportion.
    most = (aligned * chosen).amax(1).clamp(min=torch.finfo(aligned.dtype).tiny)
    top = (fits * chosen).amax(1)
    quality = aligned[box, cell] / most[box] * top[box]
    return Assigned(cell, box, quality.clamp(0, 1))


def complete_iou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """(N,), at most 1: IoU of pairs of (N, 4) corners in pixels, less their distance and how their shapes differ."""
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    a_size, b_size = (a[:, 2:] - a[:, :2]).clamp(min=1e-6), (b[:, 2:] - b[:, :2]).clamp(min=1e-6)
    iou = shared / (a_size.prod(1) + b_size.prod(1) - shared)
    around = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).square().sum(1)
    apart = ((a[:, :2] + a[:, 2:] - b[:, :2] - b[:, 2:]) / 2).square().sum(1)
    shape = (
        4 / math.pi**2 * (torch.atan(a_size[:, 0] / a_size[:, 1]) - torch.atan(b_size[:, 0] / b_size[:, 1])).square()
    )
    with torch.no_grad():
        weight = shape / (1 - iou + shape + 1e-6)
    return iou - apart / around.clamp(min=1e-6) - weight * shape


def _distance_loss(places: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """(P,): cross entropy with the two whole distances around each wanted one; (P, 4, REACH + 1), (P, 4) in cells."""
    wanted = wanted.clamp(0, REACH - 0.01)
    below = wanted.long()
    share = wanted - below
    logs = F.log_softmax(places, -1)
    near = logs.gather(2, below[..., None]).squeeze(2) * (1 - share)
    far = logs.gather(2, below[..., None] + 1).squeeze(2) * share
    return -(near + far).mean(1)


def loss_of(
    logits: torch.Tensor, places: torch.Tensor, centres: torch.Tensor, strides: torch.Tensor, truths: list[Truth]
) -> torch.Tensor:
    """The loss of a batch, a number.

    Args:
        logits: (N, A, classes); places: (N, A, 4, REACH + 1); centres: (A, 2); strides: (A, 1).
        truths: one an image.
    """
    boxes = corners(centres, strides, distances(places))
    scores = torch.sigmoid(logits)
    wanted = torch.zeros_like(scores)
    fit_terms, distance_terms, weights = [], [], []
    for number, truth in enumerate(truths):
        if not len(truth.labels):
            continue
        found = assign(scores[number].detach(), boxes[number].detach(), centres, truth)
        wanted[number, found.cells, truth.labels[found.boxes]] = found.quality
        theirs = truth.boxes[found.boxes]
        fit_terms.append(1 - complete_iou(boxes[number, found.cells], theirs))
        away = torch.cat([centres[found.cells] - theirs[:, :2], theirs[:, 2:] - centres[found.cells]], 1)
        distance_terms.append(_distance_loss(places[number, found.cells], away / strides[found.cells]))
        weights.append(found.quality.clamp(min=_LEAST_WEIGHT))
    total = wanted.sum().clamp(min=1)
    focus = torch.where(wanted > 0, wanted, _BACKGROUND * scores.detach().pow(_FOCUS))
    loss = (F.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * focus).sum() / total
    if weights:
        weight = torch.cat(weights)
        loss = loss + _BOX_WEIGHT * (torch.cat(fit_terms) * weight).sum() / total
        loss = loss + _DISTANCE_WEIGHT * (torch.cat(distance_terms) * weight).sum() / total
    return loss
