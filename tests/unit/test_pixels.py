"""Room for a training's images: in memory, on the disk, or nowhere."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from rcl_cli.backends import pixels
from rcl_cli.backends.pixels import ResizedImages, shared_bytes
from rcl_cli.domain import Sample, TrainingPlan
from rcl_cli.errors import TrainingFailed

SIZES = [(4, 6), (8, 2), (3, 3)]


def image(index: int) -> np.ndarray:
    height, width = SIZES[index]
    return np.full((height, width, 3), index + 1, np.uint8)


@pytest.fixture(params=["memory", "disk"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "disk":
        monkeypatch.setattr(pixels, "_SHARE_OF_MEMORY", 0.0)
    return str(request.param)


def test_what_one_process_writes_another_reads(place: str, tmp_path: Path) -> None:
    block = shared_bytes(1000, tmp_path)
    assert block is not None
    assert not block.any()
    child = os.fork()
    if not child:
        block[-1] = 7
        os._exit(0)
    os.waitpid(child, 0)
    assert block[-1] == 7
    # Nothing to clean up after a kill.
    assert not list(tmp_path.iterdir())


def test_images_are_read_once(place: str, tmp_path: Path) -> None:
    loads: Counter[int] = Counter()
    told: list[tuple[int, int]] = []

    def load(index: int) -> np.ndarray:
        loads[index] += 1
        return image(index)

    images = ResizedImages(SIZES, load, tmp_path, lambda done, total: told.append((done, total)))
    for _ in range(2):
        for index in range(3):
            np.testing.assert_array_equal(images[index], image(index))
    assert set(loads.values()) == {1}
    assert told == [(3, 3)]
    with pytest.raises(ValueError, match="read-only"):
        images[0][0] = 0


def test_without_room_images_are_read_each_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pixels, "_SHARE_OF_MEMORY", 0.0)
    monkeypatch.setattr(pixels, "_DISK_LEFT_BYTES", 2**60)
    images = ResizedImages(SIZES, image, tmp_path, lambda *_: None)
    np.testing.assert_array_equal(images[1], image(1))


def test_a_failing_image_says_so(tmp_path: Path) -> None:
    def load(index: int) -> np.ndarray:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        ResizedImages(SIZES, load, tmp_path, lambda *_: None)


def test_classification_that_fits_nowhere_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from rcl_cli.backends.classifier.run import load_samples

    monkeypatch.setattr(pixels, "_SHARE_OF_MEMORY", 0.0)
    monkeypatch.setattr(pixels, "_DISK_LEFT_BYTES", 2**60)
    samples = (Sample("absent.jpg", ("a",)),)
    plan = TrainingPlan(
        "classifier", "m", ("a",), samples, samples, False, "cpu", 224, 8, 1, 1, 0, "auto", None, False
    )  # fmt: skip
    with pytest.raises(TrainingFailed, match=r"1 images of 224 pixels .* make some"):
        load_samples(plan, "train", 224, tmp_path, lambda _: None)
