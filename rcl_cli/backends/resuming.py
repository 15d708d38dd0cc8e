"""Checkpoints of a training, so that one that dies goes on from the last one instead of from the beginning.

A checkpoint holds tensors, numbers and texts only, and is read as such: nothing in it is executed.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch

from rcl_cli.durable import replace_durably

_FILE = "checkpoint.pt"
# Of what trainers keep: checkpoints of another one are not gone on with.
_FORMAT = 2
# Seconds from one to the next: short, but writing them takes no more than a twentieth of the time.
_LEAST_S, _TIMES_ITS_COST = 2.0, 20.0


class Checkpoints:
    """The latest checkpoint of one training.

    Args:
        folder: for the file; None keeps none.
        key: of what is trained; checkpoints of anything else are not gone on with.
        least_s: seconds from one to the next, at least.
        times_its_cost: how many times the seconds that the last one took, at least.
    """

    def __init__(
        self, folder: Path | None, key: str = "", *, least_s: float = _LEAST_S, times_its_cost: float = _TIMES_ITS_COST
    ) -> None:
        self._path = folder / _FILE if folder is not None else None
        self._key, self._least_s, self._times_its_cost = key, least_s, times_its_cost
        self._due_s = time.monotonic() + least_s

    def load(self) -> dict[str, Any] | None:
        """What was saved last, None where there is nothing to go on with."""
        if self._path is None or not self._path.is_file():
            return None
        try:
            found = torch.load(self._path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, ValueError, EOFError, KeyError, UnpicklingError) as error:
            # Damaged, or of another version: then from the beginning. What torch advises is not repeated.
            print(f"the checkpoint can't be read ({type(error).__name__}): from the beginning", flush=True)
            return None
        return found["state"] if isinstance(found, dict) and found.get("key") == [_FORMAT, self._key] else None

    @property
    def is_due(self) -> bool:
        return self._path is not None and time.monotonic() >= self._due_s

    def save(self, state: dict[str, Any]) -> None:
        """Keep a state, whole or not at all; a disk without room for it keeps the last one."""
        if self._path is None:
            return
        began = time.monotonic()
        partial = self._path.with_suffix(".part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as out:
                torch.save({"key": [_FORMAT, self._key], "state": state}, out)
                out.flush()
                os.fsync(out.fileno())
            replace_durably(partial, self._path)
        except (OSError, RuntimeError) as error:
            # torch has an error of its own for a file that can't be written on.
            print(f"no checkpoint was kept: {str(error).splitlines()[0]}", flush=True)
            partial.unlink(missing_ok=True)
        now = time.monotonic()
        self._due_s = now + max(self._least_s, self._times_its_cost * (now - began))


NO_CHECKPOINTS = Checkpoints(None)


def random_state(device: torch.device) -> dict[str, Any]:
    """The states of all generators that a training draws from."""
    kind, keys, position, has_gauss, cached = np.random.get_state()
    version, internal, gauss = random.getstate()
    state: dict[str, Any] = {
        "python": [version, list(internal), gauss],
        "numpy": [kind, torch.from_numpy(np.asarray(keys, dtype=np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
    }
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Go on drawing where `random_state` was taken."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
