"""Whether images about which a model is least sure teach it more than images at random.

    RCL_BENCH_DATA=../shared/data python bench/feedback.py signs cards --out feedback.json

A project trains on a few images, its model starts, `rcl feedback add` asks it about a pool, so many images of the queue
are verified with their true labels, the project trains again, and so on; all by the functions behind the commands. Both
ways begin with the same model, and have the same pool, test set and training seed; only the choice differs: the first
of the queue, or some at random. Another seed draws other first images and another pool.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rcl_cli.context import Context, make_context
from rcl_cli.evaluation import evidence
from rcl_cli.local.feedback.adding import Request, add
from rcl_cli.local.feedback.verifying import Queued, verify, waiting
from rcl_cli.local.labelling.lines import Labelling, labelling_of
from rcl_cli.local.models.training import Request as TrainRequest
from rcl_cli.local.models.training import train
from rcl_cli.local.models.watching import named_version
from rcl_cli.operations.invoke import invoke

PROJECT = "p"
# Of all that is learnt the head alone: what a model on the CPU of somebody who waits for it is.
OPTIONS = {"time_budget_s": "1"}
Way = Callable[[Sequence[Queued], int, random.Random], list[Queued]]


def least_sure(queue: Sequence[Queued], count: int, _: random.Random) -> list[Queued]:
    """The queue's own order."""
    return list(queue[:count])


def at_random(queue: Sequence[Queued], count: int, chance: random.Random) -> list[Queued]:
    return chance.sample(list(queue), count)


def far_apart(queue: Sequence[Queued], count: int, _: random.Random) -> list[Queued]:
    """Of three times as many of the least sure those whose answers are far from each other, greedily."""
    left = list(queue[: 3 * count])
    scores = [{one["Name"]: one["Confidence"] / 100 for one in item.answers} for item in left]

    def apart(a: dict[str, float], b: dict[str, float]) -> float:
        return sum((a.get(name, 0.0) - b.get(name, 0.0)) ** 2 for name in a.keys() | b.keys())

    chosen = [0]
    nearest = [apart(scores[0], other) for other in scores]
    while len(chosen) < min(count, len(left)):
        index = max(range(len(left)), key=lambda i: nearest[i])
        chosen.append(index)
        nearest = [min(before, apart(scores[index], other)) for before, other in zip(nearest, scores, strict=True)]
        nearest[index] = -1.0
    return [left[index] for index in chosen]


WAYS: dict[str, Way] = {"least sure": least_sure, "at random": at_random, "far apart": far_apart}


def figures(context: Context) -> dict[str, float]:
    """Of the newest version: macro F1, and the share of test images without a wrong or missing label."""
    version = named_version(context, PROJECT)
    right = images = 0
    for image in evidence.read(context.layout.model(version.id)):
        truth = {label for label, _ in image.truth}
        best = sorted(image.matches, key=lambda match: -match.detection.score)[: len(truth)]
        right += {match.detection.label for match in best} == truth
        images += 1
    return {"f1": version.result["EvaluationResult"]["F1Score"], "accuracy": right / images}


def trained(context: Context, seed: int, *, start: bool) -> dict[str, float]:
    options = {**OPTIONS, "seed": str(seed)}
    train(context, TrainRequest(name=PROJECT, options=options, report=False, start=start), lambda _: None)
    return figures(context)


def run(context: Context, wanted: str, leaving: str) -> None:
    """Start or stop the newest version, and wait for it."""
    arn = named_version(context, PROJECT).arn
    params: dict[str, Any] = {"ProjectVersionArn": arn}
    invoke(context, wanted, {**params, "MinInferenceUnits": 1} if wanted.startswith("Start") else params)
    while named_version(context, arn).status == leaving:
        time.sleep(0.1)


def begun(home: Path, data: Path, name: str, seed: int, sizes: argparse.Namespace) -> tuple[Path, dict[str, Any]]:
    """A home with a model of the first images; returns the pool as a list, and the model's figures."""
    home.mkdir(parents=True)
    (home / "config.yaml").write_text(f"buckets:\n  {name}: {json.dumps(str((data / name).resolve()))}\n")
    context = make_context(home)
    lines = (data / name / "train.manifest").read_text("utf-8").splitlines()
    random.Random(seed).shuffle(lines)
    testing = (data / name / "test.manifest").read_text("utf-8")
    arn = invoke(context, "CreateProject", {"ProjectName": PROJECT})["ProjectArn"]
    for kind, text in (("TRAIN", "\n".join(lines[: sizes.first])), ("TEST", testing)):
        made = invoke(context, "CreateDataset", {"ProjectArn": arn, "DatasetType": kind})["DatasetArn"]
        invoke(context, "UpdateDatasetEntries", {"DatasetArn": made, "Changes": {"GroundTruth": text.encode()}})
    pool = home / "pool.jsonl"
    refs = [{"source-ref": json.loads(line)["source-ref"]} for line in lines[sizes.first :][: sizes.pool]]
    pool.write_text("".join(f"{json.dumps(ref)}\n" for ref in refs))
    first = trained(context, seed, start=False)
    context.database.close()
    return pool, first


def rounds(
    home: Path, pool: Path, truth: dict[str, Labelling], way: Way, seed: int, sizes: argparse.Namespace
) -> list[dict[str, float]]:
    context = make_context(home)
    arn = invoke(context, "DescribeProjects", {})["ProjectDescriptions"][0]["ProjectArn"]
    chance = random.Random(seed)
    found = []
    run(context, "StartProjectVersion", "STARTING")
    for number in range(sizes.rounds):
        add(context, Request(PROJECT, (str(pool),)), lambda _: None)
        queue = waiting(context, arn, 0, 10**6)
        right = 0
        for one in way(queue, sizes.each, chance):
            said = truth[one.source_ref]
            is_right = set(one.labelling.labels) == set(said.labels)
            right += is_right
            verify(context, arn, one.source_ref, "RIGHT" if is_right else "CORRECTED", None if is_right else said)
        run(context, "StopProjectVersion", "STOPPING")
        last = number == sizes.rounds - 1
        found.append({**trained(context, seed, start=not last), "right": right / sizes.each})
    context.database.close()
    return found


def one_seed(
    work: Path, data: Path, name: str, seed: int, ways: Sequence[str], sizes: argparse.Namespace
) -> dict[str, Any]:  # fmt: skip
    base = work / f"{name}-{seed}"
    pool, first = begun(base, data, name, seed, sizes)
    lines = (data / name / "train.manifest").read_text("utf-8").splitlines()
    truth = {json.loads(line)["source-ref"]: labelling_of(line) for line in lines}
    row: dict[str, Any] = {"set": name, "seed": seed, "first": first}
    for way in ways:
        home = work / f"{name}-{seed}-{way.replace(' ', '-')}"
        shutil.copytree(base, home)
        row[way] = rounds(home, pool, truth, WAYS[way], seed, sizes)
        shutil.rmtree(home)
    shutil.rmtree(base)
    return row


def summary(name: str, rows: Sequence[dict[str, Any]], ways: Sequence[str]) -> dict[str, Any]:
    """Means over seeds, and the differences from a choice at random, seed by seed."""
    found: dict[str, Any] = {"set": name, "seeds": len(rows)}
    for figure in ("f1", "accuracy"):
        found[f"first {figure}"] = round(statistics.mean(row["first"][figure] for row in rows), 4)
        for way in ways:
            means = [round(statistics.mean(values), 4) for values in zip(*by_round(rows, way, figure), strict=True)]
            found[f"{way}: {figure}"] = means
        for way in ways:
            if way != "at random" and "at random" in ways:
                pairs = zip(by_round(rows, way, figure), by_round(rows, "at random", figure), strict=True)
                found[f"{way}: {figure} gained, by seed"] = [round(a[-1] - b[-1], 4) for a, b in pairs]
    return found


def by_round(rows: Sequence[dict[str, Any]], way: str, figure: str) -> list[list[float]]:
    return [[one[figure] for one in row[way]] for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", choices=["signs", "cards"])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RCL_BENCH_DATA", "../shared/data")))
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=["least sure", "at random"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--each", type=int, default=40, help="Images verified in a round.")
    parser.add_argument("--first", type=int, default=60, help="Images of the first model.")
    parser.add_argument("--pool", type=int, default=500)
    parser.add_argument("--from-seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    os.environ |= {"RCL_OFFLINE": "1"}
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="rcl-feedback-") as work:
        for name in arguments.sets:
            rows = []
            for seed in range(arguments.from_seed, arguments.from_seed + arguments.seeds):
                began = time.monotonic()
                rows.append(one_seed(Path(work), arguments.data, name, seed, arguments.ways, arguments))
                print(json.dumps({**rows[-1], "seconds": round(time.monotonic() - began)}), flush=True)
                results.append(rows[-1])
                if arguments.out:
                    arguments.out.write_text(json.dumps(results, indent=1) + "\n")
            print(json.dumps(summary(name, rows, arguments.ways), indent=1), flush=True)


if __name__ == "__main__":
    main()
