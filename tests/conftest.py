"""Fixtures: a home, a context, small real images and manifests, and the command as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rcl_cli.context import Context, make_context
from rcl_cli.operations.invoke import invoke

# Before anything loads torch: where tests train side by side its threads would spin, and take each other's cores.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")

COLOURS = {"red": (200, 40, 40), "green": (40, 180, 60), "blue": (40, 60, 210)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests for a GPU say that there is none."""
    waiting = [item for item in items if item.get_closest_marker("gpu")]
    if not waiting:
        return
    import torch

    if not torch.cuda.is_available():
        for item in waiting:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA GPU"))


def image_line(bucket: str, key: str, *labels: str) -> dict[str, Any]:
    line: dict[str, Any] = {"source-ref": f"s3://{bucket}/{key}"}
    for number, label in enumerate(labels):
        line[f"label-{number}"] = 1
        line[f"label-{number}-metadata"] = {
            "confidence": 1,
            "class-name": label,
            "human-annotated": "yes",
            "creation-date": "2026-01-01T00:00:00",
            "type": "groundtruth/image-classification",
        }
    return line


def box_line(bucket: str, key: str, size: tuple[int, int], *boxes: tuple[str, int, int, int, int]) -> dict[str, Any]:
    """Boxes are (label, left, top, width, height)."""
    names = sorted({box[0] for box in boxes})
    return {
        "source-ref": f"s3://{bucket}/{key}",
        "boxes": {
            "image_size": [{"width": size[0], "height": size[1], "depth": 3}],
            "annotations": [
                {"class_id": names.index(name), "left": left, "top": top, "width": w, "height": h}
                for name, left, top, w, h in boxes
            ],
        },
        "boxes-metadata": {
            "objects": [{"confidence": 1} for _ in boxes],
            "class-map": {str(i): name for i, name in enumerate(names)},
            "type": "groundtruth/object-detection",
            "human-annotated": "yes",
            "creation-date": "2026-01-01T00:00:00",
        },
    }


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


@contextmanager
def in_threads(count: int, work: Callable[[int], None]) -> Iterator[list[BaseException]]:
    """Run some work in threads; yields what went wrong, complete once the block is left."""
    failures: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - a thread's failure is the test's
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    yield failures
    for thread in threads:
        thread.join()


@contextmanager
def in_time(seconds: float = 5, *, of_cpu: bool = False, what: str = "it") -> Iterator[None]:
    """End what takes longer.

    Args:
        of_cpu: count what this process computes, and not what it waits for.
    """

    def end(*_: object) -> None:
        raise TimeoutError(f"{what} takes longer than {seconds} s")

    clock, number = (signal.ITIMER_PROF, signal.SIGPROF) if of_cpu else (signal.ITIMER_REAL, signal.SIGALRM)
    before = signal.signal(number, end)
    signal.setitimer(clock, seconds)
    try:
        yield
    finally:
        signal.setitimer(clock, 0)
        signal.signal(number, before)


def write_manifest(path: Path, lines: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def noisy(colour: tuple[int, int, int], size: tuple[int, int], seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    pixels = np.clip(np.array(colour) + rng.normal(0, 25, (size[1], size[0], 3)), 0, 255)
    return Image.fromarray(pixels.astype(np.uint8))


@dataclass
class Home:
    """A home with buckets, and the API on it."""

    path: Path
    buckets: Path
    context: Context

    def call(self, operation: str, **params: Any) -> dict[str, Any]:
        return invoke(self.context, operation, params)

    def project(self, name: str = "p") -> str:
        return str(self.call("CreateProject", ProjectName=name)["ProjectArn"])

    def dataset(self, project: str, kind: str, lines: list[dict[str, Any]] | bytes) -> str:
        manifest = self.buckets / "data" / f"{kind}.manifest"
        if isinstance(lines, bytes):
            manifest.parent.mkdir(parents=True, exist_ok=True)
            manifest.write_bytes(lines)
        else:
            write_manifest(manifest, lines)
        source = {"GroundTruthManifest": {"S3Object": {"Bucket": "data", "Name": manifest.name}}}
        made = self.call("CreateDataset", ProjectArn=project, DatasetType=kind, DatasetSource=source)
        return str(made["DatasetArn"])

    def describe(self, dataset: str) -> dict[str, Any]:
        described: dict[str, Any] = self.call("DescribeDataset", DatasetArn=dataset)["DatasetDescription"]
        return described

    def entries(self, dataset: str, **conditions: Any) -> list[dict[str, Any]]:
        found = self.call("ListDatasetEntries", DatasetArn=dataset, **conditions)
        return [json.loads(line) for line in found["DatasetEntries"]]

    def status(self, project: str, name: str) -> tuple[str, str]:
        described = self.call("DescribeProjectVersions", ProjectArn=project, VersionNames=[name])
        one = described["ProjectVersionDescriptions"][0]
        return one["Status"], one["StatusMessage"]

    def train(self, project: str, name: str, **more: Any) -> str:
        """Start the smallest training that there is; returns the version's ARN."""
        tags = {"rcl:epochs": "1", "rcl:image_size": "64", "rcl:weights": "none", **more.pop("tags", {})}
        output = {"S3Bucket": "out", "S3KeyPrefix": "models/a"}
        params = {"ProjectArn": project, "VersionName": name, "OutputConfig": output, "Tags": tags, **more}
        return str(self.call("CreateProjectVersion", **params)["ProjectVersionArn"])

    def wait(
        self, project: str, name: str, leaving: str = "TRAINING_IN_PROGRESS", seconds: float = 180
    ) -> tuple[str, str]:
        """Wait until a version leaves a status; returns its status and message."""
        wait_until(lambda: self.status(project, name)[0] != leaving, seconds)
        return self.status(project, name)

    def environment(self, **more: str) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("RCL_", "AWS_"))}
        return {**clean, "RCL_HOME": str(self.path), "RCL_OFFLINE": "1", **more}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes that are started."""
    found: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def remembering(*words: Any, **options: Any) -> subprocess.Popen[bytes]:
        found.append(popen(*words, **options))
        return found[-1]

    monkeypatch.setattr(subprocess, "Popen", remembering)
    return found


@pytest.fixture(scope="session", autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No setting of the developer's reaches a test."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # As in `make test &`: what tests start would not hear of Ctrl-C either.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.MonkeyPatch.context() as patch:
        kept = {
            "RCL_KILL_ROUNDS",
            "RCL_FUZZ_REQUESTS",
            "RCL_FUZZ_FILES",
            "RCL_FUZZ_SEED",
            "RCL_CONCURRENCY_ROUNDS",
            "RCL_EXAMPLES",
        }
        for name in [name for name in os.environ if name.startswith(("RCL_", "AWS_")) and name not in kept]:
            patch.delenv(name)
        if "PYTEST_XDIST_WORKER" in os.environ:
            # Others work beside this: threads that spin for each other take twice the time for the same.
            patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("RCL_OFFLINE", "1")
        # What a CPU makes of bfloat16 is its own; tests compare figures more closely than that.
        patch.setenv("RCL_TRAINING_PRECISION", "float32")
        patch.setenv("AWS_CONFIG_FILE", str(tmp_path_factory.getbasetemp() / "none"))
        yield


def make_home(folder: Path) -> Home:
    return Home(folder, folder / "buckets", make_context(folder))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = make_home(tmp_path / "home")
    yield made
    made.context.database.close()


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def rcl(home: Home) -> Run:
    """Runs the command as a process of its own."""

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "rcl_cli", *words]
        return subprocess.run(command, env=home.environment(**more), capture_output=True, text=True, timeout=300)

    return run


Lines = list[dict[str, Any]]


def colour_images(home: Home, train: int = 24, test: int = 9, side: int = 72) -> tuple[Lines, Lines]:
    """Images of noisy colours with image-level labels: (train lines, test lines)."""
    folder = home.buckets / "data"
    folder.mkdir(parents=True, exist_ok=True)
    names = list(COLOURS)
    lines = []
    for number in range(train + test):
        name = names[number % len(names)]
        noisy(COLOURS[name], (side, side), number).save(folder / f"{number}.jpg")
        lines.append(image_line("data", f"{number}.jpg", name))
    return lines[:train], lines[train:]


def box_images(home: Home, train: int = 16, test: int = 6) -> tuple[Lines, Lines]:
    """Images with one coloured square each: (train lines, test lines)."""
    folder = home.buckets / "data"
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    lines = []
    for number in range(train + test):
        name = ("red", "green")[number % 2]
        image = noisy((120, 120, 120), (128, 96), number)
        left, top, side = int(rng.integers(0, 80)), int(rng.integers(0, 50)), int(rng.integers(30, 44))
        image.paste(noisy(COLOURS[name], (side, side), number), (left, top))
        image.save(folder / f"box-{number}.jpg")
        lines.append(box_line("data", f"box-{number}.jpg", (128, 96), (name, left, top, side, side)))
    return lines[:train], lines[train:]
