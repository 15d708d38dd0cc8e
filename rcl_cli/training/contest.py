"""Several recipes for the same data compete, and the best one trains to the end.

Successive halving (Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization",
2016): all recipes train a little, the better half twice as long, and so on. Each trains in a process of its own, on a
device of its own where there are several, and is judged on the held-out images as they are, through the runtime that
would serve it.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

from rcl_cli.backends import registry
from rcl_cli.backends.base import Cancelled, Report, TrainingCancelled, WeightsChoice
from rcl_cli.backends.boxes.planning import STRIDE, largest_px
from rcl_cli.backends.weights.choice import Offer
from rcl_cli.domain import Box, Progress, Sample, UseCase
from rcl_cli.durable import write_durably
from rcl_cli.tiles import Window
from rcl_cli.training.options import Preference, TrainingOptions
from rcl_cli.training.stages import Decision, decide, devices_of

AS_PLANNED = "as planned"
# Sizes beside the planned one, and what no image is made larger than for the sake of it.
_LARGER, _SMALLER, _LEAST_PX = 4 / 3, 3 / 4, 128
# Of accuracy, what chance may be: within it the faster recipe is as good, or the planned one.
_CHANCE = 0.01
# What may be lost where speed is wanted.
_FOR_SPEED = 0.03
_LEAST_EPOCHS = 2
_BUDGET_SHARE, _LEAST_SHARE = 0.5, 0.25


class Recipe(NamedTuple):
    """What a candidate does otherwise: training options by name."""

    name: str
    changes: Mapping[str, str]


class Result(NamedTuple):
    """What a candidate's process found.

    Args:
        image_size: in pixels.
        tile_px: of the images; None without tiles.
        epochs: done.
        accuracy: on the held-out images, 0..1: AP50:95, or mean average precision of labels.
        milliseconds: an image takes, from its file to its answer.
    """

    model: str
    image_size: int
    tile_px: int | None
    epochs: int
    accuracy: float
    milliseconds: float


class Row(NamedTuple):
    """How a candidate did.

    Args:
        found: in its last round.
        rounds: that it took part in.
        is_best_at_its_speed: none is as fast and more accurate, of those of its round or later ones.
        is_chosen: it trains to the end.
    """

    name: str
    found: Result
    rounds: int
    is_best_at_its_speed: bool = False
    is_chosen: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Flat, as model cards have it."""
        own = self._asdict()
        return {**own.pop("found")._asdict(), **own}


class Task(NamedTuple):
    """What a candidate's process is to do.

    Args:
        groups: see `hold_out`.
    """

    use_case: UseCase
    options: TrainingOptions
    samples: tuple[Sample, ...]
    groups: tuple[int, ...] | None
    weights_cache: Path
    offline: bool


def recipes(
    use_case: UseCase,
    samples: Sequence[Sample],
    options: TrainingOptions,
    planned: Decision,
    find: Callable[[Sequence[Offer]], WeightsChoice],
) -> list[Recipe]:
    """What competes, the plan itself first; what somebody asked for stays as it is.

    Args:
        planned: without any change.
        find: chooses among ways to have weights.
    """
    plan = planned.plan
    found = [Recipe(AS_PLANNED, {})]
    detects = use_case == "OBJECT_LOCALIZATION"
    if plan.tiling is not None and options.tiling == "auto":
        found.append(Recipe("without tiles", {"tiling": "none"}))
    # A file of weights fits one architecture.
    if options.model == "auto" and options.weights in ("auto", "none"):
        for name in registry.families_for("detection" if detects else "classification", "auto", options.license):
            for model in registry.family(name).rivals:
                if model == plan.model:
                    continue
                weights = find(registry.offers([name], model, plan.device, len(plan.train)))
                # From scratch it would win nothing where the others begin warm.
                if weights.path is not None or planned.weights.path is None:
                    found.append(Recipe(model, {"model": model}))
    if options.image_size is None:
        longest = max(max(s.width, s.height) for s in samples)
        most = largest_px(on_gpu=plan.device != "cpu") if detects else longest
        larger, smaller = (_rounded(plan.image_size * by) for by in (_LARGER, _SMALLER))
        # Of the same tiles: other ones would be another question.
        same = {} if plan.tiling is None else {"tiling": str(plan.tiling.tile_px)}
        if larger <= min(most, 2 * longest):
            found.insert(1, Recipe(f"images of {larger} px", {"image_size": str(larger), **same}))
        if smaller >= _LEAST_PX:
            found.append(Recipe(f"images of {smaller} px", {"image_size": str(smaller), **same}))
    return found[: options.candidates]


def _rounded(size_px: float) -> int:
    return max(2 * STRIDE, round(size_px / STRIDE) * STRIDE)


def rounds_of(count: int) -> list[int]:
    """How many candidates take part in each round: half of those of the one before."""
    found = []
    while count > 1:
        found.append(count)
        count = math.ceil(count / 2) if count > 3 else 1
    return found


def shortened(
    options: TrainingOptions, planned: Decision, number: int, sizes: Sequence[int], devices: int = 1
) -> TrainingOptions:
    """Options for a round: a part of the epochs, or of the time.

    Args:
        number: of the round, from 0.
        sizes: candidates of each round.
        devices: on which they train at the same time.
    """
    budget = options.time_budget_s
    if budget is not None:
        turns = math.ceil(sizes[number] / devices)
        return replace(options, time_budget_s=_BUDGET_SHARE * budget / len(sizes) / turns)
    share = 0.5 ** (len(sizes) - number)
    return replace(options, epochs=max(_LEAST_EPOCHS, round(share * planned.plan.epochs)))


def left_for_the_last(options: TrainingOptions, spent_s: float) -> TrainingOptions:
    """Options for the training to the end: what the contest took, with all that is around trainings, is paid for."""
    budget = options.time_budget_s
    if budget is None:
        return options
    return replace(options, time_budget_s=max(budget - spent_s, _LEAST_SHARE * budget))


def choose(rows: Sequence[Row], wanted: Preference) -> list[Row]:
    """The same rows, best first, with what they are marked by.

    Those that were judged in a later round know more, and come first. Of what differs by chance only, the planned
    recipe is taken, or the faster one.
    """
    last = max(row.rounds for row in rows)
    final = [row for row in rows if row.rounds == last]
    if wanted == "speed":
        chosen = ranked(final, wanted)[0]
    else:
        top = max(row.found.accuracy for row in final)
        good = [row for row in final if row.found.accuracy >= top - _CHANCE]
        chosen = min(good, key=lambda row: (row.name != AS_PLANNED, row.found.milliseconds))
    marked = [
        row._replace(is_best_at_its_speed=not any(_beats(one, row) for one in rows), is_chosen=row is chosen)
        for row in rows
    ]
    return sorted(marked, key=lambda row: (not row.is_chosen, -row.rounds, -row.found.accuracy))


def ranked(rows: Sequence[Row], wanted: Preference) -> list[Row]:
    """Rows of one round, best first: by accuracy, or the fast ones of those that are nearly as good as the best."""
    top = max(row.found.accuracy for row in rows)

    def place(row: Row) -> tuple[bool, float]:
        is_good = wanted == "speed" and row.found.accuracy >= top - _FOR_SPEED
        return not is_good, row.found.milliseconds if is_good else -row.found.accuracy

    return sorted(rows, key=place)


def _beats(one: Row, other: Row) -> bool:
    """Whether a row, of as late a round, is as good in both, and better in one."""
    mine, theirs = ((row.found.accuracy, -row.found.milliseconds) for row in (one, other))
    return one.rounds >= other.rounds and mine != theirs and all(a >= b for a, b in zip(mine, theirs, strict=True))


# --- holding it -------------------------------------------------------------------------------------------------------

Compete = Callable[[Path, Task, Callable[[Progress], None]], Result]


def hold(
    task: Task,
    folder: Path,
    find: Callable[[Sequence[Offer]], WeightsChoice],
    compete: Compete,
    report: Report,
    cancelled: Cancelled,
) -> tuple[TrainingOptions, list[Row]]:
    """Let recipes compete, and tell with which options the best one trains to the end.

    Args:
        task: of the whole training.
        folder: a folder a candidate and round; what is done there is not done again.
        compete: trains and judges one candidate, in a folder; told of its progress.

    Raises:
        TrainingCancelled: asked for.
    """
    began = time.monotonic()
    planned = decide(
        task.use_case, task.samples, task.samples, task.options, find, offline=task.offline, groups=task.groups
    )
    every = recipes(task.use_case, task.samples, task.options, planned, find)
    left = list(every)
    sizes = rounds_of(len(left))
    devices = devices_of(task.options.device)
    rows: dict[str, Row] = {}
    for number in range(len(sizes)):
        options = shortened(task.options, planned, number, sizes, len(devices))
        results = _round(task, left, options, folder / f"round-{number + 1}", devices, compete, report, cancelled)
        for recipe, result in results.items():
            if result is not None:
                rows[recipe] = Row(recipe, result, number + 1)
        left = [one for one in left if results[one.name] is not None]
        if not left:
            break
        order = [row.name for row in ranked([rows[one.name] for one in left], task.options.prefer)]
        left.sort(key=lambda one: order.index(one.name))
        del left[sizes[number + 1] if number + 1 < len(sizes) else 1 :]
    last = left_for_the_last(task.options, time.monotonic() - began)
    if not rows:
        return last, []
    told = choose(list(rows.values()), task.options.prefer)
    (winner,) = (one for one in every if one.name == told[0].name)
    return with_changes(last, winner.changes), told


def with_changes(options: TrainingOptions, changes: Mapping[str, str]) -> TrainingOptions:
    """Options with those that a recipe changes."""
    values: dict[str, Any] = dict(changes)
    if "image_size" in values:
        values["image_size"] = int(values["image_size"])
    return replace(options, **values)


def _round(
    task: Task,
    left: Sequence[Recipe],
    options: TrainingOptions,
    folder: Path,
    devices: Sequence[str],
    compete: Compete,
    report: Report,
    cancelled: Cancelled,
) -> dict[str, Result | None]:
    """Results by recipe; None of one whose process failed."""
    free: SimpleQueue[str] = SimpleQueue()
    for device in devices:
        free.put(device)

    def one(number: int, recipe: Recipe) -> Result | None:
        device = free.get()
        try:
            if cancelled():
                raise TrainingCancelled
            # By what it is: at another start others may compete.
            place = folder / re.sub(r"[^a-z0-9]+", "-", recipe.name)
            done = place / "result.json"
            if done.exists():
                return Result(**json.loads(done.read_text("utf-8")))
            place.mkdir(parents=True, exist_ok=True)
            own = task._replace(options=with_changes(replace(options, device=device), recipe.changes))
            note = f"{folder.name}: {number} of {len(left)}, {recipe.name}"
            result = compete(place, own, lambda progress: report(replace(progress, stage="contest", note=note)))
            write_durably(done, json.dumps(result._asdict()).encode())
            # Models and tiles of all that compete would fill a disk.
            for name in ("model", "tiles", "checkpoint"):
                shutil.rmtree(place / name, ignore_errors=True)
        except ChildFailedError as error:
            report(Progress("contest", note=f"{recipe.name} is out: {error}"))
            return None
        finally:
            free.put(device)
        return result

    with ThreadPoolExecutor(len(devices)) as pool:
        found = list(pool.map(one, range(1, len(left) + 1), left))
    return {recipe.name: result for recipe, result in zip(left, found, strict=True)}


class ChildFailedError(Exception):
    """A candidate's process ended without a result."""


# --- what is written for a candidate's process ------------------------------------------------------------------------


def as_json(task: Task) -> dict[str, Any]:
    """A task as JSON has it."""
    samples = [asdict(sample) for sample in task.samples]
    return {
        "use_case": task.use_case, "options": asdict(task.options), "samples": samples,
        "groups": task.groups, "weights_cache": str(task.weights_cache),
        "offline": task.offline,
    }  # fmt: skip


def task_of(document: Mapping[str, Any]) -> Task:
    """What `as_json` wrote."""
    groups = document["groups"]
    return Task(
        document["use_case"], TrainingOptions(**document["options"]), tuple(map(_sample, document["samples"])),
        None if groups is None else tuple(groups), Path(document["weights_cache"]), document["offline"],
    )  # fmt: skip


def _sample(raw: dict[str, Any]) -> Sample:
    boxes = tuple((label, Box(*box)) for label, box in raw["boxes"])
    part = None if raw["part"] is None else Window(*raw["part"])
    return Sample(**{**raw, "labels": tuple(raw["labels"]), "boxes": boxes, "part": part})
