"""What the machine is and can do at best, and the project's own tests that wait for a GPU."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from gpu_parts.common import ROOT, Bench, Home, query_gpu, synchronize


def ceilings(bench: Bench) -> None:
    """Names and versions; what copying, multiplying and decoding can reach."""
    import numpy
    import onnxruntime
    import torch
    import torchvision

    from rcl_cli.config import cpu_cores

    found = query_gpu("name", "memory.total", "driver_version")
    bench.say("GPU", f"{found[0]}, {found[1]} MiB, driver {found[2]}" if found else "none")
    cuda = f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}" if bench.device == "cuda" else "no CUDA"
    versions = f"Python {platform.python_version()}, torch {torch.__version__} ({cuda}), torchvision"
    versions += f" {torchvision.__version__}, onnxruntime {onnxruntime.__version__}, numpy {numpy.__version__}"
    bench.say("libraries", versions)
    bench.say("CPU cores", cpu_cores())
    bench.say("shared memory", shutil.disk_usage("/dev/shm").total / 2**30, "GiB")  # noqa: S108 - the system's
    copying(bench)
    side = bench.pick(8192, 256)
    a, b = (torch.randn(side, side, device=bench.device, dtype=torch.bfloat16) for _ in range(2))
    bench.say("product of two matrices, bfloat16", 2 * side**3 / seconds(bench, lambda: a @ b) / 1e12, "TFLOP/s")
    pictures = bench.pictures("bccd")
    bench.say("decoding and resizing, all cores", decoding_rate(pictures, 320), "images/s")


def seconds(bench: Bench, work: object) -> float:
    """The median of ten rounds, on the device to its end."""
    assert callable(work)
    times = []
    for number in range(13):
        synchronize(bench.device)
        began = time.perf_counter()
        work()
        synchronize(bench.device)
        if number >= 3:
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def copying(bench: Bench) -> None:
    import torch

    size = bench.pick(256, 4) * 2**20
    pageable = torch.empty(size, dtype=torch.uint8)
    there = torch.empty(size, dtype=torch.uint8, device=bench.device)
    sources = {"pageable": pageable}
    if bench.device == "cuda":
        sources["pinned"] = pageable.pin_memory()
    for name, source in sources.items():
        rate = size / seconds(bench, lambda source=source: there.copy_(source)) / 1e9
        bench.say(f"copying to the device, {name} memory", rate, "GB/s")


def decoding_rate(paths: list[object], size_px: int) -> float:
    """Images a second, decoded and brought to their canvas as a detector's predictor does it, on all cores."""
    from rcl_cli.backends.boxes.planning import STRIDE
    from rcl_cli.config import cpu_cores
    from rcl_cli.imaging.decode import decode
    from rcl_cli.imaging.geometry import letterbox

    images = [path.read_bytes() for path in paths]  # type: ignore[attr-defined]
    work = images * max(1, 16 * cpu_cores() // len(images))

    def prepare(image: bytes) -> None:
        letterbox(decode(image, longer_px=size_px), size_px, STRIDE)

    with ThreadPoolExecutor(cpu_cores()) as pool:
        list(pool.map(prepare, work))
        began = time.perf_counter()
        list(pool.map(prepare, work))
        return len(work) / (time.perf_counter() - began)


def tests(bench: Bench) -> None:
    """The tests that are marked `gpu`; without a GPU they say so."""
    files = ["tests/unit/test_forms.py", "tests/functional/test_gpu.py"]
    # Detectors are trained by other parts; what tests leave goes with the run.
    words = [sys.executable, "-m", "pytest", "-m", "gpu", "-k", "not boxes", "-q", "-p", "no:cacheprovider"]
    words += ["-W", "default", f"--basetemp={bench.work / 'tests'}", *files]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout, file=sys.stderr)
    last = done.stdout.strip().splitlines()[-1]
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error|skipped)", last)}
    bench.say(
        "tests passed", counts.get("passed", 0), **({"bar": 1, "at_least": True} if bench.device == "cuda" else {})
    )
    bench.say("tests that wait for a GPU, skipped", counts.get("skipped", 0))
    bench.say("tests failed", counts.get("failed", 0) + counts.get("error", 0), bar=0)
    if done.returncode:
        raise RuntimeError(f"pytest ended with {done.returncode}: {last}")


def doctor(bench: Bench) -> None:
    """What `rcl doctor` says of the machine."""
    home = Home(bench, "bccd", "doctor")
    home.path.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-m", "rcl_cli", "doctor", "--json"]
    done = subprocess.run(words, env=home.environment, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout, file=sys.stderr)
    checks = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode > 1:
        raise RuntimeError(f"rcl doctor ended with {done.returncode}")
    bench.say("rcl doctor, faults", sum(check["state"] == "fault" for check in checks), bar=0)
    for check in checks:
        if check["name"] in ("gpu", "libraries") or check["state"] == "fault":
            bench.say(f"rcl doctor on {check['name']}", f"{check['state']}: {check['detail']}")
