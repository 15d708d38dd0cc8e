"""Trainings that go on from a checkpoint end where uninterrupted ones do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rcl_cli.backends import registry
from rcl_cli.backends.resuming import Checkpoints, random_state, restore_random_state
from rcl_cli.backends.weights.checkpoints import load_tensors
from rcl_cli.backends.weights.choice import from_scratch
from rcl_cli.domain import Box, ModelCard, Progress, Sample, TrainingPlan
from tests.conftest import COLOURS, noisy

EPOCHS = 6


def samples(folder: Path, boxes: bool) -> tuple[Sample, ...]:
    found = []
    for number in range(20):
        name = ("red", "green")[number % 2]
        image = noisy((120, 120, 120), (96, 96), number)
        image.paste(noisy(COLOURS[name], (40, 40), number), (number, 20))
        path = folder / f"{number}.jpg"
        image.save(path)
        box = ((name, Box(number / 96, 20 / 96, 40 / 96, 40 / 96)),)
        found.append(Sample(str(path), () if boxes else (name,), box if boxes else (), f"s3://b/{number}", 96, 96))
    return tuple(found)


MODELS = {"yolo": "yolo11n", "litedet": "litedet0", "classifier": "mobilenet_v3_small"}


@pytest.fixture(params=MODELS)
def plan(request: pytest.FixtureRequest, tmp_path: Path) -> TrainingPlan:
    found = samples(tmp_path, request.param != "classifier")
    return TrainingPlan(
        family=request.param, model=MODELS[request.param],
        labels=("green", "red"), train=found[:16], holdout=found[16:], multi_label=False, device="cpu", image_size=64,
        batch=8, epochs=EPOCHS, patience=50, seed=0, weights="none", time_budget_s=None, offline=True,
    )  # fmt: skip


def each_epoch(folder: Path) -> Checkpoints:
    return Checkpoints(folder, "k", least_s=0, times_its_cost=0)


class Killed(BaseException):
    """As hard as a signal, for a training in this process."""


def train(plan: TrainingPlan, out: Path, checkpoints: Checkpoints, die_after: int | None = None) -> ModelCard:
    out.mkdir(exist_ok=True)

    def report(progress: Progress) -> None:
        # The epoch after the last one that was kept is begun, and lost.
        if progress.stage == "training" and progress.step == die_after:
            raise Killed

    return registry.trainer(plan.family).train(plan, from_scratch(plan.model), out, report, lambda: False, checkpoints)


def test_a_training_that_is_killed_goes_on_and_ends_alike(plan: TrainingPlan, tmp_path: Path) -> None:
    whole = train(plan, tmp_path / "whole", Checkpoints(None))
    kept = tmp_path / "kept"
    for die_after in (3, 5):
        with pytest.raises(Killed):
            train(plan, tmp_path / "resumed", each_epoch(kept), die_after)
    told: list[Progress] = []
    out = tmp_path / "resumed"
    checkpoints = each_epoch(kept)
    resumed = registry.trainer(plan.family).train(
        plan, from_scratch(plan.model), out, told.append, lambda: False, checkpoints
    )
    assert "goes on after epoch 4" in {progress.note for progress in told}
    epochs = [row["epoch"] for row in resumed.history]
    assert epochs == list(range(1, EPOCHS + 1)) == [row["epoch"] for row in whole.history]
    losses = [[row["loss"] for row in card.history] for card in (whole, resumed)]
    # Images come in another order after it went on; until then all is the same.
    np.testing.assert_allclose(losses[1][:2], losses[0][:2], rtol=1e-3)
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.35)
    first, second = (load_tensors(tmp_path / name / "weights.safetensors") for name in ("whole", "resumed"))
    assert first.keys() == second.keys()


def test_two_headed_models_go_on_with_the_weights_of_their_losses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rcl_cli.backends.yolo import trainer

    found = samples(tmp_path, boxes=True)
    plan = TrainingPlan(
        family="yolo", model="yolo26n", labels=("green", "red"), train=found[:4], holdout=found[16:], multi_label=False,
        device="cpu", image_size=64, batch=4, epochs=4, patience=50, seed=0, weights="none", time_budget_s=None,
        offline=True,
    )  # fmt: skip
    weights: dict[int, list[float]] = {}
    on_epoch = trainer._Watch.on_epoch

    def watched(self: Any, loop: Any) -> None:
        weights.setdefault(loop.epoch, []).append(loop.model.criterion.o2m)
        on_epoch(self, loop)

    monkeypatch.setattr(trainer._Watch, "on_epoch", watched)
    train(plan, tmp_path / "whole", Checkpoints(None))
    kept = tmp_path / "kept"
    with pytest.raises(Killed):
        train(plan, tmp_path / "resumed", each_epoch(kept), 3)
    train(plan, tmp_path / "resumed", each_epoch(kept))
    # Epochs 0 and 1 twice, then the one that was lost, and the last one, again.
    assert [len(set(each)) for each in weights.values()] == [1] * 4
    assert weights[0][0] > weights[3][0]


def test_checkpoints_of_something_else_are_left_alone(tmp_path: Path) -> None:
    Checkpoints(tmp_path, "one").save({"epoch": 3})
    assert Checkpoints(tmp_path, "one").load() == {"epoch": 3}
    assert Checkpoints(tmp_path, "another").load() is None
    assert Checkpoints(None, "one").load() is None


@pytest.mark.parametrize("damage", [b"", b"nonsense", "half"])
def test_damaged_checkpoints_are_told_and_left_alone(
    tmp_path: Path, damage: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    Checkpoints(tmp_path, "one").save({"weights": torch.zeros(100)})
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:400] if damage == "half" else damage)
    assert Checkpoints(tmp_path, "one").load() is None
    assert "the checkpoint can't be read" in capfd.readouterr().out


def test_nothing_in_a_checkpoint_is_executed(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "sprung",)

    torch.save({"key": "one", "state": Trap()}, tmp_path / "checkpoint.pt")
    assert Checkpoints(tmp_path, "one").load() is None
    assert not (tmp_path / "sprung").exists()


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(tmp_path, "one")
    checkpoints.save({"epoch": 1})

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    checkpoints.save({"epoch": 2})
    assert checkpoints.load() == {"epoch": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_random_numbers_go_on_where_they_were() -> None:
    import random

    device = torch.device("cpu")
    state = random_state(device)

    def drawn() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(1))

    first = drawn()
    drawn()
    restore_random_state(state, device)
    assert drawn() == first
