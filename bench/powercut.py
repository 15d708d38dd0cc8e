"""Power cuts around the end of trainings and copies: what was announced as COMPLETED must load and answer afterwards.

    sudo python bench/powercut.py [--trainings 20] [--copies 10]

The home lies on an ext4 of its own in a file. A cut is the file system's own shutdown without flushing its journal:
what had not reached the disk is gone, as without power. Then every process of the home is killed, and the file system
is mounted again. Needs root and loop devices, so no test does it; bench/RESULTS.md has what was seen.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from accuracy import Rcl

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rcl_cli.durable import write_durably

ROOT = Path(__file__).resolve().parent.parent
_EXT4_IOC_SHUTDOWN, _NO_LOG_FLUSH = 0x8004587D, 2
_SIZE_MIB = 1024
_ANSWER = """
import sys
from pathlib import Path
from rcl_cli.evaluation import evidence
from rcl_cli.inference.model import LoadedModel
folder, image = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()
found = LoadedModel(folder, 1).detect(image, 0.0, None, 60)
assert found, "no answer"
assert evidence.read(folder), "no predictions were kept"
"""


class Disk:
    """An ext4 in a file, mounted; `cut` takes its power away."""

    def __init__(self, folder: Path) -> None:
        self._image, self.mount = folder / "disk.img", folder / "mnt"
        self.mount.mkdir()
        with self._image.open("wb") as file:
            file.truncate(_SIZE_MIB << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", self._image], check=True)
        self.power()

    def power(self) -> None:
        subprocess.run(["mount", "-o", "loop", self._image, self.mount], check=True)

    def cut(self) -> None:
        descriptor = os.open(self.mount, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _EXT4_IOC_SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(descriptor)
        end_processes(self.mount)
        self.away()

    def away(self) -> None:
        for _ in range(100):
            if subprocess.run(["umount", self.mount], capture_output=True, check=False).returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError(f"{self.mount} stays busy")


def end_processes(below: Path) -> None:
    """SIGKILL what works on a home."""
    left = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if any(word.startswith("rcl_cli.") for word in line) and any(str(below) in word for word in line):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
            left.append(process)
    psutil.wait_procs(left, timeout=20)


class Trial:
    """A home on the disk, with a project, and the versions that were announced as complete."""

    def __init__(self, disk: Disk, pictures: Path, seed: int) -> None:
        self._disk, self._random = disk, random.Random(seed)
        home = disk.mount / "home"
        self._pictures = pictures
        home.mkdir(mode=0o700)
        write_durably(home / "config.yaml", f"buckets:\n  photos: {json.dumps(str(pictures))}\n".encode())
        self.home = home
        self._rcl = Rcl(home, {"PYTHONPATH": str(ROOT)})
        self.project = self._rcl("create-project", "--project-name", "photos")["ProjectArn"]
        for kind in ("train", "test"):
            source = {"GroundTruthManifest": {"S3Object": {"Bucket": "photos", "Name": f"{kind}.manifest"}}}
            words = ["--dataset-type", kind.upper(), "--dataset-source", json.dumps(source)]
            self._rcl("create-dataset", "--project-arn", self.project, *words)
        self.announced: set[str] = set()
        self.seen = {"cut before the end": 0, "cut before it was adopted": 0, "cut after it was announced": 0}
        self.empty = self.went_on = 0

    def train(self, name: str) -> None:
        tags = "rcl:epochs=2,rcl:image_size=64,rcl:weights=none,rcl:model=mobilenet_v3_small"
        words = ["--version-name", name, "--output-config", "S3Bucket=results,S3KeyPrefix=out", "--tags", tags]
        self._rcl("create-project-version", "--project-arn", self.project, *words)

    def copy(self, name: str) -> None:
        source = self._random.choice(sorted(self.announced))
        words = ["--destination-project-arn", self.project, "--version-name", name]
        words += ["--output-config", "S3Bucket=results,S3KeyPrefix=copies"]
        arn = self.versions()[source]["ProjectVersionArn"]
        origin = ["--source-project-arn", self.project, "--source-project-version-arn", arn]
        self._rcl("copy-project-version", *origin, *words)

    def versions(self) -> dict[str, dict[str, Any]]:
        found = self._rcl("describe-project-versions", "--project-arn", self.project)["ProjectVersionDescriptions"]
        return {one["ProjectVersionArn"].split("/")[-2]: one for one in found}

    def cut(self, name: str, version_id: int) -> None:
        """Take the power away at some moment around the end of what makes a version."""
        outcome = self.home / "jobs" / str(version_id) / "outcome.json"
        moment = self._random.choice(list(self.seen))
        if moment == "cut before the end":
            time.sleep(self._random.uniform(0, 5))
        else:
            deadline = time.monotonic() + 120
            while not outcome.exists() and time.monotonic() < deadline:
                time.sleep(0.002)
            if moment == "cut after it was announced":
                while self.versions()[name]["Status"].endswith("_IN_PROGRESS"):
                    time.sleep(0.05)
                self.announced.add(name)
            time.sleep(self._random.choice([0, 0.02, 0.2]))
        self.seen[moment] += 1
        self._disk.cut()
        self._disk.power()

    def check(self) -> None:
        """All that was announced is there, whole, and answers; what was not done goes on to its end."""
        found = self.versions()
        for name in self.announced:
            assert found[name]["Status"].endswith("_COMPLETED"), f"{name} was announced: {found[name]}"
        deadline = time.monotonic() + 180
        while any(one["Status"].endswith("_IN_PROGRESS") for one in found.values()):
            assert time.monotonic() < deadline, found
            time.sleep(0.1)
            self.went_on += 1
            found = self.versions()
        for name, one in found.items():
            assert one["Status"].endswith("_COMPLETED"), (name, one)
            self.announced.add(name)

    def answers(self) -> int:
        """How many complete versions load and answer: must be all."""
        image = next((self._pictures).glob("*.jpg"))
        folders = sorted((self.home / "models").iterdir())
        for folder in folders:
            self.empty += sum(path.stat().st_size == 0 for path in folder.iterdir())
            words = [sys.executable, "-c", _ANSWER, str(folder), str(image)]
            subprocess.run(words, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        return len(folders)


def pictures(folder: Path) -> Path:
    """A small set of noisy colours."""
    from tests.conftest import Home, colour_images, write_manifest

    home = Home(folder, folder, None)  # type: ignore[arg-type]
    for kind, lines in zip(("train", "test"), colour_images(home, train=24, test=9), strict=True):
        text = [json.loads(json.dumps(line).replace("s3://data/", "s3://photos/")) for line in lines]
        write_manifest(folder / "data" / f"{kind}.manifest", text)
    return folder / "data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trainings", type=int, default=20)
    parser.add_argument("--copies", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rcl-powercut-") as name:
        disk = Disk(Path(name))
        try:
            trial = Trial(disk, pictures(Path(name) / "photos"), arguments.seed)
            for number in range(arguments.trainings + arguments.copies):
                version = f"v{number}"
                (trial.train if number < arguments.trainings else trial.copy)(version)
                trial.cut(version, number + 1)
                trial.check()
                print(f"{version}: {len(trial.announced)} complete, {trial.seen}", flush=True)
            sound = trial.answers()
            print(f"{sound} complete versions, all load and answer; files of 0 bytes: {trial.empty}; {trial.seen}")
        finally:
            end_processes(disk.mount)
            disk.away()


if __name__ == "__main__":
    main()
