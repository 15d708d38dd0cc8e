"""What every part of the GPU run shares: where things lie, rows of the table, a home of rcl, and a look at the GPU."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from accuracy import Rcl

ROOT = Path(__file__).resolve().parent.parent.parent
NO_GPU = "no GPU"


@dataclass(frozen=True)
class Row:
    """A figure.

    Args:
        against: what it is compared with, with that figure; empty where it stands alone.
        bar: what the figure may be at most, or must be at least.
    """

    part: str
    what: str
    figure: float | str
    unit: str = ""
    against: str = ""
    bar: float | None = None
    at_least: bool = False

    @property
    def verdict(self) -> str:
        if self.bar is None or isinstance(self.figure, str):
            return ""
        holds = self.figure >= self.bar if self.at_least else self.figure <= self.bar
        return "holds" if holds else "MISSED"

    def cells(self) -> list[str]:
        figure = self.figure if isinstance(self.figure, str) else f"{self.figure:.4g}"
        figure = figure if figure == NO_GPU else f"{figure} {self.unit}".strip()
        bar = "" if self.bar is None else f"{'≥' if self.at_least else '≤'} {self.bar:g}"
        return [self.part, self.what, figure, self.against, bar, self.verdict]


@dataclass(frozen=True)
class Bench:
    """One run.

    Args:
        pack: what tools/gpu_pack.sh gathered: data and weights.
        out: for rows and logs.
        work: homes of trained models, which later parts use.
        device: `cuda`, or `cpu` in a dry run.
        tiny: few images, one epoch, small networks: to see that everything runs.
    """

    part: str
    pack: Path
    out: Path
    work: Path
    device: str
    tiny: bool

    def say(self, what: str, figure: float | str, unit: str = "", **more: Any) -> None:
        row = Row(self.part, what, figure, unit, **more)
        with (self.out / "rows.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")
        print(" | ".join(row.cells()), flush=True)

    def pick(self, full: Any, tiny: Any) -> Any:
        return tiny if self.tiny else full

    @property
    def data(self) -> Path:
        return self.pack / "data"

    @property
    def detector_weights(self) -> str:
        """A YOLOv8n checkpoint to start from, `none` where the pack has none."""
        path = self.pack / "weights" / "100ep.pt"
        return str(path.resolve()) if path.is_file() else "none"

    def manifest(self, name: str, part: str) -> list[str]:
        """Lines of a set's manifest; a few in a dry run."""
        lines = (self.data / name / f"{part}.manifest").read_text("utf-8").splitlines()
        few = 40 if part == "train" else 20
        # From all over the manifest: some are sorted by label.
        return lines[:: -(-len(lines) // few)] if self.tiny else lines

    def pictures(self, name: str, most: int = 64) -> list[Path]:
        """Test images of a set."""
        refs = [json.loads(line)["source-ref"] for line in self.manifest(name, "test")[:most]]
        return [self.data / ref.removeprefix("s3://") for ref in refs]


class Home:
    """A home with one project, one trained version, and its buckets.

    Args:
        name: the set.
        run: names the home: several may train on one set.
    """

    def __init__(self, bench: Bench, name: str, run: str, options: Mapping[str, Any] | None = None) -> None:
        self.bench, self.name = bench, name
        self.path = bench.work / run
        self.manifests = self.path / "buckets" / "manifests"
        settings = {f"RCL_TRAINING_{key.upper()}": str(value) for key, value in (options or {}).items()}
        settings["RCL_TRAINING_DEVICE"] = bench.device
        self.rcl = Rcl(self.path, settings)

    @property
    def environment(self) -> dict[str, str]:
        return self.rcl.environment

    def create(self) -> Home:
        """A project with both datasets."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.manifests.mkdir(parents=True)
        images = json.dumps(str(self.bench.data / self.name))
        (self.path / "config.yaml").write_text(f"buckets:\n  {self.name}: {images}\n", "utf-8")
        project = self.rcl("create-project", "--project-name", self.name)["ProjectArn"]
        for part in ("train", "test"):
            lines = self.bench.manifest(self.name, part)
            (self.manifests / f"{part}.manifest").write_text("".join(line + "\n" for line in lines), "utf-8")
            source = {"GroundTruthManifest": {"S3Object": {"Bucket": "manifests", "Name": f"{part}.manifest"}}}
            words = ["--project-arn", project, "--dataset-type", part.upper(), "--dataset-source", json.dumps(source)]
            self.rcl("create-dataset", *words)
        return self

    def begin(self, version: str = "v1") -> None:
        """Begin a training."""
        output = "S3Bucket=results,S3KeyPrefix=out"
        words = ["--project-arn", self.name, "--version-name", version, "--output-config", output]
        self.rcl("create-project-version", *words)

    def describe(self, version: str = "v1") -> dict[str, Any]:
        words = ["--project-arn", self.name, "--version-names", version]
        found: dict[str, Any] = self.rcl("describe-project-versions", *words)["ProjectVersionDescriptions"][0]
        return found

    def wait(self, leaving: str, version: str = "v1", limit_s: float = 300) -> dict[str, Any]:
        """The version's description once it has left a status."""
        deadline = time.monotonic() + limit_s
        while (found := self.describe(version))["Status"] == leaving:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name}/{version} is still {leaving}: {found.get('StatusMessage')}")
            time.sleep(0.2)
        return found

    def train(self) -> dict[str, Any]:
        """Train to the end; the version's description."""
        self.begin()
        found = self.wait("TRAINING_IN_PROGRESS", limit_s=600)
        if found["Status"] != "TRAINING_COMPLETED":
            raise RuntimeError(f"{found['StatusMessage']}\n{self.log()[-3000:]}")
        return found

    def log(self, version_id: int = 1) -> str:
        """What a version's trainer or host wrote."""
        return (self.path / "jobs" / f"{version_id}.log").read_text("utf-8")

    @property
    def model(self) -> Path:
        return self.path / "models" / "1"

    @property
    def card(self) -> dict[str, Any]:
        card: dict[str, Any] = json.loads((self.model / "model.json").read_text("utf-8"))
        return card

    @property
    def summary(self) -> dict[str, Any]:
        path = self.path / "buckets/results/out" / f"EvaluationResultSummary-{self.name}-v1.json"
        aggregated: dict[str, Any] = json.loads(path.read_text("utf-8"))["AggregatedEvaluationResults"]
        return aggregated

    @contextmanager
    def started(self, workers: int = 1) -> Iterator[tuple[str, str]]:
        """(address, nonce) of a running host."""
        units = ["--min-inference-units", str(workers)]
        self.rcl("start-project-version", "--project-version-arn", f"{self.name}/v1", *units)
        found = self.wait("STARTING")
        if found["Status"] != "RUNNING":
            raise RuntimeError(found["StatusMessage"])
        try:
            request = json.loads((self.path / "hosts" / "1" / "request.json").read_text())
            yield str(request["address"]), str(request["nonce"])
        finally:
            if self.describe()["Status"] == "RUNNING":
                self.rcl("stop-project-version", "--project-version-arn", f"{self.name}/v1")
                self.wait("STOPPING")
            log = (self.path / "hosts" / "1" / "host.log").read_text("utf-8")
            print(log, file=sys.stderr)
            for line in [line for line in log.splitlines() if "no CUDA graph" in line or "failed" in line][:3]:
                self.bench.say(f"{self.name}: its host says", line[:200])

    def pid(self, folder: str) -> int:
        """The process that works in `jobs/1` or `hosts/1`."""
        return int(json.loads((self.path / folder / "handle").read_text())[0])


# --- the GPU ----------------------------------------------------------------------------------------------------------


def query_gpu(*names: str) -> list[str] | None:
    """What nvidia-smi says of the first GPU; None without one."""
    if shutil.which("nvidia-smi") is None:
        return None
    words = ["nvidia-smi", "-i", "0", f"--query-gpu={','.join(names)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        return None
    return None if done.returncode else [field.strip() for field in done.stdout.strip().split(",")]


def gpu_memory_mb() -> float | None:
    """Memory of the first GPU that anybody uses; None without one."""
    found = query_gpu("memory.used")
    return None if found is None else float(found[0])


def taken_since(before_mb: float | None) -> float | str:
    """How much more of the GPU's memory is taken than before."""
    now_mb = gpu_memory_mb()
    return NO_GPU if now_mb is None or before_mb is None else now_mb - before_mb


class GpuWatch:
    """How busy the GPU is while this is entered, looked at five times a second."""

    def __init__(self) -> None:
        self._busy: list[float] = []
        self._memory: list[float] = []
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> GpuWatch:
        if shutil.which("nvidia-smi"):
            query = "--query-gpu=utilization.gpu,memory.used"
            words = ["nvidia-smi", "-i", "0", query, "--format=csv,noheader,nounits", "-lms", "200"]
            self._process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
            threading.Thread(target=self._read, args=(self._process,), daemon=True).start()
        return self

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            fields = line.split(",")
            if len(fields) == 2 and all(field.strip().isdigit() for field in fields):
                self._busy.append(float(fields[0]))
                self._memory.append(float(fields[1]))

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    @property
    def busy(self) -> float | str:
        """Mean share of the time in which kernels ran, in percent."""
        return statistics.mean(self._busy) if self._busy else NO_GPU

    @property
    def peak_mb(self) -> float | str:
        return max(self._memory) if self._memory else NO_GPU


def synchronize(device: str) -> None:
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def peer(name: str, asked: dict[str, Any], **variables: str) -> Any:
    """What a peer (gpu_parts/peers.py) says, in a process of its own; its stderr goes to the part's log."""
    command, environment = [sys.executable, "-m", "gpu_parts.peers", name], {**os.environ, **variables}
    done = subprocess.run(
        command, input=json.dumps(asked), stdout=subprocess.PIPE, text=True, env=environment, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the peer {name} ended with {done.returncode}: {done.stdout[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])
