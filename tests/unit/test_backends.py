"""Model families: every offer can be built, odd names and devices are refused, small data can be held out."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from rcl_cli.backends import registry
from rcl_cli.backends.base import Prepared
from rcl_cli.backends.boxes.predictor import MAX_DETECTIONS, NMS_IOU, BoxPredictor, suppress
from rcl_cli.backends.classifier.augment import Augmentation, augmented
from rcl_cli.backends.classifier.backbones import LITE0, build, quicken_statistics
from rcl_cli.backends.runtimes.forms import disagreement
from rcl_cli.domain import Detection, ModelCard, Sample
from rcl_cli.errors import ConfigError, InvalidImageFormat
from rcl_cli.imaging.decode import decode
from rcl_cli.imaging.geometry import Letterbox
from rcl_cli.training.prepare import hold_out
from rcl_cli.training.stages import pick_device


@pytest.mark.parametrize("name", [LITE0, "resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5", "regnet_y_400mf"])
def test_networks_end_in_the_head_that_is_trained(name: str) -> None:
    backbone = build(name, 7)
    assert backbone.module.eval()(torch.zeros(1, 3, 96, 96)).shape == (1, 7)
    assert backbone.head.out_features == 7


@pytest.mark.parametrize("family", list(registry.FAMILIES))
@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("images", [10, 5000])
def test_what_is_offered_has_a_source(family: str, device: str, images: int) -> None:
    for offer in registry.offers([family], "auto", device, images):
        assert offer.url or offer.package


@pytest.mark.parametrize(
    ("family", "model"),
    [
        ("classifier", "swin_t"),
        ("classifier", "nope"),
        ("classifier", "fasterrcnn_resnet50_fpn"),
        ("yolo", "yolo11n-seg"),
        ("yolo", "yolo11"),
        ("yolo", "resnet18"),
    ],
)
def test_models_that_cannot_be_trained_are_refused(family: str, model: str) -> None:
    with pytest.raises(ConfigError, match=model):
        registry.offers([family], model, "cpu", 10)


def test_yolo26_comes_from_its_own_release() -> None:
    assert "/v8.4.0/yolo26n.pt" in (registry.offers(["yolo"], "yolo26n", "cpu", 10)[0].url or "")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:9", "mps"])
def test_devices_that_are_not_there(device: str) -> None:
    with pytest.raises(ConfigError, match=device.partition(":")[0]):
        pick_device(device)


@pytest.mark.parametrize("count", [1, 7, 8, 30])
def test_images_that_cannot_be_spared_are_not_held_out(count: int) -> None:
    samples = [Sample(str(n), (f"label-{n}",)) for n in range(count)]
    parts = hold_out(samples, 0)
    assert parts.train == parts.holdout == tuple(samples)


def test_a_tenth_is_held_out_and_the_rest_has_every_label() -> None:
    samples = [Sample(str(n), (f"label-{n % 20}",)) for n in range(60)]
    parts = hold_out(samples, 0)
    assert len(parts.holdout) == 6
    assert not set(parts.train) & set(parts.holdout)
    assert {s.labels[0] for s in parts.train} == {f"label-{n}" for n in range(20)}


def test_ultralytics_leaves_pillow_alone() -> None:
    registry.offers(["yolo"], "auto", "cpu", 10)
    assert Image.open.__module__ == "PIL.Image"
    with pytest.raises(InvalidImageFormat):
        decode(b"no picture")


def test_suppression_keeps_the_best_of_each_class() -> None:
    corners = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10], [50, 50, 60, 60]], dtype=np.float32)
    assert suppress(corners, np.array([0, 0, 1, 0])) == [0, 2, 3]
    assert suppress(corners[:0], np.array([], dtype=np.int64)) == []


def test_a_box_that_is_no_number_keeps_no_others() -> None:
    card = ModelCard("yolo", "yolo11n", ("a",), False, 64, {"size_px": 64}, {}, "none", "none")
    output = np.array([[20, 20, 20], [20, 20, 20], [10, 10, 10], [10, 10, 10], [0.9, 0.8, 0.7]], np.float32)
    predictor = BoxPredictor(SimpleNamespace(run=None, rest=None), card)
    prepared = Prepared(np.zeros((64, 64, 3), np.uint8), Letterbox(0, 0, 64, 64))
    for odd in (np.nan, np.inf):
        output[2, 1] = odd
        assert [one.score for one in predictor.read(output, prepared)] == [pytest.approx(0.9)]


def greedily(corners: np.ndarray, classes: np.ndarray) -> list[int]:
    """As textbooks have it, a box at a time."""
    kept: list[int] = []
    for index, (left, top, right, bottom) in enumerate(corners.astype(float).tolist()):
        for other in kept:
            x1, y1, x2, y2 = corners[other].astype(float).tolist()
            shared = max(0.0, min(x2, right) - max(x1, left)) * max(0.0, min(y2, bottom) - max(y1, top))
            whole = (right - left) * (bottom - top) + (x2 - x1) * (y2 - y1) - shared
            if classes[other] == classes[index] and shared > NMS_IOU * whole:
                break
        else:
            kept.append(index)
    return kept[:MAX_DETECTIONS]


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 200, 700])
@pytest.mark.parametrize("spread", [20, 400])
def test_suppression_of_many_is_that_of_one_after_the_other(count: int, spread: int) -> None:
    rng = np.random.default_rng(count)
    corner = rng.uniform(0, spread, (count, 2))
    corners = np.concatenate([corner, corner + rng.uniform(5, 60, (count, 2))], 1).astype(np.float32)
    classes = rng.integers(0, 3, count)
    assert suppress(corners, classes) == greedily(corners, classes)


def test_disagreement_counts_what_only_one_found() -> None:
    def says(*scores: float) -> list[list[Detection]]:
        return [[Detection("a", score) for score in scores]]

    assert disagreement(says(0.9, 0.3), says(0.9)) == pytest.approx(0.3)
    assert disagreement(says(0.9, 0.01), says(0.9)) == pytest.approx(0.0)
    assert disagreement(says(float("nan")), says(0.9)) == float("inf")


@pytest.mark.parametrize("any_way_up", [False, True])
def test_augmentation_keeps_shape_and_range(any_way_up: bool) -> None:
    batch = torch.rand(4, 3, 40, 40)
    out = augmented(batch, 32, torch.Generator().manual_seed(0), Augmentation(any_way_up=any_way_up))
    assert out.shape == (4, 3, 32, 32)
    assert 0 <= float(out.min()) <= float(out.max()) <= 1
    again = augmented(batch, 32, torch.Generator().manual_seed(0), Augmentation(any_way_up=any_way_up))
    assert torch.equal(out, again)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "efficientnet_v2_s"])
def test_statistics_keep_up_from_scratch(name: str) -> None:
    """After the steps of a few epochs of a small training, no layer normalises with random weights' statistics."""
    module = build(name, 2).module.train()
    quicken_statistics(module)
    layers = [layer for layer in module.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    assert layers
    for layer in layers[:3]:
        images = torch.rand(8, layer.num_features, 4, 4) + 2
        for _ in range(60):
            layer(images)
        expected = images.mean(dim=(0, 2, 3))
        assert torch.allclose(layer.running_mean, expected, rtol=0.01)
