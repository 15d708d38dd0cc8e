"""What may be worth building, where time is left: decoding on the GPU, compiled networks, larger batches."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gpu_parts.common import Bench, Home, synchronize


def all_of_them(bench: Bench) -> None:
    for experiment in (windows, nvjpeg, compiled):
        try:
            experiment(bench)
        except Exception as error:  # noqa: BLE001 - the others may work
            bench.say(experiment.__name__, f"{type(error).__name__}: {error}".splitlines()[0][:200])


def windows(bench: Bench) -> None:
    """A model in this process, 64 threads, with other limits of a batch."""
    from rcl_cli.backends.runtimes import torch_runner
    from rcl_cli.config import cpu_cores
    from rcl_cli.inference import engines
    from rcl_cli.inference.model import LoadedModel

    home = Home(bench, "bccd", "bccd")
    images = [path.read_bytes() for path in bench.pictures("bccd")]
    threads = bench.pick(64, 4)
    for most in bench.pick((8, 16, 32, 64), (4, 16)):
        engines._MOST_IN_BATCH = most
        torch_runner._RECORDED_SIZES = (1, 2, 4, 8, 16, 32, 64)
        model = LoadedModel(home.model, cpu_cores())

        def ask(number: int, model: LoadedModel = model) -> None:
            model.detect(images[number % len(images)], None, None, 60)

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(ask, range(bench.pick(500, 10))))
            began = time.perf_counter()
            count = bench.pick(2000, 20)
            list(pool.map(ask, range(count)))
        rate = count / (time.perf_counter() - began)
        bench.say(f"{threads} threads without a host, up to {most} images a batch", rate, "images/s")


def nvjpeg(bench: Bench) -> None:
    """JPEGs decoded on the GPU in batches, without resizing."""
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg

    images = [torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8) for path in bench.pictures("bccd")]

    def decode() -> Any:
        return decode_jpeg(images, mode=ImageReadMode.RGB, device=bench.device)

    rate = len(images) / timed(bench, decode)
    bench.say("torchvision.io.decode_jpeg on the device, full size", rate, "images/s")


def compiled(bench: Bench) -> None:
    """torch.compile of the network in the form that serves, against the same recorded as a graph."""
    import numpy as np
    import torch

    from rcl_cli.backends import registry

    home = Home(bench, "bccd", "bccd")
    card, extra = registry.read_card(home.model)
    half = extra["precision"] == "float16"
    recorded = registry.on_torch(card, home.model, bench.device, half=half)
    side = (card.image_size * 3 // 4 // 32 * 32, card.image_size)
    pixels = np.zeros((bench.pick(16, 2), *side, 3), dtype=np.uint8)
    bench.say("a batch as it serves", 1000 * timed(bench, lambda: recorded.forward(pixels)), "ms")
    network = registry.load_network(card, home.model)
    if half:
        from importlib import import_module

        network = import_module(registry.family(card.family).module).in_half(network)
    network = network.to(bench.device).to(memory_format=torch.channels_last).eval()
    # Without a GPU, only what reads the network: compiling for the CPU takes minutes.
    how: dict[str, Any] = {"mode": "reduce-overhead"} if bench.device == "cuda" else {"backend": "eager"}
    faster = torch.compile(network, **how)
    there = torch.from_numpy(pixels).to(bench.device)
    began = time.perf_counter()
    with torch.inference_mode():
        took = timed(bench, lambda: faster(there))
    bench.say("a batch compiled, without copies", 1000 * took, "ms")
    bench.say("compiling it", time.perf_counter() - began, "s")


def timed(bench: Bench, work: Callable[[], Any]) -> float:
    """The median of some rounds, in seconds."""
    times = []
    for number in range(bench.pick(30, 6)):
        synchronize(bench.device)
        began = time.perf_counter()
        work()
        synchronize(bench.device)
        if number >= 4:
            times.append(time.perf_counter() - began)
    return statistics.median(times)
