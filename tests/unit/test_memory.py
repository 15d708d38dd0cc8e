"""Devices whose memory is too small for a training's batches."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from rcl_cli.backends import registry
from rcl_cli.backends.weights.choice import from_scratch
from rcl_cli.domain import Progress, TrainingPlan
from rcl_cli.training import stages

FULL = "CUDA out of memory. Tried to allocate 20.00 MiB."


def plan(device: str, batch: int, budget_s: float | None = None) -> TrainingPlan:
    return TrainingPlan(
        family="classifier", model="m", labels=("a",), train=(), holdout=(), multi_label=False, device=device,
        image_size=64, batch=batch, epochs=1, patience=1, seed=0, weights="none", time_budget_s=budget_s, offline=True,
    )  # fmt: skip


class Tight:
    """A trainer on a device that holds a few images."""

    def __init__(self, holds: int, message: str = FULL) -> None:
        self.holds, self.message, self.plans = holds, message, list[TrainingPlan]()

    def train(self, asked: TrainingPlan, *_: Any) -> str:
        self.plans.append(asked)
        if asked.batch > self.holds:
            raise torch.OutOfMemoryError(self.message)
        return "card"


def train(trainer: Tight, asked: TrainingPlan, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[str | None]]:
    monkeypatch.setattr(registry, "trainer", lambda _: trainer)
    told: list[Progress] = []
    card: Any = stages._train_in_memory(asked, from_scratch("m"), Path(), told.append, lambda: False)
    return card, [progress.note for progress in told]


def test_batches_are_halved_until_memory_holds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Tight(4)
    card, notes = train(trainer, plan("mps", 16, 60), monkeypatch)
    assert card == "card"
    assert [one.batch for one in trainer.plans] == [16, 8, 4]
    assert notes == [
        "the device's memory does not hold 16 images at once: batches of 8",
        "the device's memory does not hold 8 images at once: batches of 4",
    ]
    # What the tries took is not given twice.
    budgets = [one.time_budget_s or 0 for one in trainer.plans]
    assert 60 == budgets[0] > budgets[1] > budgets[2] > 50


@pytest.mark.parametrize(
    ("device", "message", "tries"), [("cpu", FULL, 1), ("mps", "shapes differ", 1), ("mps", FULL, 3)]
)
def test_what_smaller_batches_do_not_help_is_raised(
    device: str, message: str, tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Tight(0, message)
    with pytest.raises(torch.OutOfMemoryError, match=message[:9]):
        train(trainer, plan(device, 8), monkeypatch)
    assert len(trainer.plans) == tries


def test_processes_that_load_images_end_when_told(tmp_path: Path) -> None:
    """Forked from the trainer, they have its way with SIGTERM unless it is taken from them."""
    code = """
import os, signal, sys, time
from rcl_cli.training import trainer
def no_work(*_):
    ready, tell = os.pipe()
    child = os.fork()
    if not child:
        os.write(tell, b"x")
        time.sleep(60)
        os._exit(0)
    os.read(ready, 1)
    os.kill(child, signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    print(os.WTERMSIG(status), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    print(trainer.stopping(), flush=True)
    sys.exit(0)
trainer.make_context = no_work
sys.argv = ["trainer", "--home", sys.argv[1], "--version-id", "1", "--nonce", "n"]
trainer.main()
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == [str(int(signal.SIGTERM)), "True"], done.stderr
    assert not any(tmp_path.iterdir())
