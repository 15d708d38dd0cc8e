"""Forms of a trained model: what serves must say what torch says."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rcl_cli.backends import registry
from rcl_cli.backends.base import WEIGHTS_FILE
from rcl_cli.backends.runtimes import forms
from rcl_cli.backends.runtimes.forms import choose_forms
from rcl_cli.backends.runtimes.torch_runner import TorchRunner, _Graphs
from rcl_cli.domain import ModelCard, Progress
from tests.conftest import in_threads, noisy


def saved(family: str, folder: Path) -> ModelCard:
    """A model with random weights."""
    torch.manual_seed(0)
    if family == "yolo":
        from rcl_cli.backends.yolo.network import detector

        network: torch.nn.Module = detector("yolo11n", 2)
        preprocessing: dict[str, Any] = {"size_px": 96}
    else:
        from rcl_cli.backends.classifier.backbones import build

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
    assert choose_forms(card, folder, "cpu", probes, lambda _: None, is_exact=True)["runtime"] == "onnx"
    monkeypatch.setattr(registry, "on_torch", on_cpu(registry.on_torch))
    chosen = choose_forms(card, folder, "cuda", probes, lambda _: None)
    assert (chosen["runtime"], chosen["precision"]) == ("onnx", "float16")
    assert 0 <= chosen["half_disagreement"] <= 0.02
    exact = choose_forms(card, folder, "cuda", probes, lambda _: None, is_exact=True)
    assert exact["precision"] == "float32"
    assert "half_disagreement" not in exact


@pytest.mark.parametrize(
    ("apart", "share", "is_exact", "has_it", "runtime"),
    [
        (0.01, 0.5, False, True, "openvino"),
        (0.03, 0.5, False, True, "onnx"),
        (0.01, 0.9, False, True, "onnx"),
        (0.01, 0.5, True, True, "onnx"),
        (0.01, 0.5, False, False, "onnx"),
    ],
)
def test_bfloat16_serves_where_it_agrees_and_is_faster(
    apart: float, share: float, is_exact: bool, has_it: bool, runtime: str, tmp_path: Path, probes: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    card = saved("classifier", tmp_path)
    asked: list[str] = []

    def disagreement(ours: object, _reference: object) -> float:
        return apart if asked else 0.0

    def on_openvino(card: ModelCard, folder: Path) -> Any:
        asked.append("openvino")
        return registry.on_onnx(card, folder)

    monkeypatch.setattr(forms, "computes_in_bf16", lambda: has_it)
    monkeypatch.setattr(forms, "_time_share", lambda *_: share)
    monkeypatch.setattr(forms, "disagreement", disagreement)
    monkeypatch.setattr(registry, "on_openvino", on_openvino)
    found = choose_forms(card, tmp_path, "cpu", probes, lambda _: None, is_exact=is_exact)
    assert found["runtime"] == runtime
    assert found["precision"] == ("bfloat16" if runtime == "openvino" else "float32")
    assert bool(asked) == (has_it and not is_exact)
    assert found.get("bf16_disagreement") == (apart if asked else None)


def test_a_form_that_takes_longer_is_found_out(tmp_path: Path, probes: list[str]) -> None:
    card = saved("classifier", tmp_path)
    forms.export_onnx(card, tmp_path)
    plain, slow = registry.on_onnx(card, tmp_path, 1), registry.on_onnx(card, tmp_path, 1)
    really = slow.forward
    slow.forward = lambda pixels: [really(pixels) for _ in range(40)][0]  # type: ignore[method-assign]
    assert forms._time_share(slow, plain, probes) > 2
    assert forms._time_share(plain, slow, probes) < 0.5


def test_bfloat16_that_fails_is_told(tmp_path: Path, probes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("no such plugin")

    monkeypatch.setattr(forms, "computes_in_bf16", lambda: True)
    monkeypatch.setattr(registry, "on_openvino", fails)
    told: list[Progress] = []
    found = choose_forms(saved("classifier", tmp_path), tmp_path, "cpu", probes, told.append)
    assert found["runtime"] == "onnx"
    assert ["no such plugin" in (progress.note or "") for progress in told] == [True]


def test_openvino_says_what_onnx_runtime_says(model: tuple[ModelCard, Path]) -> None:
    """To what bfloat16 holds; on a CPU without it, it is single precision."""
    pytest.importorskip("openvino")
    card, folder = model
    forms.export_onnx(card, folder)
    pixels = np.random.default_rng(0).integers(0, 255, (1, 96, 96, 3), dtype=np.uint8)
    runners = [registry.on_openvino(card, folder, 1, 4), registry.on_onnx(card, folder, 1)]
    half, single = (runner.forward(pixels) for runner in runners)
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, single, atol=1.0 if card.family == "yolo" else 0.05, rtol=0.05)
    # Each thread gets the answer to what it asked, at any size.
    asked = [np.full((1 + n % 3, 96, 96, 3), 9 * n, np.uint8) for n in range(16)]
    one_by_one = [runners[0].forward(one) for one in asked]
    answers: dict[int, Any] = {}
    with in_threads(16, lambda n: answers.update({n: runners[0].forward(asked[n])})) as failures:
        pass
    assert failures == []
    for number, expected in enumerate(one_by_one):
        np.testing.assert_allclose(answers[number], expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("has_it", [True, False])
def test_a_model_in_bfloat16_runs_on_cpus_that_have_none(
    has_it: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = saved("classifier", tmp_path)
    forms.export_onnx(card, tmp_path)
    registry.write_card(tmp_path, card, {"runtime": "openvino", "device": "cpu"})
    monkeypatch.setattr("rcl_cli.backends.runtimes.openvino_runner.computes_in_bf16", lambda: has_it)
    taken: list[tuple[int, int]] = []
    monkeypatch.setattr(
        registry, "on_openvino", lambda *words: (taken.append(words[2:]), registry.on_onnx(*words[:3]))[1]
    )
    assert registry.load_predictor(tmp_path, "cpu", 1, 4).forward(np.zeros((1, 96, 96, 3), np.uint8)).shape == (1, 2)
    assert taken == ([(1, 4)] if has_it else [])


def test_a_model_that_openvino_does_not_load_is_served_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("no such operator")

    card = saved("classifier", tmp_path)
    forms.export_onnx(card, tmp_path)
    registry.write_card(tmp_path, card, {"runtime": "openvino", "device": "cpu"})
    monkeypatch.setattr("rcl_cli.backends.runtimes.openvino_runner.computes_in_bf16", lambda: True)
    monkeypatch.setattr(registry, "on_openvino", fails)
    assert registry.load_predictor(tmp_path).forward(np.zeros((1, 96, 96, 3), np.uint8)).shape == (1, 2)
    assert "no such operator" in capfd.readouterr().err


def test_forms_that_disagree_do_not_serve(tmp_path: Path, probes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    card = saved("classifier", tmp_path)
    monkeypatch.setattr(registry, "on_torch", on_cpu(registry.on_torch))

    def ruined(net: torch.nn.Module) -> torch.nn.Module:
        for parameter in net.parameters():
            parameter.data += 1
        return net

    monkeypatch.setattr("rcl_cli.backends.classifier.trainer.in_half", ruined)
    monkeypatch.setattr("rcl_cli.backends.runtimes.forms.ONNX_TOLERANCE", -1.0)
    chosen = choose_forms(card, tmp_path, "cuda", probes, lambda _: None)
    assert (chosen["runtime"], chosen["precision"]) == ("torch", "float32")
    assert chosen["half_disagreement"] > 0.02


def test_forms_that_fail_are_told_and_do_not_serve(
    tmp_path: Path, probes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    card = saved("classifier", tmp_path)
    monkeypatch.setattr(registry, "on_torch", on_cpu(registry.on_torch))

    def fails(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("rcl_cli.backends.classifier.trainer.in_half", fails)
    monkeypatch.setattr("rcl_cli.backends.runtimes.forms.export_onnx", fails)
    told: list[Progress] = []
    chosen = choose_forms(card, tmp_path, "cuda", probes, told.append)
    assert (chosen["runtime"], chosen["precision"]) == ("torch", "float32")
    assert all("out of memory" in (progress.note or "") for progress in told)
    assert len(told) == 2


def test_without_graphs_the_module_runs_as_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("graphs work here")
    module = torch.nn.Linear(3, 2)
    batch = torch.ones(4, 3)
    graphs = _Graphs(module)
    for _ in range(4):
        torch.testing.assert_close(graphs(batch), module(batch))
    assert capfd.readouterr().err.count("no CUDA graph of") == 1


class Replayed:
    """A graph without a GPU: what `_Graph` does with its input and output, the work done anew."""

    recorded: ClassVar[list[tuple[int, ...]]] = []

    def __init__(self, module: torch.nn.Module, example: torch.Tensor, _pool: Any) -> None:
        self._module, self._input = module, example
        self.recorded.append(tuple(example.shape))

    def replay(self, batch: torch.Tensor) -> torch.Tensor:
        self._input[: len(batch)].copy_(batch)
        out: torch.Tensor = self._module(self._input)
        return out[: len(batch)]


def test_sizes_that_come_again_are_recorded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rcl_cli.backends.runtimes.torch_runner._Graph", Replayed)
    monkeypatch.setattr("rcl_cli.backends.runtimes.torch_runner._MOST_GRAPHS", 2)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "pool")
    monkeypatch.setattr(Replayed, "recorded", [])
    module = torch.nn.Linear(3, 2)
    graphs = _Graphs(module)

    def ask(images: int, times: int = 1) -> None:
        for number in range(times):
            batch = torch.rand(images, 3) + number
            torch.testing.assert_close(graphs(batch), module(batch))

    ask(3, 2)
    assert Replayed.recorded == []
    # Three and four images share a graph; seventeen are more than any has.
    ask(4, 5)
    ask(3)
    ask(17, 9)
    assert Replayed.recorded == [(4, 3)]
    ask(1, 3)
    ask(2, 3)
    assert Replayed.recorded == [(4, 3), (1, 3), (2, 3)]
    # The oldest has gone, and comes back only when it is asked for often again.
    ask(4, 2)
    assert len(Replayed.recorded) == 3
    ask(4)
    assert Replayed.recorded[3:] == [(4, 3)]


def test_sizes_that_cannot_be_recorded_run_as_they_are(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    tried: list[tuple[int, ...]] = []

    def fails(_module: Any, example: torch.Tensor, _pool: Any) -> None:
        tried.append(tuple(example.shape))
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr("rcl_cli.backends.runtimes.torch_runner._Graph", fails)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "pool")
    module = torch.nn.Linear(3, 2)
    graphs = _Graphs(module)
    for images in (1, 2, 4, 8, 16):
        for _ in range(5):
            batch = torch.rand(images, 3)
            torch.testing.assert_close(graphs(batch), module(batch))
    # Each size once, and after three of them no other.
    assert tried == [(1, 3), (2, 3), (4, 3)]
    assert capfd.readouterr().err.count("no CUDA graph of") == 3


def test_a_batch_that_memory_does_not_hold_goes_in_halves() -> None:
    class Tight(torch.nn.Module):
        asked: ClassVar[list[int]] = []

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            self.asked.append(len(pixels))
            if len(pixels) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return pixels[:, 0, 0, :1].float()

    runner = TorchRunner(Tight(), "cpu")
    pixels = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1).repeat(3, 3)
    assert runner.run(pixels).ravel().tolist() == [0, 1, 2, 3, 4]
    assert Tight.asked == [5, 2, 3, 1, 2]


class Waits(TorchDispatchMode):
    """Fails where work on the GPU would wait for the CPU, which can't be recorded."""

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
        made = [t for t in tree_leaves(out) if isinstance(t, torch.Tensor)]
        if any(t.device.type == "cuda" for t in made):
            assert not any(t.device.type == "cpu" and t.ndim for t in given), f"{func} copies from the CPU"
        return out


@pytest.mark.parametrize("half", [False, True])
def test_a_pass_on_cuda_never_waits_for_the_cpu(model: tuple[ModelCard, Path], half: bool) -> None:
    """On tensors that only say that they are on a GPU: reading one back raises DataDependentOutputException."""
    card, folder = model
    network = registry.load_network(card, folder)
    if half:
        network = import_module(registry.family(card.family).network).in_half(network)
    fake = FakeTensorMode()

    def moved(tensor: torch.Tensor) -> torch.Tensor:
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cuda")

    with fake, torch.inference_mode():
        for part in network.modules():
            for name, parameter in part._parameters.items():
                if parameter is not None:
                    part._parameters[name] = torch.nn.Parameter(moved(parameter), requires_grad=False)
            for name, buffer in part._buffers.items():
                if buffer is not None:
                    part._buffers[name] = moved(buffer)
        pixels = torch.zeros(2, 96, 64, 3, dtype=torch.uint8, device="cuda")
        with Waits():
            out = network(pixels)
    assert out.device.type == "cuda"
    assert len(out) == 2


def test_anchors_are_where_ultralytics_has_them() -> None:
    from ultralytics.utils.tal import make_anchors

    from rcl_cli.backends.yolo.network import anchors

    feats = [torch.zeros(1, 1, *size) for size in ((12, 8), (6, 4), (3, 2))]
    strides = [8.0, 16.0, 32.0]
    points, steps = make_anchors(feats, strides)
    for ours, theirs in zip(anchors(feats, strides), (points.T, steps.T), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.gpu
@pytest.mark.parametrize("half", [False, True])
def test_graphs_say_what_the_module_says(
    model: tuple[ModelCard, Path], half: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    card, folder = model
    ours = registry.on_torch(card, folder, "cuda", half=half)
    reference = registry.on_torch(card, folder, "cpu")
    random = np.random.default_rng(0)
    for batch in (1, 4, 1, 2, 4, 3, 1, 4, 3, 17):
        pixels = random.integers(0, 255, (batch, 96, 96, 3), dtype=np.uint8)
        np.testing.assert_allclose(ours.forward(pixels), reference.forward(pixels), atol=0.1, rtol=0.01)
    assert isinstance(ours.forward.__self__, TorchRunner)  # type: ignore[attr-defined]
    assert len(ours.forward.__self__._graphs._recorded) == 2  # type: ignore[attr-defined]
    assert "no CUDA graph" not in capfd.readouterr().err
