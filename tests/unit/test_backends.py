"""Model families: every offer can be built, odd names and devices are refused, small data can be held out."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from rcl_cli.backends import registry
from rcl_cli.backends.base import Prepared
from rcl_cli.backends.boxes.planning import LEAST_MOST_BOXES
from rcl_cli.backends.boxes.predictor import NMS_IOU, BoxPredictor, suppress
from rcl_cli.backends.classifier import blend
from rcl_cli.backends.classifier import trainer as classifier
from rcl_cli.backends.classifier.augment import Augmentation, augmented
from rcl_cli.backends.classifier.backbones import LITE0, build, early_stages, quicken_statistics
from rcl_cli.backends.classifier.run import Best
from rcl_cli.backends.classifier.tune import best_of
from rcl_cli.backends.runtimes.forms import disagreement
from rcl_cli.backends.yolo.network import detector
from rcl_cli.backends.yolo.trainer import InHalf
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
    return kept[:LEAST_MOST_BOXES]


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


@pytest.mark.parametrize(("name", "kept"), [("efficientnet_lite0", 3), ("mobilenet_v3_small", 2), ("resnet18", 0)])
def test_two_networks_answer_in_the_mean_and_share_what_is_the_same(name: str, kept: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    backbone = build(name, 3)
    probe = {k: v.clone() for k, v in backbone.module.state_dict().items()}
    for stage, layer in enumerate(getattr(backbone.module, "features", backbone.module.children())):
        if stage >= kept:
            for parameter in layer.parameters():
                parameter.data.add_(0.02 * torch.randn_like(parameter))
    tuned = backbone.module.state_dict()
    file = tmp_path / "weights.safetensors"
    save_file({k: v.contiguous() for k, v in blend.joined(tuned, probe).items()}, file)
    assert file.stat().st_size < 2.1 * sum(v.nbytes for v in tuned.values())
    pre = {"mean": backbone.mean, "std": backbone.std, "size_px": 64}
    card = ModelCard("classifier", name, ("a", "b", "c"), False, 64, pre, {}, "", "")
    both = classifier.load_network(card, file)
    assert len(both.trunk) == kept
    pixels = torch.randint(0, 255, (2, 64, 64, 3), dtype=torch.uint8)
    alone = []
    for state in (tuned, probe):
        save_file({k: v.contiguous() for k, v in state.items()}, file)
        alone.append(classifier.load_network(card, file)(pixels))
    torch.testing.assert_close(both(pixels), (alone[0] + alone[1]) / 2, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(alone[0], alone[1], atol=1e-4)


@pytest.mark.parametrize("model", ["yolov8n", "yolo11n"])
def test_training_in_bfloat16_ends_in_single_precision(model: str) -> None:
    plain = detector(model, 2)
    half = detector(model, 2, InHalf)
    assert list(half.state_dict()) == list(plain.state_dict()), "weights keep their names"
    half.load_state_dict(plain.state_dict())
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(half.eval()(images)[0], plain.eval()(images)[0]), "what is judged is not changed"
    seen: list[torch.dtype] = []
    half.model[2].register_forward_hook(lambda _module, _given, out: seen.append(out.dtype))
    half.model[-1].cv2[0].register_forward_hook(lambda _module, _given, out: seen.append(out.dtype))
    told = copy.deepcopy(half).train()(images)
    assert seen == [torch.bfloat16, torch.float32]
    sum(one.square().mean() for one in (told["boxes"], told["scores"])).backward()
    assert told["scores"].dtype == torch.float32


@pytest.mark.parametrize(
    ("name", "count"), [(LITE0, 4), ("mobilenet_v3_large", 7), ("resnet18", 0), ("convnext_tiny", 4)]
)
def test_early_stages_are_those_of_fine_maps(name: str, count: int) -> None:
    network = build(name, 3).module.train()
    assert early_stages(network) == count
    assert network.training


@pytest.mark.parametrize(
    ("probe", "tuned", "kept"), [(0.9, 0.95, "both"), (0.95, 0.8, "both"), (0.6, 0.9, "tuned"), (0.9, 0.4, "probe")]
)
def test_both_answer_unless_one_is_much_worse(probe: float, tuned: float, kept: str) -> None:
    run = SimpleNamespace(quality=lambda _scores: (0.97, -0.1))
    scores = {"probe": torch.tensor([[0.2, 0.8]]), "tuned": torch.tensor([[0.6, 0.4]])}
    best = {
        name: Best({"w": torch.tensor([quality])}, (quality, -1.0), name, scores[name])
        for name, quality in (("probe", probe), ("tuned", tuned))
    }
    found = best_of(run, best["probe"], best["tuned"])
    if kept == "both":
        assert blend.is_joined(found.state)
        torch.testing.assert_close(found.scores, torch.tensor([[0.4, 0.6]]))
        assert found.quality == (0.97, -0.1)
    else:
        assert found is best[kept]
