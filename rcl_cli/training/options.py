"""Training options: the API has no field for them, so they come from config.yaml, the environment and tags."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rcl_cli.backends.family import Licence
from rcl_cli.errors import InvalidParameter
from rcl_cli.training.plan import MOST_EPOCHS

TAG_PREFIX = "rcl:"
Quality = Literal["fast", "auto", "best"]
Preference = Literal["accuracy", "speed"]


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """What the user wants; None where the plan decides.

    Args:
        model: `auto` or an architecture.
        image_size: longer side in pixels, 32..4096.
        device: `auto`, `cpu`, `cuda`, `cuda:N`, `mps`.
        time_budget_s: seconds that the training stage takes: as many epochs as fit, at most `epochs`.
        weights: `auto`, `none` or a file.
        precision: `auto`, of the fastest form that agrees with the reference; `float32`, single precision only.
        retries: how often a training whose process died is started again.
        parallel: trainings on one device at once; more wait.
        license: `any`, or `permissive`: of models that fall under a licence which asks nothing of who uses them.
        tiling: `auto`, `none`, or the side in pixels of the tiles that images are cut into.
        quality: `auto`; `fast`, a third of the epochs; `best`: recipes compete, and the best one trains to the end.
        candidates: how many compete at most.
        prefer: what a contest is won by.
    """

    model: str = "auto"
    epochs: int | None = None
    image_size: int | None = None
    batch: int | None = None
    device: str = "auto"
    seed: int = 0
    time_budget_s: float | None = None
    weights: str = "auto"
    patience: int | None = None
    precision: str = "auto"
    retries: int = 1
    parallel: int = 1
    license: Licence = "any"
    tiling: str = "auto"
    quality: Quality = "auto"
    candidates: int = 6
    prefer: Preference = "accuracy"


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError
        return value

    parse.__doc__ = f"a whole number from {low} to {high}"
    return parse


def _positive(text: str) -> float:
    """A number of seconds above 0"""
    value = float(text)
    if not 0 < value < 1e9:
        raise ValueError
    return value


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError
        return text

    parse.__doc__ = f"{', '.join(words[:-1])} or {words[-1]}"
    return parse


def _device(text: str) -> str:
    """auto, cpu, cuda, cuda:N or mps"""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", text):
        raise ValueError
    return text


def _tiling(text: str) -> str:
    """Auto, none or a whole number of pixels from 64 to 4096"""
    if text not in ("auto", "none") and not 64 <= int(text) <= 4096:
        raise ValueError
    return text


def _word(text: str) -> str:
    """A name of letters, digits, _, - and ."""
    if not re.fullmatch(r"[\w.\-]+", text):
        raise ValueError
    return text


def _weights(text: str) -> str:
    """auto, none or a file"""
    if not text:
        raise ValueError
    # Absolute at once: the trainer has another working folder.
    return text if text in ("auto", "none") else str(Path(os.path.abspath(os.path.expanduser(text))))  # noqa: PTH100, PTH111


_PARSERS: dict[str, Callable[[str], Any]] = {
    "model": _word,
    "epochs": _whole(1, MOST_EPOCHS),
    "image_size": _whole(32, 4096),
    "batch": _whole(1, 4096),
    "device": _device,
    "seed": _whole(0, 2**31 - 1),
    "time_budget_s": _positive,
    "weights": _weights,
    "patience": _whole(1, MOST_EPOCHS),
    "precision": _one_of("auto", "float32"),
    "retries": _whole(0, 100),
    "parallel": _whole(1, 64),
    "license": _one_of("any", "permissive"),
    "tiling": _tiling,
    "quality": _one_of("fast", "auto", "best"),
    "candidates": _whole(2, 20),
    "prefer": _one_of("accuracy", "speed"),
}


# What there is to set, and what it may be.
TRAINING_OPTIONS = {name: str(parse.__doc__) for name, parse in _PARSERS.items()}


def resolve_options(*sources: Mapping[str, str]) -> TrainingOptions:
    """Merge option texts, later sources over earlier ones.

    Raises:
        InvalidParameter: an option that does not exist, or a value that it can't have.
    """
    merged: dict[str, str] = {}
    for source in sources:
        merged.update(source)
    values: dict[str, Any] = {}
    for name, text in merged.items():
        if name not in _PARSERS:
            raise InvalidParameter(f"There is no training option {name!r}; there are {', '.join(_PARSERS)}.")
        try:
            values[name] = _PARSERS[name](str(text).strip())
        except ValueError as error:
            raise InvalidParameter(
                f"The training option {name} can't be {text!r}: it is {_PARSERS[name].__doc__}."
            ) from error
    return TrainingOptions(**values)


def from_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The options among tags: `rcl:epochs` and so on."""
    return {key[len(TAG_PREFIX) :]: value for key, value in tags.items() if key.startswith(TAG_PREFIX)}
