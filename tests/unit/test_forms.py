"""Forms of a trained model: what serves must say what torch says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from rcl_cli.backends import registry
from rcl_cli.backends.base import WEIGHTS_FILE
from rcl_cli.backends.forms import choose_forms
from rcl_cli.backends.torch_runner import TorchRunner, _Graphs
from rcl_cli.domain import ModelCard, Progress
from tests.conftest import noisy


def saved(family: str, folder: Path) -> ModelCard:
    """A model with random weights."""
    torch.manual_seed(0)
    if family == "yolo":
        from rcl_cli.backends.yolo import _detector

        network: torch.nn.Module = _detector("yolo11n", 2)
        preprocessing: dict[str, Any] = {"size_px": 96}
    else:
        from rcl_cli.backends.backbones import build

        backbone = build("mobilenet_v3_small", 2)
        network = backbone.module
        preprocessing = {"size_px": 96, "mean": list(backbone.mean), "std": list(backbone.std)}
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, folder / WEIGHTS_FILE)
    name = "yolo11n" if family == "yolo" else "mobilenet_v3_small"
    return ModelCard(family, name, ("a", "b"), False, 96, preprocessing, {}, "none", "none", ())


@pytest.fixture(params=["yolo", "classifier"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[ModelCard, Path]:
    return saved(request.param, tmp_path), tmp_path


@pytest.fixture
def probes(tmp_path: Path) -> list[str]:
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for i, path in enumerate(paths):
        noisy((90, 40 * i, 150), (128, 96), i).save(path)
    return [str(path) for path in paths]


def test_half_precision_says_what_single_says(model: tuple[ModelCard, Path]) -> None:
    card, folder = model
    pixels = np.random.default_rng(0).integers(0, 255, (2, 96, 96, 3), dtype=np.uint8)
    single, half = (registry.on_torch(card, folder, "cpu", half=half).forward(pixels) for half in (False, True))
    assert single.dtype == half.dtype == np.float32
    assert not np.array_equal(single, half)
    # Of a detector these are pixels too.
    np.testing.assert_allclose(half, single, atol=0.05, rtol=0.01)


def on_cpu(wanted: Callable[..., Any]) -> Callable[..., Any]:
    """Stand in for an accelerator."""
    return lambda card, folder, _device, *, half=False: wanted(card, folder, "cpu", half=half)


def test_the_fastest_forms_that_agree_are_chosen(
    model: tuple[ModelCard, Path], probes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    card, folder = model
    assert choose_forms(card, folder, "cpu", probes, lambda _: None)["runtime"] == "onnx"
    monkeypatch.setattr(registry, "on_torch", on_cpu(registry.on_torch))
    forms = choose_forms(card, folder, "cuda", probes, lambda _: None)
    assert (forms["runtime"], forms["precision"]) == ("onnx", "float16")
    assert 0 <= forms["half_disagreement"] <= 0.02


def test_forms_that_disagree_do_not_serve(tmp_path: Path, probes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    card = saved("classifier", tmp_path)
    monkeypatch.setattr(registry, "on_torch", on_cpu(registry.on_torch))

    def ruined(net: torch.nn.Module) -> torch.nn.Module:
        for parameter in net.parameters():
            parameter.data += 1
        return net

    monkeypatch.setattr("rcl_cli.backends.classifier.in_half", ruined)
    monkeypatch.setattr("rcl_cli.backends.forms.ONNX_TOLERANCE", -1.0)
    forms = choose_forms(card, tmp_path, "cuda", probes, lambda _: None)
    assert (forms["runtime"], forms["precision"]) == ("torch", "float32")
    assert forms["half_disagreement"] > 0.02


def test_forms_that_fail_are_told_and_do_not_serve(
    tmp_path: Path, probes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    card = saved("classifier", tmp_path)
    monkeypatch.setattr(registry, "on_torch", on_cpu(registry.on_torch))

    def fails(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("rcl_cli.backends.classifier.in_half", fails)
    monkeypatch.setattr("rcl_cli.backends.forms.export_onnx", fails)
    told: list[Progress] = []
    forms = choose_forms(card, tmp_path, "cuda", probes, told.append)
    assert (forms["runtime"], forms["precision"]) == ("torch", "float32")
    assert all("out of memory" in (progress.note or "") for progress in told)
    assert len(told) == 2


def test_without_graphs_the_module_runs_as_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("graphs work here")
    module = torch.nn.Linear(3, 2)
    batch = torch.ones(4, 3)
    graphs = _Graphs(module)
    for _ in range(2):
        torch.testing.assert_close(graphs(batch), module(batch))
    assert capfd.readouterr().err.count("no CUDA graphs") == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("half", [False, True])
def test_graphs_say_what_the_module_says(model: tuple[ModelCard, Path], half: bool) -> None:
    card, folder = model
    ours = registry.on_torch(card, folder, "cuda", half=half)
    reference = registry.on_torch(card, folder, "cpu")
    random = np.random.default_rng(0)
    for batch in (1, 4, 1, 2, 4):
        pixels = random.integers(0, 255, (batch, 96, 96, 3), dtype=np.uint8)
        np.testing.assert_allclose(ours.forward(pixels), reference.forward(pixels), atol=0.1, rtol=0.01)
    assert isinstance(ours.forward.__self__, TorchRunner)  # type: ignore[attr-defined]
    assert ours.forward.__self__._graphs._recorded  # type: ignore[attr-defined]
