"""Devices whose memory is too small for a training's batches."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rcl_cli.backends import registry
from rcl_cli.backends.base import DeviceLost, is_memory_error
from rcl_cli.backends.runtimes.torch_runner import TorchRunner
from rcl_cli.backends.weights.choice import from_scratch
from rcl_cli.compute.liveness import start_token
from rcl_cli.domain import Progress, TrainingPlan
from rcl_cli.training import stages, trainer
from tests.conftest import wait_until

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
    card: Any = stages._train_in_memory(asked, from_scratch("m"), Path(), told.append, lambda: False, Path("nowhere"))
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
    assert 60 == budgets[0] > budgets[1] > budgets[2] > 0


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


def forking(then: str) -> subprocess.CompletedProcess[str]:
    """A trainer that has forked a process, tells its number, and then does something."""
    code = f"""
import os, signal, time
from rcl_cli.training import trainer
signal.signal(signal.SIGTERM, trainer._on_sigterm)
trainer.end_with_parent()
ready, tell = os.pipe()
child = os.fork()
if not child:
    os.write(tell, b"x")
    time.sleep(60)
    os._exit(0)
os.read(ready, 1)
print(child, flush=True)
{then}
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


def test_processes_that_load_images_end_when_told() -> None:
    """Forked from the trainer, they have its way with SIGTERM unless it is taken from them."""
    done = forking("""
os.kill(child, signal.SIGTERM)
_, status = os.waitpid(child, 0)
print(os.WTERMSIG(status))
os.kill(os.getpid(), signal.SIGTERM)
print(trainer.stopping())
""")
    assert done.stdout.split()[1:] == [str(int(signal.SIGTERM)), "True"], done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends them")
def test_processes_that_load_images_end_with_a_trainer_that_is_killed() -> None:
    done = forking("os.kill(os.getpid(), signal.SIGKILL)")
    assert done.returncode == -signal.SIGKILL
    wait_until(lambda: start_token(int(done.stdout)) is None, 10)


def test_lost_devices_are_told_from_full_ones() -> None:
    assert is_memory_error(torch.OutOfMemoryError(FULL))
    assert is_memory_error(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"))
    assert not is_memory_error(RuntimeError("CUDA error: an illegal memory access was encountered"))
    assert not is_memory_error(ValueError("out of memory"))


@pytest.mark.skipif(not hasattr(torch, "AcceleratorError"), reason="this torch can't tell")
def test_a_lost_device_ends_the_worker_that_has_it(tmp_path: Path) -> None:
    class Lost(torch.nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    runner = TorchRunner(Lost(), "cpu")
    pixels = np.zeros((1, 4, 4, 3), np.uint8)
    with pytest.raises(DeviceLost, match="illegal memory access"):
        runner.run(pixels)
    code = """
import threading
from rcl_cli.backends.base import DeviceLost
from rcl_cli.inference.worker import Worker
class Model:
    def detect(self, *_):
        raise DeviceLost("gone")
Worker(Model(), "n", threading.Event())._answer({"nonce": "n", "op": "detect"}, b"")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, "the device is lost: gone\n")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError(FULL),
    ],
    ids=lambda error: str(error)[:20],
)
def test_too_little_memory_is_called_that_whoever_says_it(error: BaseException) -> None:
    assert "not enough memory" in trainer._message(error)


def test_other_errors_are_not_called_that() -> None:
    assert "memory" not in trainer._message(ImportError("no module named x"))
