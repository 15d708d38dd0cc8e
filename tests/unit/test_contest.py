"""Recipes that compete: which ones, for how long, and which of them wins."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rcl_cli.backends.base import TrainingCancelled, WeightsChoice
from rcl_cli.domain import Box, Sample
from rcl_cli.tiles import Window
from rcl_cli.training import contest
from rcl_cli.training.contest import ChildFailedError, Result, Row, Task
from rcl_cli.training.options import TrainingOptions, resolve_options
from rcl_cli.training.outlook import outlook
from rcl_cli.training.stages import decide


def samples(count: int = 40, size: int = 480) -> tuple[Sample, ...]:
    boxes = (("a", Box(0.1, 0.1, 0.1, 0.1)),)
    return tuple(Sample(f"{n}.jpg", (), boxes, f"s3://b/{n}.jpg", size, size) for n in range(count))


def find(offers: Any) -> WeightsChoice:
    return WeightsChoice(offers[0].model, Path("weights"), "here")


def task(**options: Any) -> Task:
    return Task("OBJECT_LOCALIZATION", TrainingOptions(device="cpu", **options), samples(), None, Path(), True)


def held(given: Task, folder: Path, accuracies: dict[str, float], **more: Any) -> tuple[Any, list[Row], list[Any]]:
    """A contest whose candidates do as they are told, and which tasks they got."""
    told: list[Any] = []

    def compete(place: Path, own: Task, tell: Any) -> Result:
        told.append(own.options)
        name = f"{own.options.model}@{own.options.image_size}"
        if name in more.get("failing", ()):
            raise ChildFailedError("no memory")
        size = own.options.image_size or 224
        return Result(own.options.model, size, None, own.options.epochs or 0, accuracies.get(name, 0.5), size / 10)

    options, rows = contest.hold(
        given, folder, find, compete, lambda _: None, more.get("cancelled", lambda: False)
    )  # fmt: skip
    return options, rows, told


def test_the_better_half_trains_longer_and_the_best_to_the_end(tmp_path: Path) -> None:
    given = task(epochs=40)
    options, rows, told = held(given, tmp_path, {"yolo11s@None": 0.8, "litedet0@None": 0.6, "auto@352": 0.55})
    assert options == replace(given.options, model="yolo11s")
    assert [row.name for row in rows if row.is_chosen] == ["yolo11s"]
    assert len(rows) == 6
    assert [one.epochs for one in told] == [10] * 6 + [20] * 3
    assert {row.name for row in rows if row.rounds == 2} == {"yolo11s", "litedet0", "images of 352 px"}
    assert rows[0].is_chosen


def test_a_budget_is_shared(tmp_path: Path) -> None:
    given = task(time_budget_s=600.0)
    options, _, told = held(given, tmp_path, {})
    assert sum(one.time_budget_s for one in told) == pytest.approx(300)
    assert 590 < options.time_budget_s <= 600, "what was not used is there for the last one"
    assert all(one.epochs is None for one in told)


def test_what_was_asked_for_stays(tmp_path: Path) -> None:
    _, rows, _ = held(task(image_size=320), tmp_path / "a", {})
    assert all(row.found.image_size == 320 for row in rows)
    _, rows, _ = held(task(model="yolov8n"), tmp_path / "b", {})
    assert {row.found.model for row in rows} == {"yolov8n"}
    _, rows, _ = held(task(model="yolov8n", image_size=320), tmp_path / "c", {})
    assert rows == [], "there is nothing to choose from"
    options, _, _ = held(task(model="yolov8n", image_size=320, time_budget_s=60.0), tmp_path / "e", {})
    assert options.time_budget_s > 59
    _, rows, _ = held(task(candidates=3), tmp_path / "d", {})
    assert len(rows) == 3


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    first = held(task(epochs=8), tmp_path, {"yolo11s@None": 0.8})
    again = held(task(epochs=8), tmp_path, {})
    assert again[:2] == first[:2]
    assert again[2] == []


def test_a_candidate_that_fails_is_out(tmp_path: Path) -> None:
    accuracies = {"yolo11s@None": 0.9, "auto@None": 0.8}
    _, rows, _ = held(task(epochs=8), tmp_path, accuracies, failing=("yolo11s@None",))
    assert rows[0].name == contest.AS_PLANNED
    assert "yolo11s" not in {row.name for row in rows}


def test_where_all_fail_the_plan_trains(tmp_path: Path) -> None:
    every = [f"{m}@{s}" for m in ("auto", "yolo11n", "yolo11s", "litedet0", "litedet2") for s in (None, 192, 288, 352)]
    given = task(epochs=8)
    options, rows, _ = held(given, tmp_path, {}, failing=every)
    assert (options, rows) == (given.options, [])


def test_it_ends_when_it_is_told_to(tmp_path: Path) -> None:
    with pytest.raises(TrainingCancelled):
        held(task(epochs=8), tmp_path, {}, cancelled=lambda: True)


def row(name: str, accuracy: float, milliseconds: float, rounds: int = 2) -> Row:
    return Row(name, Result(name, 320, None, 5, accuracy, milliseconds), rounds)


def test_chance_does_not_win() -> None:
    rows = [row(contest.AS_PLANNED, 0.700, 10), row("larger", 0.705, 20), row("slow", 0.5, 40)]
    assert contest.choose(rows, "accuracy")[0].name == contest.AS_PLANNED
    assert contest.choose([*rows, row("best", 0.75, 30)], "accuracy")[0].name == "best"


def test_speed_wins_where_it_is_wanted() -> None:
    rows = [row(contest.AS_PLANNED, 0.70, 10), row("small", 0.68, 4), row("tiny", 0.5, 1)]
    assert contest.choose(rows, "speed")[0].name == "small"
    assert contest.choose(rows, "accuracy")[0].name == contest.AS_PLANNED


def test_what_nothing_beats_is_marked() -> None:
    rows = [row("a", 0.7, 10), row("b", 0.6, 5), row("c", 0.6, 20), row("early", 0.9, 1, rounds=1)]
    marked = {one.name for one in contest.choose(rows, "accuracy") if one.is_best_at_its_speed}
    assert marked == {"a", "b", "early"}


def test_a_task_reads_as_it_was_written() -> None:
    part = replace(samples(1)[0], part=Window(0, 0, 9, 9))
    given = Task("IMAGE_LEVEL_LABELS", TrainingOptions(), (part, Sample("a", ("x",))), (0, 1), Path("w"), False)
    assert contest.task_of(contest.as_json(given)) == given


def test_a_third_of_the_epochs_is_fast() -> None:
    def epochs(**options: str) -> int:
        given = replace(resolve_options(options), device="cpu")
        return decide("OBJECT_LOCALIZATION", samples(), samples(), given, find, offline=True).plan.epochs

    assert epochs(quality="fast") == math.ceil(epochs() / 3) > 1
    assert epochs(quality="fast", epochs="50") == 50, "who says how many gets them"


def test_a_fast_recipe_stays_in_where_speed_is_wanted(tmp_path: Path) -> None:
    accuracies = {"auto@None": 0.74, "yolo11s@None": 0.745, "litedet0@None": 0.76, "auto@192": 0.735}
    for wanted, name in (("accuracy", "litedet0"), ("speed", "images of 192 px")):
        _, rows, _ = held(task(epochs=8, prefer=wanted), tmp_path / wanted, accuracies)
        assert rows[0].name == name
        assert rows[0].as_dict()["accuracy"] == rows[0].found.accuracy


@pytest.mark.parametrize(
    ("figures", "is_improving"),
    [
        ([0.1, 0.2, 0.3, 0.35, 0.4, 0.44, 0.48, 0.52], True),
        ([0.1, 0.4, 0.6, 0.61, 0.6, 0.61, 0.6, 0.61], False),
        ([0.3, 0.5, 0.4, 0.6, 0.4, 0.6, 0.35, 0.62], False),
        ([0.1, 0.5, 0.9], False),
    ],
)
def test_whether_it_was_still_improving(figures: list[float], is_improving: bool) -> None:
    found = outlook([{"stage": "head", "F1": 0.2}, *({"epoch": n, "F1": f} for n, f in enumerate(figures, 1))])
    assert (found is not None) == is_improving
    if found:
        assert 0 < found.low < found.high <= 1 - figures[-1]
        assert "F1 on held-out images" in found.sentence()


def test_several_devices_share_the_time() -> None:
    planned: Any = None
    given = TrainingOptions(time_budget_s=600.0)
    assert contest.shortened(given, planned, 0, [6, 3], 1).time_budget_s == 25
    assert contest.shortened(given, planned, 0, [6, 3], 4).time_budget_s == 75


def test_tiles_compete_with_whole_images_and_keep_their_size(tmp_path: Path) -> None:
    boxes = (("a", Box(0.1, 0.1, 0.006, 0.006)),)
    large = tuple(Sample(f"{n}.jpg", (), boxes, f"s3://b/{n}.jpg", 2400, 2400) for n in range(20))
    given = task(epochs=4)._replace(samples=large)
    seen: list[TrainingOptions] = []

    def compete(_place: Path, own: Task, _tell: Any) -> Result:
        seen.append(own.options)
        return Result("m", 320, None, 1, 0.5, 1.0)

    contest.hold(given, tmp_path, find, compete, lambda _: None, lambda: False)
    assert "none" in {one.tiling for one in seen[:6]}
    assert all(one.tiling not in ("auto", "none") for one in seen if one.image_size is not None)


def test_a_file_of_weights_names_one_architecture(tmp_path: Path) -> None:
    _, rows, _ = held(task(weights="/some/file.pt", epochs=4), tmp_path, {})
    assert {row.name for row in rows} <= {contest.AS_PLANNED, "images of 352 px", "images of 192 px"}
