"""`rcl dataset check` of very many images of one camera: its time grows as their number does, its memory little."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from ratios import CACHE, clean_environment, compare, report_limit

MANY, FEW = 50_000, 10_000
CHECKS = """
import resource, sys
from rcl_cli.cli.app import run
code = run(["dataset", "check", sys.argv[1], "--json"])
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, file=sys.stderr)
sys.exit(code)
"""


def camera(folder: Path, count: int) -> None:
    """One scene with the noise of a sensor, as two labels."""
    random = np.random.default_rng(0)
    patches = Image.fromarray(random.integers(0, 255, (9, 12, 3), dtype=np.uint8))
    scene = np.asarray(patches.resize((128, 96), Image.Resampling.BICUBIC)).astype(np.int16)
    for label in ("day", "night"):
        (folder / label).mkdir(parents=True)
    for number in range(count):
        pixels = np.clip(scene + random.integers(-6, 7, scene.shape), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / ("day", "night")[number % 2] / f"{number:06d}.jpg", quality=60)


def checking(source: Path, home: Path, peaks: list[float]) -> Callable[[], float]:
    """Seconds of CPU that a check takes."""
    environment = clean_environment(RCL_HOME=str(home), RCL_OFFLINE="1")

    def run() -> float:
        words = [sys.executable, "-c", CHECKS, str(source)]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
        assert "near-duplicate" in done.stdout
        seconds, megabytes = map(float, done.stderr.split()[-2:])
        peaks.append(megabytes)
        return seconds

    return run


def main() -> None:
    folder = CACHE / "checking"
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    for count in (MANY, FEW):
        camera(folder / str(count), count)
    peaks: list[float] = []
    many = checking(folder / str(MANY), folder / "home", peaks)
    few = checking(folder / str(FEW), folder / "home", [])
    compare(
        "`rcl dataset check`, 50 000 images of one camera (128×96), seconds of CPU",
        "five times that of 10 000 of them", 1.25, many, lambda: few() * MANY / FEW, rounds=3, warm=0,
    )  # fmt: skip
    report_limit("the same check, peak memory", "MB", max(peaks), 300)
    subprocess.run(["rm", "-rf", str(folder)], check=True)


if __name__ == "__main__":
    main()
