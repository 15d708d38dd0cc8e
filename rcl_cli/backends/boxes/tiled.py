"""Boxes in images that are looked at tile by tile, put together across the seams. Needs numpy and Pillow, never torch.

An engine sees one array an image, as it does for other detectors: the tiles are one more dimension of it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rcl_cli.backends.base import Prepared, Runner, Seams
from rcl_cli.backends.boxes.planning import STRIDE
from rcl_cli.backends.boxes.predictor import CANDIDATES_A_BOX, NMS_IOU, SCORE_FLOOR, suppress
from rcl_cli.domain import Box, Detection, ModelCard
from rcl_cli.imaging.decode import decode
from rcl_cli.imaging.geometry import PADDING_GREY, letterbox
from rcl_cli.tiles import Tiling

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Of a tile's answers so many go on, several of each thing: all of hundreds of tiles would not fit into memory.
_MOST_A_TILE = 1000
_TILES_AT_ONCE = 8
# A box that ends so near a seam goes on behind it, as a share of the tile's side.
_AT_SEAM = 0.012
# Of a cut box's area, what lies in another one of its thing; of its side along the seam, what both halves share.
_INSIDE, _ALONG_SEAM = 0.6, 0.6
# What is much less sure than a box says nothing about how far that one reaches.
_HEARD = 0.2


class TiledPredictor:
    """As `BoxPredictor`, of a model whose card has `tiling`."""

    def __init__(self, runner: Runner, card: ModelCard) -> None:
        self._runner, self.rest = runner, runner.rest
        self._labels = card.labels
        self._size_px = int(card.preprocessing["size_px"])
        self._tiling = Tiling(**card.preprocessing["tiling"])
        self._most = int(card.preprocessing["most_boxes"])

    def prepare(self, source: bytes | str | Path) -> Prepared:
        image = decode(source)
        parts = self._tiling.windows(image.shape[1], image.shape[0])
        views = [letterbox(image[w.top : w.bottom, w.left : w.right], self._size_px, STRIDE) for w in parts]
        # One shape for all: the whole image, and tiles of a narrow one, fill less of it.
        height, width = (max(view.shape[axis] for view, _ in views) for axis in (0, 1))
        stack = np.full((len(views), height, width, 3), PADDING_GREY, np.uint8)
        for place, (view, _) in enumerate(views):
            stack[place, : view.shape[0], : view.shape[1]] = view
        return Prepared(stack, seams=Seams(image.shape[1], image.shape[0], parts, [frame for _, frame in views]))

    def forward(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Predictor`; (N, tiles, H, W, 3) to (N, tiles, 6, best anchors): box, score and class of each.

        What comes without tiles is taken as it is.
        """
        if pixels.ndim == 4:
            return self._runner.run(pixels)
        flat = pixels.reshape(-1, *pixels.shape[2:])
        answers = [self._best_of(flat[start : start + _TILES_AT_ONCE]) for start in range(0, len(flat), _TILES_AT_ONCE)]
        joined = np.concatenate(answers)
        return joined.reshape(*pixels.shape[:2], *joined.shape[1:])

    def _best_of(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        output = self._runner.run(tiles)
        scores, classes = output[:, 4:].max(1, keepdims=True), output[:, 4:].argmax(1)[:, None]
        found = np.concatenate([output[:, :4], scores, classes.astype(np.float32)], 1)
        if found.shape[2] <= _MOST_A_TILE:
            return found
        best = np.argpartition(-found[:, 4], _MOST_A_TILE, axis=1)[:, None, :_MOST_A_TILE]
        return np.take_along_axis(found, best, axis=2)

    def read(self, output: NDArray[np.float32], prepared: Prepared, floor: float = 0.0) -> list[Detection]:
        """Boxes of one image.

        Args:
            output: (tiles, 6, anchors), see `forward`.
        """
        seams = prepared.seams
        assert seams is not None
        # At one floor always: what is put together must not follow from what is asked for.
        corners, scores, classes = joined(gathered(seams, output, self._most), self._most)
        wanted = scores >= floor
        corners, scores, classes = corners[wanted], scores[wanted], classes[wanted]
        size = np.array([seams.width, seams.height] * 2, np.float64)
        boxes = np.clip(corners / size, 0, 1)
        boxes[:, 2:] -= boxes[:, :2]
        return [
            Detection(self._labels[label], score, Box(*box))
            for label, score, box in zip(classes.tolist(), scores.tolist(), boxes.tolist(), strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Found:
    """Boxes of all tiles, in pixels of the image.

    Args:
        corners: (N, 4), left, top, right, bottom.
        scores, classes, tiles: (N,).
        cut: (N, 4), whether a side lies on a seam, behind which the thing may go on.
    """

    corners: NDArray[np.float64]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]
    tiles: NDArray[np.int64]
    cut: NDArray[np.bool_]

    def at(self, rows: NDArray[np.int64]) -> Found:
        """Some of them, by their numbers."""
        return Found(*(getattr(self, one.name)[rows] for one in fields(self)))


def gathered(seams: Seams, output: NDArray[np.float32], most: int) -> Found:
    """What the network found in all parts of an image, doubles within each left out.

    Args:
        output: (tiles, 6, anchors), see `TiledPredictor.forward`.
        most: boxes of a part.
    """
    pieces = [_seen_in(seams, tile, output[tile], most) for tile in range(len(seams.parts))]
    return Found(*(np.concatenate([getattr(piece, one.name) for piece in pieces]) for one in fields(Found)))


def _seen_in(seams: Seams, tile: int, answers: NDArray[np.float32], most: int) -> Found:
    scores = answers[4]
    rows = np.flatnonzero((scores >= SCORE_FLOOR) & np.isfinite(answers[:4]).all(0))
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    classes = answers[5, rows].astype(np.int64)
    x, y, width, height = answers[:4, rows].astype(np.float64)
    corners = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], 1)
    kept = suppress(corners, classes, most)
    placed, cut = _placed(seams, tile, corners[kept])
    return Found(placed, scores[rows[kept]], classes[kept], np.full(len(kept), tile), cut)


def _placed(seams: Seams, tile: int, corners: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Boxes of a canvas in pixels of the image, and which of their sides lie on a seam; both (N, 4)."""
    part, frame = seams.parts[tile], seams.frames[tile]
    size = np.array([part.right - part.left, part.bottom - part.top] * 2)
    scale = size / np.array([frame.width, frame.height] * 2)
    own = np.clip((corners - np.array([frame.left, frame.top] * 2)) * scale, 0, size)
    ends = size * np.array([0, 0, 1, 1])
    inner = np.array([part.left > 0, part.top > 0, part.right < seams.width, part.bottom < seams.height])
    return own + np.array([part.left, part.top] * 2), (np.abs(own - ends) <= _AT_SEAM * size.max()) & inner


def joined(found: Found, most: int) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.int64]]:
    """One box a thing: halves of a box that a seam cuts become one, and what several parts saw is told once.

    Args:
        most: boxes that are kept.

    Returns:
        Corners (N, 4), scores and classes (N,), best first.
    """
    found = _over_seams(found.at(np.argsort(-found.scores, kind="stable")[: CANDIDATES_A_BOX * most]))
    found = found.at(np.argsort(-found.scores, kind="stable"))
    corners, is_cut = found.corners.copy(), np.any(found.cut, axis=1)
    area = (corners[:, 2:] - corners[:, :2]).prod(1)
    kept: list[int] = []
    left = np.arange(len(corners))
    while len(left) and len(kept) < most:
        best, left = int(left[0]), left[1:]
        if is_cut[best]:
            around = left[_doubles(found, area, best, left) & (found.scores[left] >= _HEARD * found.scores[best])]
            # What is not cut tells where the thing ends; of what is, the largest tells most.
            better = around[~is_cut[around]] if not is_cut[around].all() else around[np.argsort(-area[around])]
            if better.size and (not is_cut[better[0]] or area[better[0]] > area[best]):
                corners[best] = found.corners[better[0]]
                left = left[~_doubles(found, area, int(better[0]), left)]
        kept.append(best)
        left = left[~_doubles(found, area, best, left)]
    return corners[kept], found.scores[kept], found.classes[kept]


def _doubles(found: Found, area: NDArray[np.float64], one: int, others: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of other boxes show the same thing as one.

    Args:
        area: of all boxes.
        others: indices.
    """
    shared = _shared(found.corners[one], found.corners[others])
    double = shared > NMS_IOU * (area[one] + area[others] - shared)
    # What a seam cut off lies within the box of all of it, be it the surer one or not.
    double |= found.cut[others].any(1) & (shared > _INSIDE * area[others])
    if found.cut[one].any():
        double |= shared > _INSIDE * area[one]
    return double & (found.classes[others] == found.classes[one])


def _over_seams(found: Found) -> Found:
    """Boxes that end at a seam and those that go on behind it as one: around both, with the surer one's score."""
    cut = np.flatnonzero(found.cut.any(1))
    corners, scores, flags = found.corners.copy(), found.scores.copy(), found.cut.copy()
    gone = np.zeros(len(corners), bool)
    for one in cut[np.argsort(-found.scores[cut], kind="stable")]:
        for side, along in ((2, 1), (3, 0), (0, 1), (1, 0)):
            while flags[one, side] and not gone[one]:
                other = _continuation(found, corners, flags, gone, one, side, along)
                if other is None:
                    break
                gone[other] = True
                corners[one, :2] = np.minimum(corners[one, :2], corners[other, :2])
                corners[one, 2:] = np.maximum(corners[one, 2:], corners[other, 2:])
                scores[one] = max(scores[one], scores[other])
                flags[one, side] = flags[other, side]
    return replace(found, corners=corners, scores=scores, cut=flags).at(np.flatnonzero(~gone))


def _continuation(
    found: Found,
    corners: NDArray[np.float64],
    flags: NDArray[np.bool_],
    gone: NDArray[np.bool_],
    one: np.int64,
    side: int,
    along: int,
) -> int | None:
    """The best box of another part that goes on where a side of this one is cut; None where there is none.

    Args:
        side: 0..3, left, top, right, bottom.
        along: 0 or 1: the direction in which the seam runs.
    """
    across, facing = 1 - along, (side + 2) % 4
    others = np.flatnonzero(
        flags[:, facing] & ~gone & (found.classes == found.classes[one]) & (found.tiles != found.tiles[one])
    )
    mine, theirs = corners[one], corners[others]
    meets = (theirs[:, across] < mine[across + 2]) & (theirs[:, across + 2] > mine[across])
    reaches = theirs[:, side] > mine[side] if side >= 2 else theirs[:, side] < mine[side]
    both = np.minimum(mine[along + 2], theirs[:, along + 2]) - np.maximum(mine[along], theirs[:, along])
    either = np.maximum(mine[along + 2], theirs[:, along + 2]) - np.minimum(mine[along], theirs[:, along])
    mine_score, their_scores = found.scores[one], found.scores[others]
    is_heard = np.minimum(their_scores, mine_score) >= _HEARD * np.maximum(their_scores, mine_score)
    fits = others[meets & reaches & is_heard & (both > _ALONG_SEAM * either)]
    return int(fits[np.argmax(found.scores[fits])]) if fits.size else None


def _shared(one: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Areas that a box, (4,), shares with others, (N, 4)."""
    sides = np.minimum(one[2:], others[:, 2:]) - np.maximum(one[:2], others[:, :2])
    shared: NDArray[np.float64] = np.clip(sides, 0, None).prod(1)
    return shared
