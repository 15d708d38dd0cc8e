"""Small things in large images: whether a training cuts images into tiles, which ones, and the files of them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median

from PIL import Image

from rcl_cli.backends.base import Cancelled, Report, TrainingCancelled
from rcl_cli.backends.boxes.planning import STRIDE, largest_px
from rcl_cli.config import cpu_cores
from rcl_cli.domain import Box, Progress, Sample, TrainingPlan
from rcl_cli.errors import TrainingFailed
from rcl_cli.imaging.decode import decode_picture
from rcl_cli.imaging.geometry import fitted_size
from rcl_cli.limits import MIN_SIDE_PX
from rcl_cli.tiles import Tiling, Window
from rcl_cli.training.prepare import Parts

# A small box that has fewer pixels at the size that fits is told from nothing by luck.
_ENOUGH_PX = 16
# In tiles it gets so many, as in images that are seen whole; such tiles are never smaller than the last.
_WANTED_PX, _LEAST_TILE_PX = 20, 128
# Tiles that are nearly as large as the images only cost.
_WORTH_IT = 0.75
_LEAST_OVERLAP, _MOST_OVERLAP = 0.1, 0.4
_LARGE_PART = 0.95
# Of a box that a tile cuts, so much must be in it to be told; of the whole image's, so many pixels.
_LEAST_VISIBLE, _LEAST_WHOLE_PX = 0.4, 8
# Tiles without anything, for one with something: they teach what to leave alone.
_EMPTY_SHARE = 0.3
_MOST_TILES_CPU, _MOST_TILES_GPU = 4_000, 30_000
_QUALITY = 95
_MOST_AT_ONCE = 4


def choose(samples: Sequence[Sample], asked: str, image_size: int | None, *, on_gpu: bool) -> Tiling | None:
    """How a training's images are cut; None where they are not.

    Args:
        asked: `auto`, `none`, or the side of tiles in pixels of the images.
        image_size: the longer side that the network gets, in pixels, where somebody asked for one.
    """
    if asked == "none" or not any(sample.boxes for sample in samples):
        return None
    longer = median(max(s.width, s.height) for s in samples)
    small = small_px(samples)
    sides = sorted(max(box.width * s.width, box.height * s.height) for s in samples for _, box in s.boxes)
    if asked == "auto":
        most = image_size or largest_px(on_gpu=on_gpu)
        if small * min(most, longer) / longer >= _ENOUGH_PX:
            return None
        seen_px = min(most, largest_px(on_gpu=False))
        # Room for half of all boxes twice over: what is cut everywhere can't be learned.
        tile = max(_LEAST_TILE_PX, seen_px * small / _WANTED_PX, 2 * median(sides))
        if tile > _WORTH_IT * longer:
            return None
    else:
        tile = int(asked)
        if all(max(s.width, s.height) <= tile for s in samples):
            return None
    tile_px = math.ceil(tile / STRIDE) * STRIDE if asked == "auto" else int(tile)
    large_px = sides[int(_LARGE_PART * (len(sides) - 1))]
    overlap_px = round(min(max(large_px, _LEAST_OVERLAP * tile_px), _MOST_OVERLAP * tile_px))
    return Tiling(tile_px, overlap_px, large_px > overlap_px)


def small_px(samples: Sequence[Sample]) -> float:
    """Size of a small box in pixels of its image: square root of its area; a tenth are smaller."""
    sizes = sorted(math.sqrt(box.width * s.width * box.height * s.height) for s in samples for _, box in s.boxes)
    return max(1.0, sizes[len(sizes) // 10])


def seen_px(tiling: Tiling, samples: Sequence[Sample]) -> int:
    """The longer side in pixels at which a network sees a tile.

    Args:
        samples: whole images.
    """
    # Twice as large as it is at most: more pixels would tell nothing more.
    wanted = min(tiling.tile_px * _WANTED_PX / small_px(samples), 2 * tiling.tile_px, largest_px(on_gpu=False))
    return max(2 * STRIDE, math.ceil(wanted / STRIDE) * STRIDE)


def cut_parts(parts: Parts, tiling: Tiling, image_size: int, seed: int, *, on_gpu: bool) -> Parts:
    """See `parts_of`; no image has some on either side."""
    train, holdout = (parts_of(part, tiling, image_size, seed, on_gpu=on_gpu) for part in (parts.train, parts.holdout))
    return Parts(train, holdout)


def parts_of(
    samples: Sequence[Sample], tiling: Tiling, image_size: int, seed: int, *, on_gpu: bool
) -> tuple[Sample, ...]:
    """The parts of images that are trained on: all with boxes, and some without.

    Args:
        image_size: at which the network sees the longer side of a part, in pixels.

    Returns:
        Samples with a `part`, whose boxes are ratios of it; their files are still the whole images.
    """
    told: list[Sample] = []
    empty: list[Sample] = []
    for sample in samples:
        for window in tiling.windows(sample.width, sample.height):
            is_tile = max(window.right - window.left, window.bottom - window.top) <= tiling.tile_px
            # What tiles show well enough is no more than a speck in the whole image.
            least_px = 0.0 if is_tile else _LEAST_WHOLE_PX * max(sample.width, sample.height) / image_size
            part = _seen_in(sample, window, least_px)
            (told if part.boxes else empty).append(part)
    chance = random.Random(seed)
    most = _MOST_TILES_GPU if on_gpu else _MOST_TILES_CPU
    if len(told) > most:
        told = chance.sample(told, most)
    empty = chance.sample(empty, min(len(empty), math.ceil(_EMPTY_SHARE * len(told))))
    return tuple(sorted([*told, *empty], key=lambda one: (one.path, one.part or ())))


def _seen_in(sample: Sample, window: Window, least_px: float) -> Sample:
    """A part of an image with what can be told in it: what has so many pixels of the image, and is not cut too much."""
    width, height = window.right - window.left, window.bottom - window.top
    is_whole = (width, height) == (sample.width, sample.height)
    boxes = []
    for label, box in sample.boxes:
        left, top = box.left * sample.width, box.top * sample.height
        right, bottom = left + box.width * sample.width, top + box.height * sample.height
        seen_w = min(right, window.right) - max(left, window.left)
        seen_h = min(bottom, window.bottom) - max(top, window.top)
        if seen_w <= 0 or seen_h <= 0 or seen_w * seen_h < _LEAST_VISIBLE * (right - left) * (bottom - top):
            continue
        if max(right - left, bottom - top) < least_px:
            continue
        place = ((max(left, window.left) - window.left) / width, (max(top, window.top) - window.top) / height)
        boxes.append((label, Box(*place, seen_w / width, seen_h / height)))
    ref = sample.source_ref if is_whole else f"{sample.source_ref}#{window.left},{window.top}"
    return replace(sample, boxes=tuple(boxes), source_ref=ref, width=width, height=height, part=window)


def cut(plan: TrainingPlan, folder: Path, report: Report, cancelled: Cancelled) -> TrainingPlan:
    """A plan whose samples are files of their own, where it has tiles.

    Args:
        folder: gets them, as JPEG files.

    Raises:
        TrainingFailed: the disk has no room for them.
        TrainingCancelled: asked for.
    """
    if plan.tiling is None:
        return plan
    folder.mkdir(parents=True, exist_ok=True)
    by_image: dict[str, list[Sample]] = {}
    for sample in (*plan.train, *plan.holdout):
        by_image.setdefault(sample.path, []).append(sample)
    files: dict[tuple[str, Window | None], str] = {}

    def write(job: tuple[int, list[Sample]]) -> list[tuple[tuple[str, Window | None], str]]:
        number, parts = job
        if cancelled():
            raise TrainingCancelled
        picture = decode_picture(parts[0].path)
        written = []
        for place, part in enumerate(parts):
            window = part.part or Window(0, 0, *picture.size)
            path = folder / f"{number:06}-{place:05}.jpg"
            _shown(picture.crop(window), plan.image_size).save(path, quality=_QUALITY, subsampling=0)
            written.append(((part.path, part.part), str(path)))
        return written

    try:
        # Each decodes a large image as a whole.
        with ThreadPoolExecutor(min(_MOST_AT_ONCE, cpu_cores())) as pool:
            for done, written in enumerate(pool.map(write, enumerate(by_image.values())), 1):
                files.update(written)
                report(Progress("preparing", done, len(by_image), note="cutting images into tiles"))
    except OSError as error:
        raise TrainingFailed(f"The tiles of large images can't be written: {error}.") from error

    def with_files(samples: Sequence[Sample]) -> Iterator[Sample]:
        for sample in samples:
            yield replace(sample, path=files[sample.path, sample.part])

    return replace(plan, train=tuple(with_files(plan.train)), holdout=tuple(with_files(plan.holdout)))


def _shown(part: Image.Image, size_px: int) -> Image.Image:
    """No larger than it will be seen, of just that size: of a whole image most pixels are not needed."""
    height, width = fitted_size(part.height, part.width, size_px)
    is_smaller = width < part.width and min(height, width) >= MIN_SIDE_PX
    return part.resize((width, height), Image.Resampling.BILINEAR) if is_smaller else part


def why(tiling: Tiling | None, samples: Sequence[Sample], image_size: int) -> str:
    """What people are told of it.

    Args:
        samples: whole images.
        image_size: that a network sees a tile at, or an image where there are none.
    """
    longer = round(median(max(s.width, s.height) for s in samples))
    small = small_px(samples)
    if tiling is None:
        return f"A small box keeps {round(small * min(image_size, longer) / longer)} pixels in the image as a whole."
    shown = round(small * image_size / tiling.tile_px)
    also = "; the whole image is looked at too, for what is larger" if tiling.whole else ""
    return (
        f"A small box is {round(small)} pixels of {longer:,}: it would be lost in the whole image, and has "
        f"{shown} in tiles that share {tiling.overlap_px} with their neighbours{also}."
    )
