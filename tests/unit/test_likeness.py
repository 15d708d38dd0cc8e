"""Images that look the same are on one side of a split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from rcl_cli.domain import Sample
from rcl_cli.manifest.split import grouped_split
from rcl_cli.training.likeness import groups_of
from rcl_cli.training.prepare import hold_out

SCENES, SHOTS = 30, 4


def scene(number: int) -> Image.Image:
    """A picture of large, random patches: scenes are unlike each other."""
    patches = np.random.default_rng(number).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize((120, 120), Image.Resampling.NEAREST)


def shots(folder: Path) -> list[Sample]:
    """Every scene a few times, a little brighter and smaller each time."""
    found = []
    for number in range(SCENES):
        for shot in range(SHOTS):
            path = folder / f"{number}-{shot}.jpg"
            ImageEnhance.Brightness(scene(number)).enhance(1 + 0.05 * shot).resize((120 - shot, 118)).save(path)
            found.append(Sample(str(path), (("a", "b")[number % 2],), (), f"s3://b/{path.name}", 120, 118))
    return found


def test_shots_of_one_scene_are_held_out_together(tmp_path: Path) -> None:
    samples = shots(tmp_path)
    steps: list[tuple[int, int]] = []
    groups = groups_of([sample.path for sample in samples], lambda done, total: steps.append((done, total)))
    assert steps[-1] == (len(samples), len(samples))
    assert len(set(groups)) == SCENES
    for seed in range(5):
        parts = hold_out(samples, seed, groups)
        scenes = [
            {Path(sample.path).stem.partition("-")[0] for sample in part} for part in (parts.train, parts.holdout)
        ]
        assert not scenes[0] & scenes[1]
        assert len(parts.holdout) == SCENES * SHOTS // 10
        assert {sample.labels for sample in parts.holdout} == {("a",), ("b",)}
        # What it was: an image of nearly every scene on each side.
        apart = hold_out(samples, seed)
        assert {Path(s.path).stem.partition("-")[0] for s in apart.holdout} & scenes[0]


def test_copies_and_what_is_gone(tmp_path: Path) -> None:
    for name, number in (("one", 1), ("same", 1), ("other", 2)):
        scene(number).save(tmp_path / f"{name}.png")
    (tmp_path / "no.png").write_bytes(b"no image")
    paths = [str(tmp_path / name) for name in ("one.png", "other.png", "same.png", "no.png", "gone.png")]
    one, other, same, no, gone = groups_of(paths, lambda *_: None)
    assert one == same
    assert len({one, other, no, gone}) == 4
    assert groups_of([], lambda *_: None) == []


def test_images_of_one_camera_are_split_as_they_come() -> None:
    labels = [["a"]] * 40
    assert grouped_split(labels, [0] * 40, 0.1, 0) is None
    samples = [Sample(f"{number}", ("a",)) for number in range(40)]
    assert hold_out(samples, 0, [0] * 40) == hold_out(samples, 0)
    # One that has most of the images is trained on.
    mostly = [0] * 30 + list(range(1, 11))
    found = grouped_split(labels, mostly, 0.1, 0)
    assert found is not None
    assert len(found) == 4
    assert min(found) >= 30


@pytest.mark.parametrize("seed", range(100))
def test_groups_of_any_size_come_to_about_what_is_wanted(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 15, 40)
    groups = [number for number, size in enumerate(sizes) for _ in range(size)][:100]
    found = grouped_split([["ab"[group % 2]] for group in groups], groups, 0.1, seed)
    assert found is not None
    assert 5 <= len(found) <= 15
    assert not {groups[index] for index in found} & {g for i, g in enumerate(groups) if i not in set(found)}


def test_where_all_groups_are_large_one_is_held_out() -> None:
    scenes = [index // 14 for index in range(98)]
    found = grouped_split([["a"]] * 98, scenes, 0.1, 0)
    assert found is not None
    assert len({scenes[index] for index in found}) == 1
    one_camera = [0] * 85 + list(range(1, 16))
    found = grouped_split([["a"]] * 100, one_camera, 0.1, 0)
    assert found is not None
    assert min(found) >= 85


@pytest.mark.parametrize("seed", range(5))
def test_without_doubles_all_is_as_it_was(seed: int) -> None:
    samples = [Sample(f"{number}", (("a", "b", "c")[number % 3],)) for number in range(50)]
    assert hold_out(samples, seed, list(range(50))) == hold_out(samples, seed)
