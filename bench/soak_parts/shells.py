"""Shells that run `rcl`, one command after the other."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
import time

from soak_parts.common import Tally
from soak_parts.faults import Disk
from tests.conftest import Home

# Exit codes of commands that were understood and refused: by the service, by what they are on, by a name that is
# not there, by a full disk.
_REFUSED = (1, 252, 253, 254, 255)


def commands(number: int, home: Home, arns: dict[str, str], chance: random.Random) -> list[list[str]]:
    """What a user may type; names are the shell's own."""
    image = str(chance.choice(sorted((home.buckets / "data").glob("*.jpg"))))
    name, scratch = f"shell-{number}", home.path.parent / "tmp" / f"shell-{number}"
    return [
        ["describe-projects", "--output", chance.choice(["json", "table", "text", "yaml"])],
        ["status"],
        ["versions", "p"],
        ["detect-custom-labels", "--project-version-arn", arns["detector"], "--image-bytes", f"fileb://{image}"],
        ["detect", "classifier/v", image],
        ["list-dataset-entries", "--dataset-arn", "p/train", "--max-items", "5"],
        ["dataset", "check", "p/train"],
        ["dataset", "show", "p/train", "-o", f"{scratch}.jpg"],
        ["create-project", "--project-name", name],
        ["dataset", "import", str(home.buckets / "data" / "TRAIN.manifest"), "--project", name],
        ["dataset", "export", "p/train", "-o", str(scratch), "--format", "coco"],
        ["report", "p/v", "-o", f"{scratch}.html"],
        ["delete-dataset", "--dataset-arn", f"{name}/train"],
        ["delete-project", "--project-arn", name],
        ["doctor", "--quick"],
    ]


def go(number: int, home: Home, arns: dict[str, str], until: float, tally: Tally, disk: Disk) -> None:
    """Run commands; each may be refused, none may end in a traceback or be killed."""
    chance = random.Random(number)
    while time.time() < until:
        words = chance.choice(commands(number, home, arns, chance))
        shutil.rmtree(home.path.parent / "tmp" / f"shell-{number}", ignore_errors=True)
        was_full = disk.is_full
        done = subprocess.run(
            [sys.executable, "-m", "rcl_cli", *words], env=home.environment(), capture_output=True, timeout=600
        )
        said = (done.stdout + done.stderr).decode("utf-8", "replace")
        what = " ".join(words[: 2 if words[0] == "dataset" else 1])
        last = re.sub(r"[\d/]\S*", "#", (done.stderr.decode("utf-8", "replace").strip().splitlines() or [""])[-1])[:100]
        if words[0] == "doctor" and done.returncode:
            last = " | ".join(line for line in done.stdout.decode().splitlines() if not line.startswith("ok"))[:300]
        tally.count(f"rcl {what}: {done.returncode}" + (f" {last}" if done.returncode else ""))
        if "Traceback" in said or done.returncode not in (0, *_REFUSED):
            tally.fail(f"rcl {what} ended with {done.returncode}", said[-1500:])
        if b"is full" in done.stderr and not (was_full or disk.is_full):
            tally.fail(f"rcl {what} says that the disk is full", said[-500:])
