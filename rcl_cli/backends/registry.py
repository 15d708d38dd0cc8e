"""The model families, by name; a family's modules are imported only when it is used."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcl_cli.backends.base import (
    CARD_FILE,
    ONNX_FILE,
    OUT_OF_MEMORY,
    THRESHOLDS_FILE,
    WEIGHTS_FILE,
    Predictor,
    Runner,
    Trainer,
    lacks_memory,
)
from rcl_cli.backends.family import Family, Licence, Task
from rcl_cli.domain import ModelCard
from rcl_cli.errors import ConfigError

if TYPE_CHECKING:
    from rcl_cli.backends.weights.choice import Offer


# The first family of a task is its default.
FAMILIES = {
    "yolo": "rcl_cli.backends.yolo.family",
    "litedet": "rcl_cli.backends.litedet.family",
    "classifier": "rcl_cli.backends.classifier.family",
}


def family(name: str) -> Family:
    """A family by name.

    Raises:
        ConfigError: there is none.
    """
    if name not in FAMILIES:
        raise ConfigError(f"There is no model family {name!r}; this rcl knows {', '.join(FAMILIES)}.")
    found: Family = import_module(FAMILIES[name]).FAMILY
    return found


def families_for(task: Task, model: str, licence: Licence) -> list[str]:
    """The names of the families that may train: of `auto` all of the task, the preferred one first.

    Args:
        model: an architecture, `auto`, or what nobody knows: that is the preferred family's to refuse.

    Raises:
        ConfigError: the architecture falls under another licence.
    """
    names = [name for name in FAMILIES if family(name).task == task]
    known = [name for name in names if model != "auto" and family(name).knows(model)]
    allowed = [name for name in known or names if licence == "any" or family(name).is_permissive]
    if not allowed:
        others = ", ".join(f"{name} ({family(name).licence})" for name in known or names)
        raise ConfigError(f"Only permissive licences are asked for; for {task} by {model} there is {others}.")
    return allowed if model == "auto" else allowed[:1]


def trainer(name: str) -> Trainer:
    made: Trainer = _named(family(name).trainer)()
    return made


def offers(names: Sequence[str], model: str, device: str, images: int) -> list[Offer]:
    """Architectures of families with their weights, best first; `model` is `auto` or one architecture's name."""
    found: list[Offer] = []
    for name in names:
        found += import_module(family(name).network).offers(model, device, images)
    return found


def load_network(card: ModelCard, folder: Path) -> Any:
    """The trained torch module, taking uint8 pixels."""
    return import_module(family(card.family).network).load_network(card, folder / WEIGHTS_FILE)


def example_input(card: ModelCard) -> Any:
    return import_module(family(card.family).network).example_input(card)


def _predictor_class(card: ModelCard) -> Callable[[Runner, ModelCard], Predictor]:
    is_tiled = "tiling" in card.preprocessing
    words = "rcl_cli.backends.boxes.tiled:TiledPredictor" if is_tiled else family(card.family).predictor
    made: Callable[[Runner, ModelCard], Predictor] = _named(words)
    return made


def _named(words: str) -> Any:
    """What `module:class` means."""
    module, _, name = words.partition(":")
    return getattr(import_module(module), name)


def load_predictor(folder: Path, device: str = "cpu", threads: int = 0, at_once: int = 1) -> Predictor:
    """Load a saved model for inference, in the fastest form that agreed with torch.

    Args:
        folder: what training wrote.
        threads: CPU threads for one forward pass; 0 takes the runtime's default.
        at_once: forward passes that may come side by side.

    Raises:
        ConfigError: the folder holds no model that this rcl can load.
    """
    card, extra = read_card(folder)
    try:
        return _loaded(card, extra, folder, device, threads, at_once)
    except (ConfigError, ModuleNotFoundError):
        raise
    except Exception as error:
        # Each runtime has errors of its own for a file that it can't make sense of, or has no memory for.
        said = OUT_OF_MEMORY if lacks_memory(error) else " ".join(str(error).split()) or type(error).__name__
        raise ConfigError(f"The model in {folder} can't be loaded: {said}") from error


def runs_side_by_side(extra: dict[str, Any], device: str) -> bool:
    """Whether images go through the saved model one by one, each on a thread of its own."""
    return device == "cpu" and extra.get("runtime") in ("onnx", "openvino")


def _loaded(card: ModelCard, extra: dict[str, Any], folder: Path, device: str, threads: int, at_once: int) -> Predictor:
    if runs_side_by_side(extra, device):
        from rcl_cli.backends.runtimes.openvino_runner import computes_in_bf16

        # Where the CPU is another one, single precision says nearly the same.
        if extra["runtime"] == "openvino" and computes_in_bf16():
            try:
                return on_openvino(card, folder, threads, at_once)
            except Exception as error:  # noqa: BLE001 - of another version, say
                said = f"{type(error).__name__}: {error}"
                print(f"OpenVINO does not load the model ({said}); ONNX Runtime does", file=sys.stderr, flush=True)
        return on_onnx(card, folder, threads)
    return on_torch(card, folder, device, half=device != "cpu" and extra.get("precision") == "float16")


def on_onnx(card: ModelCard, folder: Path, threads: int = 0) -> Predictor:
    """A model in ONNX Runtime on the CPU."""
    from rcl_cli.backends.runtimes.onnx_runner import OnnxRunner

    return _predictor_class(card)(OnnxRunner(folder / ONNX_FILE, threads), card)


def on_openvino(card: ModelCard, folder: Path, threads: int = 0, at_once: int = 1) -> Predictor:
    """A model in OpenVINO on the CPU, in bfloat16."""
    from rcl_cli.backends.runtimes.openvino_runner import OpenVinoRunner

    return _predictor_class(card)(OpenVinoRunner(folder / ONNX_FILE, threads, at_once), card)


def on_torch(card: ModelCard, folder: Path, device: str, *, half: bool = False) -> Predictor:
    """A model in torch."""
    from rcl_cli.backends.runtimes.torch_runner import TorchRunner

    network = load_network(card, folder)
    if half:
        network = import_module(family(card.family).network).in_half(network)
    return _predictor_class(card)(TorchRunner(network, device), card)


def write_card(folder: Path, card: ModelCard, extra: dict[str, Any]) -> None:
    """Save what the model says about itself; `extra` holds what the training process adds."""
    document = {"card": asdict(card), **extra}
    (folder / CARD_FILE).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def card_of(raw: dict[str, Any]) -> ModelCard:
    """A card from its JSON."""
    return ModelCard(**{**raw, **{key: tuple(raw[key]) for key in ("labels", "history")}})


def read_card(folder: Path) -> tuple[ModelCard, dict[str, Any]]:
    """The card and the extras of a saved model.

    Raises:
        ConfigError: missing or damaged.
    """
    try:
        document = json.loads((folder / CARD_FILE).read_text("utf-8"))
        return card_of(document.pop("card")), document
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"The model in {folder} can't be read: {error}") from error


def read_thresholds(folder: Path) -> dict[str, float]:
    """Thresholds that the model's owner set, by label, 0..1; the other labels have those of the card.

    Raises:
        ConfigError: damaged.
    """
    try:
        document = json.loads((folder / THRESHOLDS_FILE).read_text("utf-8"))
        found = {str(label): float(value) for label, value in document.items()}
        if odd := [label for label, value in found.items() if not 0 <= value <= 1]:
            raise ValueError(f"{found[odd[0]]} for {odd[0]!r} is not between 0 and 1")
        return found
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"The thresholds in {folder} can't be read: {error}; rcl thresholds --reset helps."
        ) from error
