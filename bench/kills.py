"""SIGKILL in every stage of a training: each must go on, complete, and be as good as one that nobody disturbed.

    python bench/kills.py [--rounds 10] [--family detector] [--out kills.json]

A round kills one training of each family in each stage, at a random moment of it; whoever looks next starts it again.
Trainings are small, of the same seed and images, so that what differs is what the kill did: threads add up in another
order each time, and that noise is measured beside. tests/process/ kills everything else (`RCL_KILL_ROUNDS`).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ |= {"RCL_OFFLINE": "1"}

from rcl_cli.backends.registry import read_card
from rcl_cli.compute.folder import WorkFolder
from rcl_cli.compute.launcher import launcher
from rcl_cli.compute.places import making_of
from rcl_cli.store import versions
from tests.conftest import Home, box_images, colour_images, make_home, wait_until

# The longest time, in seconds, from a stage's first word to a kill; nothing is said between exporting and the end of
# evaluating, so a kill while exporting may come while it evaluates.
STAGES = {"starting": 1.5, "preparing": 0.15, "training": 1.5, "exporting": 0.8, "evaluating": 0.0, "saving": 0.0}
OPTIONS = {
    "classifier": {"rcl:epochs": "6", "rcl:image_size": "64", "rcl:model": "mobilenet_v3_small", "rcl:weights": "none"},
    "detector": {"rcl:epochs": "12", "rcl:image_size": "64", "rcl:weights": "none"},
}
FIGURES = ("f1", "loss")
_LONGEST_S = 300.0


def stage_of(folder: WorkFolder) -> str:
    """Where a training stands: `starting` before it said anything, empty when it has ended."""
    if folder.outcome() is not None or not folder.path.exists():
        return ""
    return str(((folder.last_event() or {}).get("progress") or {}).get("stage") or "starting")


def kill_in(folder: WorkFolder, stage: str, chance: random.Random) -> str:
    """Kill the trainer while it is in a stage, or in one behind it; says in which, empty if it was too late."""
    order, deadline = list(STAGES), time.monotonic() + _LONGEST_S
    while time.monotonic() < deadline:
        now = stage_of(folder)
        if not now or order.index(now if now in STAGES else "training") >= order.index(stage):
            break
        time.sleep(0.0005)
    time.sleep(chance.uniform(0.0, STAGES[stage]))
    now, handle = stage_of(folder), folder.handle
    if now and handle:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(json.loads(handle)[0]), signal.SIGKILL)
            return now
    return ""


def ended(home: Home, project: str, name: str, model: Path) -> tuple[str, float, float]:
    """How a training ended, how good the model is, as macro F1, and the loss of its last epoch."""
    status, message = home.wait(project, name, seconds=_LONGEST_S)
    found = home.call("DescribeProjectVersions", ProjectArn=project, VersionNames=[name])["ProjectVersionDescriptions"]
    f1 = found[0].get("EvaluationResult", {}).get("F1Score", 0.0)
    if status != "TRAINING_COMPLETED":
        return f"{status}: {message}", f1, 0.0
    card, _ = read_card(model)
    return status, f1, float(card.history[-1]["loss"])


def train(home: Home, project: str, number: int, family: str) -> WorkFolder:
    output = {"S3Bucket": "out", "S3KeyPrefix": f"{number}"}
    made = home.call(
        "CreateProjectVersion", ProjectArn=project, VersionName=f"v{number}", OutputConfig=output, Tags=OPTIONS[family]
    )
    with home.context.database.read() as db:
        version = versions.by_arn(db, made["ProjectVersionArn"])
    assert version is not None
    return making_of(home.context.layout, version.id)


def matrix(folder: Path, family: str, rounds: int) -> list[dict[str, Any]]:
    """One row a training: the stage that it was killed in, how it ended, how often it was started."""
    home, chance = make_home(folder), random.Random(family)
    project = home.project()
    training, testing = box_images(home) if family == "detector" else colour_images(home)
    home.dataset(project, "TRAIN", training)
    home.dataset(project, "TEST", testing)
    rows = []
    # Those that nobody disturbs show the noise.
    for number, stage in enumerate([""] * 3 + [stage for _ in range(rounds) for stage in STAGES]):
        work = train(home, project, number, family)
        killed = kill_in(work, stage, chance) if stage else ""
        if killed:
            wait_until(lambda work=work: not launcher().is_at_work(work))
        # The look that starts it again.
        home.status(project, f"v{number}")
        starts = work.starts or 1
        status, f1, loss = ended(home, project, f"v{number}", home.context.layout.model(int(work.path.name)))
        row = {"family": family, "aim": stage, "killed": killed, "status": status, "f1": f1, "loss": loss}
        rows.append({**row, "starts": starts})
        print(json.dumps(rows[-1]), flush=True)
        left = [path.name for path in (home.path / "jobs").iterdir() if path.is_dir()]
        assert not left, left
    home.context.database.close()
    return rows


def _ranges(rows: list[dict[str, Any]]) -> str:
    """The smallest and the largest of each figure."""
    spans = {key: [row[key] for row in rows] for key in FIGURES}
    return ", ".join(f"{key} {min(span):.4f} to {max(span):.4f}" for key, span in spans.items() if span)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--family", choices=tuple(OPTIONS), action="append")
    parser.add_argument("--out", type=Path, default=Path("kills.json"))
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="rcl-kills-") as place:
        for family in given.family or OPTIONS:
            rows += matrix(Path(place) / family, family, given.rounds)
            given.out.write_text(json.dumps(rows, indent=1))
    wrong = [f"{row}" for row in rows if row["status"] != "TRAINING_COMPLETED"]
    for family in given.family or OPTIONS:
        calm = [row for row in rows if row["family"] == family and not row["aim"]]
        noise = _ranges(calm)
        print(f"\n{family}, undisturbed: {noise}")
        for stage in STAGES:
            killed = [row for row in rows if row["family"] == family and row["killed"] == stage]
            completed = [row for row in killed if row["status"] == "TRAINING_COMPLETED"]
            worst = _ranges(completed)
            again = sum(row["starts"] > 1 for row in killed)
            print(f"  while {stage}: {len(killed)} killed, {again} started again, {len(completed)} completed, {worst}")
            # The last two are over in milliseconds.
            if not killed and STAGES[stage]:
                wrong.append(f"no {family} was killed while {stage}")
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
