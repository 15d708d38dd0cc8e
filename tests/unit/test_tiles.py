"""Large images in tiles: where they lie, what is trained on in them, and what comes out where they meet."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from PIL import Image

from rcl_cli.backends.base import Seams, TrainingCancelled
from rcl_cli.backends.boxes.tiled import TiledPredictor, gathered, joined
from rcl_cli.backends.predictors import predict
from rcl_cli.domain import Box, ModelCard, Sample, TrainingPlan
from rcl_cli.imaging.decode import decode
from rcl_cli.imaging.geometry import fitted_size, letterbox
from rcl_cli.tiles import Tiling, Window, windows
from rcl_cli.training import tiling as tiles


@pytest.mark.parametrize(
    ("width", "height", "tile", "overlap"),
    [(2560, 2560, 512, 128), (1920, 1080, 640, 64), (513, 512, 512, 51), (4096, 300, 320, 32), (640, 480, 640, 64)],
)
def test_tiles_cover_an_image_evenly(width, height, tile, overlap):
    found = windows(width, height, tile, overlap)
    seen = np.zeros((height, width), bool)
    for one in found:
        seen[one.top : one.bottom, one.left : one.right] = True
        assert (one.right - one.left, one.bottom - one.top) == (min(tile, width), min(tile, height))
    assert seen.all()
    for side, edges in ((width, {(w.left, w.right) for w in found}), (height, {(w.top, w.bottom) for w in found})):
        ordered = sorted(edges)
        shared = [before[1] - after[0] for before, after in itertools.pairwise(ordered)]
        assert all(one >= overlap for one in shared)
        assert len(ordered) == max(1, math.ceil((side - overlap) / (tile - overlap))), "no more than it takes"


def _answers(tiling, width, height, things, size_px, random):
    """What a network without fault says of all parts, and where they lie."""
    parts = tiling.windows(width, height)
    frames, outputs = [], []
    for part in parts:
        shape = (part.bottom - part.top, part.right - part.left, 3)
        _, frame = letterbox(np.zeros(shape, np.uint8), size_px, 32)
        frames.append(frame)
        told = []
        for label, (left, top, right, bottom) in things:
            x0, y0, x1, y1 = max(left, part.left), max(top, part.top), min(right, part.right), min(bottom, part.bottom)
            if x1 <= x0 or y1 <= y0 or (x1 - x0) * (y1 - y0) < 0.3 * min((right - left) * (bottom - top), 100**2):
                continue
            fx, fy = frame.width / shape[1], frame.height / shape[0]
            jitter = random.uniform(-0.6, 0.6, 4)
            box = np.array([(x0 - part.left) * fx, (y0 - part.top) * fy, (x1 - part.left) * fx, (y1 - part.top) * fy])
            box += [frame.left, frame.top, frame.left, frame.top] + jitter
            scores = [0.0, 0.0]
            scores[label] = random.uniform(0.4, 0.95)
            told.append([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1], *scores])
        rows = np.zeros((6, 400), np.float32)
        rows[:, : len(told)] = np.array(told, np.float32).reshape(-1, 6).T
        outputs.append(rows)
    raw = np.stack(outputs)
    best = np.stack([raw[:, 4:].max(1), raw[:, 4:].argmax(1)], 1)
    return Seams(width, height, parts, frames), np.concatenate([raw[:, :4], best], 1).astype(np.float32)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("is_whole", [False, True])
def test_every_thing_is_told_once_and_whole(seed, is_whole):
    random = np.random.default_rng(seed)
    width, height = 1600, 1100
    # Small things on a grid so that none touch, and one that is larger than a tile.
    things = [(0, (260, 300, 760, 480))]
    for row in range(0, 1100, 100):
        for column in range(0, 1600, 100):
            w, h = random.uniform(12, 60, 2)
            x, y = column + random.uniform(0, 95 - w), row + random.uniform(0, 95 - h)
            if x > 780 or y > 500:
                things.append((int(random.integers(2)), (x, y, x + w, y + h)))
    seams, output = _answers(Tiling(320, 80, is_whole), width, height, things, 640, random)
    corners, scores, classes = joined(gathered(seams, output, 300), 300)
    assert len(corners) == len(things)
    for label, box in things:
        sides = np.minimum(corners[:, 2:], box[2:]) - np.maximum(corners[:, :2], box[:2])
        shared = np.clip(sides, 0, None).prod(1)
        areas = (corners[:, 2:] - corners[:, :2]).prod(1)
        overlap = shared / (areas + (box[2] - box[0]) * (box[3] - box[1]) - shared)
        best = int(overlap.argmax())
        assert overlap[best] > 0.7
        assert classes[best] == label
    assert (np.diff(scores) <= 0).all()


def test_neighbours_that_touch_stay_two():
    # Two cars side by side, the seam between the tiles through one of them.
    things = [(0, (300, 100, 340, 140)), (0, (341, 100, 381, 140))]
    seams, output = _answers(Tiling(320, 64, False), 600, 300, things, 320, np.random.default_rng(0))
    corners, _, _ = joined(gathered(seams, output, 300), 300)
    assert len(corners) == 2


class _Echo:
    """A network that tells how bright each canvas is, in as many anchors as it is asked for."""

    def __init__(self, anchors):
        self.anchors, self.batches = anchors, []

    def run(self, pixels):
        self.batches.append(len(pixels))
        out = np.zeros((len(pixels), 5, self.anchors), np.float32)
        out[:, :4] = 10
        out[:, 4] = np.linspace(0, 1, self.anchors)
        out[:, 4, 0] = pixels.reshape(len(pixels), -1).mean(1)
        return out

    def rest(self):
        pass


def _card(size_px, tiling):
    told = {"size_px": size_px, "stride": 32, "most_boxes": 300, "tiling": tiling._asdict()}
    return ModelCard("yolo", "yolov8n", ("a",), False, size_px, told, {}, "", "")


def test_images_of_one_size_share_passes_and_keep_their_best_answers(tmp_path):
    network = _Echo(2000)
    predictor = TiledPredictor(network, _card(320, Tiling(320, 32, True)))
    sources = []
    for grey in (40, 200):
        path = tmp_path / f"{grey}.png"
        Image.new("RGB", (900, 500), (grey,) * 3).save(path)
        sources.append(path)
    prepared = [predictor.prepare(one) for one in sources]
    assert prepared[0].pixels.shape == prepared[1].pixels.shape
    assert prepared[0].pixels.shape[0] == 4 * 2 + 1
    output = predictor.forward(np.stack([one.pixels for one in prepared]))
    assert output.shape[:2] == (2, len(prepared[0].seams.parts))
    assert max(network.batches) <= 8
    assert output.shape[2:] == (6, 1000)
    assert output[1, :, 4].max() > output[0, :, 4].max(), "each image has its own"
    assert (output[..., 4, :].min(-1) > 0.45).all(), "the best ones are kept"
    assert predictor.read(output[0], prepared[0], 0.5)


def _photo(path, width, height, boxes):
    Image.new("RGB", (width, height), (90, 120, 90)).save(path)
    told = tuple(("car", Box(x / width, y / height, w / width, h / height)) for x, y, w, h in boxes)
    return Sample(str(path), (), told, f"s3://b/{path.name}", width, height)


def test_small_things_in_large_images_are_cut_and_others_are_not(tmp_path):
    small = [
        _photo(tmp_path / f"{n}.png", 2400, 1800, [(100 + 50 * n, 900, 16, 16), (40, 40, 18, 14)]) for n in range(3)
    ]
    found = tiles.choose(small, "auto", None, on_gpu=False)
    assert found is not None
    assert not found.whole
    assert 300 <= found.tile_px <= 512
    assert tiles.choose(small, "none", None, on_gpu=False) is None
    assert tiles.choose(small, "800", None, on_gpu=False).tile_px == 800
    large = [_photo(tmp_path / f"l{n}.png", 2400, 1800, [(100, 100, 400, 300)]) for n in range(3)]
    assert tiles.choose(large, "auto", None, on_gpu=False) is None
    both = [
        _photo(tmp_path / f"b{n}.png", 2400, 1800, [(100, 100, 16, 16), (30, 30, 15, 15), (800, 500, 900, 700)])
        for n in range(3)
    ]
    assert tiles.choose(both, "auto", None, on_gpu=False).whole
    thumbnails = [_photo(tmp_path / f"t{n}.png", 200, 200, [(10, 10, 8, 8)]) for n in range(3)]
    assert tiles.choose(thumbnails, "auto", None, on_gpu=False) is None, "there are no more pixels to be had"


def test_parts_have_the_boxes_that_are_in_them(tmp_path):
    photo = _photo(tmp_path / "one.png", 1000, 600, [(100, 100, 20, 20), (395, 50, 20, 20), (600, 300, 380, 250)])
    found = tiles.parts_of([photo], Tiling(400, 80, True), 400, 0, on_gpu=False)
    assert all(part.path == photo.path and part.part is not None for part in found)
    by_part = {part.part: part for part in found}
    whole = by_part[Window(0, 0, 1000, 600)]
    assert len(whole.boxes) == 3, "20 pixels are 8 of those that are seen"
    first = by_part[Window(0, 0, 400, 400)]
    assert [round(box.left * 400) for _, box in first.boxes] == [100], "of the other one a quarter is in it"
    for part in found:
        for label, box in part.boxes:
            x, y = part.part.left + box.left * part.width, part.part.top + box.top * part.height
            assert any(
                label == "car" and x >= round(b.left * 1000) - 1e-6 and y >= round(b.top * 600) - 1e-6
                for _, b in photo.boxes
            )
    assert len({part.source_ref for part in found}) == len(found)


def test_of_several_images_each_one_s_tiles_are_a_batch(tmp_path):
    network = _Echo(50)
    paths = []
    for number, width in enumerate((96, 250, 250)):
        paths.append(tmp_path / f"{number}.png")
        Image.new("RGB", (width, 96), (10 * number,) * 3).save(paths[-1])
    found = predict(TiledPredictor(network, _card(96, Tiling(96, 16, False))), paths)
    assert len(found) == 3
    assert network.batches == [1, 3, 3]


def test_what_is_asked_for_does_not_change_what_is_found():
    # A faint box behind the seam must not stretch a sure one.
    output = np.zeros((2, 6, 4), np.float32)
    seams = Seams(
        600, 320, [Window(0, 0, 320, 320), Window(280, 0, 600, 320)],
        [letterbox(np.zeros((320, 320, 3), np.uint8), 320, 32)[1]] * 2,
    )  # fmt: skip
    left, top = seams.frames[0].left, seams.frames[0].top
    output[0, :, 0] = [left + 295, top + 120, 50, 40, 0.9, 0]
    output[1, :, 0] = [left + 60, top + 120, 120, 40, 0.01, 0]
    corners, _, _ = joined(gathered(seams, output, 300), 300)
    assert corners[0].round().tolist() == [270, 100, 320, 140]
    output[1, 4, 0] = 0.5
    corners, _, _ = joined(gathered(seams, output, 300), 300)
    assert corners[0].round().tolist() == [270, 100, 400, 140]


def test_files_of_parts_are_theirs_and_readable(tmp_path):
    random = np.random.default_rng(0)
    path = tmp_path / "tall.png"
    Image.fromarray(random.integers(0, 255, (3000, 600, 3), dtype=np.uint8)).save(path)
    boxes = tuple(("a", Box(0.1, y / 3000, 16 / 600, 16 / 3000)) for y in range(10, 2900, 300))
    tall = Sample(str(path), (), (*boxes, ("b", Box(0.1, 0.1, 0.8, 0.3))), "s3://b/tall.png", 600, 3000)
    wide = Sample(str(tmp_path / "wide.png"), (), (("a", Box(0.1, 0.1, 0.01, 0.1)),), "s3://b/wide.png", 4000, 300)
    Image.fromarray(random.integers(0, 255, (300, 4000, 3), dtype=np.uint8)).save(wide.path)
    tiling = Tiling(640, 100, True)
    parts = tiles.parts_of([tall, wide], tiling, 416, 0, on_gpu=False)
    plan = TrainingPlan(
        "yolo", "yolov8n", ("a", "b"), parts, parts[:3], False, "cpu", 416, 8, 1, 1, 0, "none", None, True,
        tiling=tiling,
    )  # fmt: skip
    done = tiles.cut(plan, tmp_path / "tiles", lambda _: None, lambda: False)
    assert len({one.path for one in done.train}) == len(parts)
    for part in done.train:
        size = decode(part.path).shape[:2]
        assert size in ((part.height, part.width), fitted_size(part.height, part.width, 416))
    with pytest.raises(TrainingCancelled):
        tiles.cut(plan, tmp_path / "again", lambda _: None, lambda: True)


def test_specks_in_huge_images_get_tiles_that_show_them(tmp_path):
    specks = [_photo(tmp_path / f"{n}.png", 4000, 3000, [(100, 900, 10, 10), (40, 40, 11, 9)]) for n in range(2)]
    found = tiles.choose(specks, "auto", None, on_gpu=False)
    assert tiles.small_px(specks) == pytest.approx(10, abs=0.1)
    assert 9.9 * tiles.seen_px(found, specks) / found.tile_px >= 16
