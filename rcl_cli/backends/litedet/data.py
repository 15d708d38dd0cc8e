"""A plan's images and boxes in memory, and the batches that a training makes of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from rcl_cli.backends.litedet.losses import Truth
from rcl_cli.backends.litedet.scenes import Change, Labelled, alone, four
from rcl_cli.backends.pixels import ResizedImages, size_of
from rcl_cli.config import cpu_cores
from rcl_cli.domain import Sample
from rcl_cli.imaging.decode import decode
from rcl_cli.imaging.geometry import fitted_size, resize

if TYPE_CHECKING:
    from numpy.typing import NDArray

# While the learning rate falls to its end, images are seen nearly as they will be at work.
_MOSAIC_SHARE, _PLAIN_FROM = 0.75, 0.7
_PLAIN = Change(least_zoom=0.75, most_zoom=1.25)


class Batch(NamedTuple):
    """(N, 3, S, S) uint8 RGB, and what is in each image."""

    images: torch.Tensor
    truths: list[Truth]


class Images:
    """Training images at the size that is trained at, with their boxes.

    Args:
        labels: names in the order of their numbers.
        folder: for images that memory does not hold.
        step: told how many of how many have been read.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        labels: Sequence[str],
        size_px: int,
        folder: Path,
        step: Callable[[int, int], None],
    ) -> None:
        self._samples, self._size_px = samples, size_px
        numbers = {label: number for number, label in enumerate(labels)}
        sizes = [fitted_size(*size_of(sample), size_px) for sample in samples]
        self._labels = [np.array([numbers[label] for label, _ in sample.boxes], np.int64) for sample in samples]
        self._boxes = [_corners(sample, *size) for sample, size in zip(samples, sizes, strict=True)]

        def read(index: int) -> NDArray[Any]:
            return np.ascontiguousarray(resize(decode(samples[index].path, longer_px=size_px), *sizes[index]))

        self._images = ResizedImages(sizes, read, folder, step)

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Labelled:
        return Labelled(self._images[index], self._labels[index], self._boxes[index])

    def scene(self, index: int, share: float, random: np.random.Generator) -> Labelled:
        """An image as it is trained on.

        Args:
            share: how far the training is, 0..1.
        """
        if share >= _PLAIN_FROM:
            return alone(self[index], self._size_px, random, _PLAIN)
        if random.random() >= _MOSAIC_SHARE:
            return alone(self[index], self._size_px, random, Change())
        others = random.integers(0, len(self), 3)
        return four([self[index], *(self[int(other)] for other in others)], self._size_px, random, Change())

    def batch(self, rows: NDArray[np.int64], share: float, seed: tuple[int, ...]) -> Batch:
        """The same for the same seed, whatever was made before."""
        scenes = [
            self.scene(row, share, np.random.default_rng((*seed, place))) for place, row in enumerate(rows.tolist())
        ]
        images = torch.from_numpy(np.stack([scene.pixels for scene in scenes])).permute(0, 3, 1, 2)
        return Batch(images, [Truth(torch.from_numpy(s.labels), torch.from_numpy(s.boxes)) for s in scenes])


def ahead(makers: Iterator[Callable[[], Batch]], threads: int = 1) -> Iterator[Batch]:
    """Batches, made on other threads while those before are trained on."""
    with ThreadPoolExecutor(min(threads, cpu_cores())) as pool:
        coming: deque[Future[Batch]] = deque()
        for maker in makers:
            coming.append(pool.submit(maker))
            if len(coming) > threads:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def _corners(sample: Sample, height: int, width: int) -> NDArray[Any]:
    boxes = [(box.left, box.top, box.right, box.bottom) for _, box in sample.boxes]
    scaled = np.array(boxes, np.float32).reshape(-1, 4) * np.array([width, height] * 2, np.float32)
    return scaled.astype(np.float32)
