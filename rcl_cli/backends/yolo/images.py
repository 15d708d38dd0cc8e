"""Samples in memory as Ultralytics' loaders want them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rcl_cli.backends.pixels import ResizedImages, size_of
from rcl_cli.backends.yolo.quiet import quieted
from rcl_cli.domain import Sample
from rcl_cli.imaging.decode import decode
from rcl_cli.imaging.geometry import fitted_size, resize

quieted()

from ultralytics.data.dataset import YOLODataset  # noqa: E402 - must follow


class ManifestDataset(YOLODataset):
    """A YOLO dataset over samples in memory.

    Args:
        step: told how many of how many images have been read.
        folder: for images that memory does not hold.
    """

    def __init__(
        self,
        samples: tuple[Sample, ...],
        labels: tuple[str, ...],
        *,
        step: Callable[[int, int], None],
        folder: Path,
        **kwargs: Any,
    ) -> None:
        self._samples = {s.path: s for s in samples}
        self._class_ids = {name: i for i, name in enumerate(labels)}
        super().__init__(img_path=[s.path for s in samples], data={"names": dict(enumerate(labels))}, **kwargs)
        # Only now: rectangular batches bring the files into an order of their own.
        self._originals = [size_of(self._samples[path]) for path in self.im_files]
        self._fitted = [fitted_size(height, width, self.imgsz) for height, width in self._originals]
        self._images = ResizedImages(self._fitted, self._read, folder, step)

    def get_img_files(self, img_path: list[str]) -> list[str]:
        return list(img_path)

    def get_labels(self) -> list[dict[str, Any]]:
        return [self._label(self._samples[path]) for path in self.im_files]

    def _label(self, sample: Sample) -> dict[str, Any]:
        boxes = [(self._class_ids[name], box) for name, box in sample.boxes]
        xywh = [(b.left + b.width / 2, b.top + b.height / 2, b.width, b.height) for _, b in boxes]
        return {
            "im_file": sample.path,
            "shape": size_of(sample),
            "cls": np.array([[c] for c, _ in boxes], dtype=np.float32).reshape(-1, 1),
            "bboxes": np.array(xywh, dtype=np.float32).reshape(-1, 4),
            "segments": [],
            "keypoints": None,
            "normalized": True,
            "bbox_format": "xywh",
        }

    def build_transforms(self, hyp: Any) -> Any:
        # Mosaic draws from a sliding buffer of recent images unless all images are at hand, which they are here.
        self.cache = "ram"
        return super().build_transforms(hyp)

    def _read(self, i: int) -> np.ndarray:
        """An image at the training size in BGR, Ultralytics' order."""
        rgb = decode(self.im_files[i], longer_px=self.imgsz)
        return np.ascontiguousarray(resize(rgb, *self._fitted[i])[..., ::-1])

    def load_image(self, i: int, **_modes: Any) -> tuple[np.ndarray, tuple[int, int], tuple[int, int]]:
        """The image resized to the training size in BGR, its original and its resized (h, w)."""
        image = self._images[i]
        return image, self._originals[i], image.shape[:2]
