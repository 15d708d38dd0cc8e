"""A time budget is used, by Ultralytics' loop too, and epochs that were asked for are not exceeded."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rcl_cli.backends.classifier.trainer import ClassifierTrainer
from rcl_cli.backends.resuming import NO_CHECKPOINTS
from rcl_cli.backends.weights.choice import from_scratch
from rcl_cli.domain import Sample, TrainingPlan
from rcl_cli.training import plan as planning
from tests.conftest import COLOURS, noisy

PLAN = TrainingPlan(
    family="yolo", model="yolo11n", labels=("a",), train=(), holdout=(), multi_label=False, device="cpu",
    image_size=64, batch=8, epochs=20, patience=planning.MOST_EPOCHS, seed=0, weights="none", time_budget_s=100.0,
    offline=True,
)  # fmt: skip


class Loop:
    """What `_Watch` sees of Ultralytics' loop."""

    def __init__(self, epochs: int) -> None:
        self.epoch, self.epochs, self.start_epoch, self.stop = 0, epochs, 0, False
        self.args = SimpleNamespace(epochs=epochs, close_mosaic=10)
        self.tloss, self.metrics = {"box": 1.0}, {"metrics/mAP50(B)": 0.5}
        self.scheduler = SimpleNamespace(last_epoch=0)
        self.laid = 0

    def _setup_scheduler(self) -> None:
        self.laid += 1


def play(plan: TrainingPlan, epoch_s: float, judging_s: float, monkeypatch: pytest.MonkeyPatch) -> tuple[Loop, float]:
    """Train epochs of ten batches against a clock of our own; what came of it, and how long it took."""
    from rcl_cli.backends.yolo.trainer import _Watch

    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    loop: Any = Loop(plan.epochs)
    watch = _Watch(plan, lambda _: None, lambda: False, NO_CHECKPOINTS, None)
    watch.on_start(loop)
    while True:
        watch.on_epoch_start(loop)
        for _ in range(10):
            watch.on_batch_start(loop)
            now[0] += epoch_s / 10
            watch.on_batch(loop)
            if loop.stop:
                break
        now[0] += judging_s
        loop.stop = loop.stop or loop.epoch + 1 >= loop.epochs
        watch.on_epoch(loop)
        if loop.stop:
            break
        loop.epoch += 1
    return loop, now[0]


@pytest.mark.parametrize(("epoch_s", "judging_s"), [(1, 0.1), (9, 1), (13, 2), (30, 3), (45, 9)])
def test_the_time_is_used(epoch_s: float, judging_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, took = play(PLAN, epoch_s, judging_s, monkeypatch)
    assert 95 <= took <= 100 + epoch_s / 10 + 1e-6
    assert loop.epochs == loop.args.epochs
    assert loop.epoch + 1 <= loop.epochs <= loop.epoch + 2
    assert loop.args.close_mosaic <= max(1, loop.epochs // 2)


def test_no_more_epochs_than_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, took = play(replace(PLAN, is_epochs_asked=True), 1, 0.1, monkeypatch)
    assert (loop.epochs, loop.laid, round(took)) == (20, 0, 22)
    loop, took = play(replace(PLAN, is_epochs_asked=True), 10, 1, monkeypatch)
    assert loop.epochs < 20
    assert took >= 95


def test_without_a_budget_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, _ = play(replace(PLAN, time_budget_s=None), 10, 1, monkeypatch)
    assert (loop.epochs, loop.laid) == (20, 0)


def test_one_epoch_there_is_always(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, took = play(replace(PLAN, time_budget_s=1.0), 50, 5, monkeypatch)
    assert loop.epoch <= 1
    assert took >= 55


def test_a_slow_first_epoch_ends_no_mosaic(monkeypatch: pytest.MonkeyPatch) -> None:
    from rcl_cli.backends.yolo.trainer import _Watch

    now = [40.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    loop: Any = Loop(20)
    watch = _Watch(PLAN, lambda _: None, lambda: False, NO_CHECKPOINTS, None)
    watch.history = [{"seconds": 40.0}]
    watch._fill_budget(loop, 60.0)
    assert (loop.epochs, loop.args.close_mosaic) == (3, 0)
    watch.history.append({"seconds": 4.0})
    loop.epoch = 1
    watch._fill_budget(loop, 56.0)
    assert (loop.epochs, loop.args.close_mosaic) == (16, 8)
    watch._fill_budget(loop, -1.0)
    assert loop.stop


def test_who_gives_time_wants_it_used() -> None:
    assert planning.patience(None, 20, None) == planning.default_patience(20)
    assert planning.patience(None, 20, 60.0) == planning.MOST_EPOCHS
    assert planning.patience(3, 20, 60.0) == 3


def test_a_classifier_uses_it_and_tells_what_was_done(tmp_path: Path) -> None:
    samples = []
    for number in range(24):
        name = ("red", "green")[number % 2]
        noisy(COLOURS[name], (70, 70), number).save(tmp_path / f"{number}.jpg")
        samples.append(Sample(str(tmp_path / f"{number}.jpg"), (name,), (), f"s3://b/{number}", 70, 70))
    plan = replace(
        PLAN, family="classifier", model="mobilenet_v3_small", labels=("green", "red"), train=tuple(samples[:20]),
        holdout=tuple(samples[20:]), epochs=1, time_budget_s=5.0,
    )  # fmt: skip
    trainer = ClassifierTrainer()
    card = trainer.train(plan, from_scratch(plan.model), tmp_path, lambda _: None, lambda: False)
    epochs = [row["epoch"] for row in card.history]
    assert epochs == list(range(1, len(epochs) + 1))
    assert len(epochs) > 1
    assert card.hyperparameters["epochs"] == len(epochs)
    assert card.choice.partition(";")[0].endswith(f" of {len(epochs)}")
    asked = replace(plan, is_epochs_asked=True, epochs=2, time_budget_s=1e6)
    assert len(trainer.train(asked, from_scratch(plan.model), tmp_path, lambda _: None, lambda: False).history) == 2
