"""An hour of everything at once on a disk of its own: nothing acknowledged may be lost, no answer wrong, nothing grow.

    sudo python bench/soak.py [--minutes 60] [--out soak.json]

32 boto3 clients of `rcl serve`, 8 shells that run `rcl`, trainings that start, are killed and go on, hosts, workers and
trainers that are killed or frozen, and a disk that is filled twice and emptied again. Every client keeps a ledger of
what it was told, and holds the store against it; detections are held against the answers of the quiet minutes before.
Needs root on Linux: the disk is a file system in a file, mounted in a namespace that ends with this process.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ["RCL_OFFLINE"] = "1"

from soak_parts import faults, shells, trainings, watch
from soak_parts.common import Tally, client, model_answers

from rcl_cli.local.home.stored import store_checks
from tests.conftest import Home, colour_images, wait_until
from tests.functional.models import trained
from tests.functional.serving import serving

HERE = Path(__file__).resolve().parent
CLIENT_PROCESSES, CLIENTS, SHELLS = 2, 32, 8
DISK_MB = 2000


def mount(folder: Path, size_mb: int) -> Path:
    """A file system of its own, in a file."""
    image, place = folder / "disk.ext4", folder / "disk"
    with image.open("wb") as out:
        out.truncate(size_mb * 2**20)
    subprocess.run(["mkfs.ext4", "-q", "-b", "4096", "-m", "0", str(image)], check=True)
    place.mkdir()
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
    return place


def models(place: Path) -> tuple[Home, dict[str, str], str]:
    """A home with a detector and a classifier: ARNs by name, and the detector's manifest."""
    made = trained(place / "home", boxes=True)
    home = made.home
    manifest = (home.buckets / "data" / "TRAIN.manifest").read_text()
    project = home.project("classifier")
    training, testing = colour_images(home)
    home.dataset(project, "TRAIN", training)
    home.dataset(project, "TEST", testing)
    arns = {"detector": made.version, "classifier": home.train(project, "v")}
    status, message = home.wait(project, "v")
    assert status == "TRAINING_COMPLETED", message
    return home, arns, manifest


def run(place: Path, minutes: float) -> dict[str, Any]:
    tally = Tally()
    home, arns, manifest = models(place)
    (place / "tmp").mkdir()
    os.environ["TMPDIR"] = str(place / "tmp")
    tempfile.tempdir = str(place / "tmp")
    until = time.time() + 60 * minutes
    log = place.parent / "serve.log"
    with serving(home, "--debug", stderr=log) as (url, pid):
        for arn in arns.values():
            faults.revive(client(url), arn)
        answers = model_answers(client(url), home, arns)
        task = place.parent / "task.json"
        task.write_text(json.dumps({"url": url, "until": until, "answers": answers, "manifest": manifest}))
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "soak_parts.clients", task, str(number), str(CLIENTS // CLIENT_PROCESSES)],
                env={**os.environ, "PYTHONPATH": f"{HERE}:{HERE.parent}"},
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(CLIENT_PROCESSES)
        ]
        series: list[dict[str, float]] = []
        disk = faults.Disk(place)
        works = [
            lambda: watch.sample(home.path, pid, until, series),
            lambda: faults.kill_hosts(url, home, arns, until, tally),
            lambda: disk.fill_twice(until, tally),
            lambda: trainings.go(url, home, until, tally, disk),
            *(lambda n=n: shells.go(n, home, arns, until, tally, disk) for n in range(SHELLS)),
        ]
        threads = [threading.Thread(target=tally.guard(work)) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for process in processes:
            tally.add(json.loads(process.communicate()[0]))
        for arn in arns.values():
            faults.revive(client(url), arn)
        again = model_answers(client(url), home, arns)
        if again != answers:
            tally.fail("the models answer otherwise than before", "")
        series.append(watch.look(home.path, pid))
        for arn in arns.values():
            client(url).stop_project_version(ProjectVersionArn=arn)
            wait_until(lambda arn=arn: faults.status_of(client(url), arn) == "STOPPED", 120)
    text = log.read_text("utf-8", "replace")
    if "Traceback" in text:
        tally.fail("a traceback in the server's log", text[text.index("Traceback") :][:3000])
    with sqlite3.connect(home.path / "rcl.db") as db:
        integrity = db.execute("PRAGMA integrity_check").fetchone()[0]
    checks = [check.detail for check in store_checks(home.context.layout, hashed=True) if check.state != "ok"]
    return {
        "minutes": minutes,
        "answers": dict(tally.counts.most_common()),
        "failures": tally.failures,
        "integrity": integrity,
        "doctor": checks,
        "left": watch.left_over(home.path, place / "tmp"),
        "level": watch.is_level(series),
        "series": series,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:
        os.execvp("unshare", ["unshare", "--mount", sys.executable, __file__, "--inside", *sys.argv[1:]])  # noqa: S606
    with tempfile.TemporaryDirectory() as name:
        place = mount(Path(name), DISK_MB)
        try:
            found = run(place, options.minutes)
        finally:
            subprocess.run(["umount", "--lazy", str(place)], check=True)
    if options.out:
        options.out.write_text(json.dumps(found, indent=1))
    print(json.dumps({key: value for key, value in found.items() if key != "series"}, indent=1))
    bad = found["failures"] or found["integrity"] != "ok" or found["left"] or not all(found["level"].values())
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
