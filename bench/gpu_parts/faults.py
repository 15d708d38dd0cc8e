"""What goes wrong on a GPU: memory that is too small, and processes that are killed."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gpu_parts.common import NO_GPU, Bench, Home, gpu_memory_mb, taken_since

RELEASED_MB = 64
GIB = 2**30


def memory(bench: Bench) -> None:
    """Another program holds nearly all of the GPU: smaller batches are tried, and what fits nowhere says so."""
    options = bench.pick({"epochs": 1, "image_size": 640, "batch": 64}, {"epochs": 1, "image_size": 64, "batch": 16})
    home = Home(bench, "bccd", "memory", {"model": "yolov8n", "weights": "none", **options}).create()
    with taken(bench, leaving_gib=4):
        home.train()
    print(home.log(), file=sys.stderr)
    used = int(home.card["card"]["hyperparameters"]["batch"])
    fits = {} if bench.device == "cpu" else {"bar": options["batch"] - 1}
    bench.say("4 GiB left: batch that a training ends with", used, against=f"asked: {options['batch']}", **fits)
    said = re.findall(r"does not hold (\d+) images at once: batches of (\d+)", home.log())
    bench.say("4 GiB left: what it said", ", ".join(f"{a} → {b}" for a, b in said) or "nothing")
    if bench.device == "cpu":
        return
    options = {"epochs": 1, "image_size": 1280, "batch": 4}
    home = Home(bench, "bccd", "no_memory", {"model": "yolov8n", "weights": "none", **options}).create()
    with taken(bench, leaving_gib=1):
        home.begin()
        found = home.wait("TRAINING_IN_PROGRESS")
    bench.say("1 GiB left: what the training ends with", f"{found['Status']}: {found['StatusMessage']}")
    print(home.log(), file=sys.stderr)


@contextmanager
def taken(bench: Bench, *, leaving_gib: int) -> Iterator[None]:
    """Hold all GPU memory but so much."""
    if bench.device == "cpu":
        yield
        return
    import torch

    free, _ = torch.cuda.mem_get_info()
    held = torch.empty(max(0, free - leaving_gib * GIB), dtype=torch.uint8, device="cuda")
    try:
        yield
    finally:
        del held
        torch.cuda.empty_cache()


def kills(bench: Bench) -> None:
    """SIGKILL in training and in serving: no GPU memory stays taken, and the store says what happened."""
    options = {
        "model": "yolov8n",
        "weights": "none",
        "retries": 0,
        **bench.pick({"epochs": 500, "image_size": 320}, {"epochs": 50, "image_size": 64}),
    }
    home = Home(bench, "bccd", "kills", options).create()
    before = gpu_memory_mb()
    home.begin()
    until(lambda: re.search(r"epoch [1-9]\d* of", home.describe()["StatusMessage"]) is not None, 120)
    bench.say("training: GPU memory before the kill", taken_since(before), "MiB")
    began = time.monotonic()
    os.kill(home.pid("jobs/1"), signal.SIGKILL)
    released(bench, "training", before, began)
    bench.say("training: what the store says", str(home.wait("TRAINING_IN_PROGRESS")["Status"]))
    served = Home(bench, "bccd", "bccd")
    served.rcl("start-project-version", "--project-version-arn", "bccd/v1", "--min-inference-units", "1")
    served.wait("STARTING")
    bench.say("serving: GPU memory before the kill", taken_since(before), "MiB")
    began = time.monotonic()
    os.kill(served.pid("hosts/1"), signal.SIGKILL)
    released(bench, "serving", before, began)
    bench.say("serving: what the store says", str(served.wait("RUNNING")["Status"]))


def until(condition: Callable[[], bool], limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so within {limit_s} s")
        time.sleep(0.1)


def released(bench: Bench, what: str, before: float | None, began: float) -> None:
    """Wait for the GPU's memory to come back."""

    def free() -> bool:
        left = taken_since(before)
        return isinstance(left, str) or left < RELEASED_MB

    try:
        until(free, 30)
    except TimeoutError:
        bench.say(f"{what}: GPU memory half a minute after the kill", taken_since(before), "MiB", bar=RELEASED_MB)
    else:
        bench.say(f"{what}: GPU memory free again after", NO_GPU if before is None else time.monotonic() - began, "s")
