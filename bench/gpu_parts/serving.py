"""Running models on the GPU: do the forms agree, how fast are hosts, and do two models fit side by side."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accuracy import truth

from gpu_parts.common import ROOT, Bench, Home, gpu_memory_mb, taken_since
from gpu_parts.machine import decoding_rate

PAIR_CLIENTS, MOST_IN_BATCH = 32, 16


# --- agreement --------------------------------------------------------------------------------------------------------


def agreement(bench: Bench) -> None:
    """Figures on the test sets: the form that serves, and single precision with and without graphs, against the CPU."""
    for name in ("bccd", "signs"):
        home = Home(bench, name, name)
        samples = test_samples(home)
        reference = figures(home, samples, "cpu", half=False)
        tried = [("single", False)] if bench.device == "cpu" else [("single", False), ("half", True)]
        for precision, half in tried:
            ours = figures(home, samples, bench.device, half=half)
            where = f"torch on the CPU: {reference[0]:.4f}"
            bench.say(
                f"{name}: {precision} precision on the device, {reference[2]} difference", abs(ours[0] - reference[0]),
                against=where, bar=0.005,
            )  # fmt: skip
            from rcl_cli.backends.runtimes.forms import disagreement

            bench.say(f"{name}: {precision} precision, largest score difference", disagreement(ours[1], reference[1]))


def test_samples(home: Home) -> list[Any]:
    from rcl_cli.domain import Box, Sample

    found = []
    for image in truth(home.manifests / "test.manifest"):
        boxes = tuple((name, Box(b[0], b[1], b[2] - b[0], b[3] - b[1])) for name, b in image["boxes"])
        found.append(Sample(str(home.bench.data / image["bucket"] / image["key"]), tuple(image["labels"]), boxes))
    return found


def figures(home: Home, samples: Sequence[Any], device: str, *, half: bool) -> tuple[float, list[Any], str]:
    """(AP50 or F1, what was found, the figure's name); three times, so that graphs are recorded on the way."""
    from rcl_cli.backends import registry
    from rcl_cli.backends.predictors import predict
    from rcl_cli.evaluation.metrics import evaluate, match_image

    card, _ = registry.read_card(home.model)
    predictor = registry.on_torch(card, home.model, device, half=half)
    for _ in range(1 if device == "cpu" else 3):
        found = predict(predictor, [sample.path for sample in samples])
    matched = [match_image(one, sample) for one, sample in zip(found, samples, strict=True)]
    result = evaluate(card.labels, samples, matched)
    if home.name == "bccd":
        return float(result.mean("average_precision")), found, "AP50"
    return float(result.f1), found, "F1"


# --- one host ---------------------------------------------------------------------------------------------------------


def host(bench: Bench) -> None:
    """The detector's host against the bare network in the same form, and against decoding."""
    home, pictures = Home(bench, "bccd", "bccd"), bench.pictures("bccd")
    forward, batch = bare_rate(bench, home, pictures)
    bench.say(f"bare forward, batch {batch}: images a second", forward, "images/s")
    size_px = int(home.card["card"]["image_size"])
    decode = decoding_rate(pictures, size_px)
    bench.say("decoding on all cores: images a second", decode, "images/s")
    before = gpu_memory_mb()
    began = time.monotonic()
    with home.started() as where:
        bench.say("from start-project-version to RUNNING", time.monotonic() - began, "s")
        load(bench, where, pictures, bench.pick(16, 2), "warming up: ")
        bench.say("GPU memory of a host with one worker", taken_since(before), "MiB")
        alone(bench, home, where, pictures)
        for clients in bench.pick((8, 32, 64, 128), (2, 4)):
            rate = load(bench, where, pictures, clients)
            if clients == 64 or bench.tiny:
                ceiling = min(forward, decode)
                bench.say(
                    f"{clients} clients",
                    rate / forward,
                    "×",
                    against=f"bare forward: {forward:.4g}/s",
                    bar=0.9,
                    at_least=True,
                )
                bench.say(f"{clients} clients", rate / ceiling, "×", against=f"the lower ceiling: {ceiling:.4g}/s")
    workers = bench.pick(6, 2)
    with home.started(workers) as where:
        load(bench, where, pictures, bench.pick(64, 4), f"{workers} workers: ")


def alone(bench: Bench, home: Home, where: tuple[str, str], pictures: Sequence[Path]) -> None:
    """One client on an open connection, in turns with decode and forward in this process."""
    import numpy as np

    from rcl_cli.backends.registry import load_predictor
    from rcl_cli.config import cpu_cores
    from rcl_cli.inference.client import HostConnection

    predictor = load_predictor(home.model, bench.device, cpu_cores())
    images = [path.read_bytes() for path in pictures]
    asked, plain = [], []
    with HostConnection(*where) as connection:
        for number in range(bench.pick(220, 12)):
            image = images[number % len(images)]
            began = time.perf_counter()
            connection.detect(image, None, None)
            middle = time.perf_counter()
            predictor.forward(np.ascontiguousarray(predictor.prepare(image).pixels[None]))
            if number >= bench.pick(20, 2):
                asked.append(middle - began)
                plain.append(time.perf_counter() - middle)
    mine, theirs = 1000 * statistics.median(asked), 1000 * statistics.median(plain)
    bench.say("one client, median", mine, "ms")
    bench.say("one client, p99", 1000 * sorted(asked)[int(0.99 * len(asked))], "ms")
    bench.say("one client", mine / theirs, "×", against=f"decode and forward: {theirs:.3g} ms", bar=1.3)


def bare_rate(bench: Bench, home: Home, pictures: Sequence[Path]) -> tuple[float, int]:
    """Images a second through the network alone, pixels there and scores back, with the best batch; and that batch."""
    import numpy as np

    from rcl_cli.backends.registry import load_predictor
    from rcl_cli.config import cpu_cores

    predictor = load_predictor(home.model, bench.device, cpu_cores())
    prepared = [predictor.prepare(path).pixels for path in pictures]
    shape = prepared[0].shape
    alike = [pixels for pixels in prepared if pixels.shape == shape]
    rates = {}
    for batch in bench.pick((1, 4, 16, 32, 64), (1, 4)):
        pixels = np.stack([alike[number % len(alike)] for number in range(batch)])
        times = []
        for number in range(bench.pick(40, 6)):
            began = time.perf_counter()
            predictor.forward(pixels)
            if number >= 5:
                times.append(time.perf_counter() - began)
        rates[batch] = batch / statistics.median(times)
        bench.say(f"bare forward, batch {batch}", 1000 * statistics.median(times), "ms")
    # The host never makes larger ones.
    best = max((batch for batch in rates if batch <= MOST_IN_BATCH), key=lambda batch: rates[batch])
    return rates[best], best


class Clients:
    """Clients of a host in processes of their own, as many connections in each as in the others."""

    def __init__(self, where: tuple[str, str], pictures: Sequence[Path], clients: int, requests: int) -> None:
        processes = min(4, clients)
        each = [str(clients // processes), str(requests // processes)]
        words = [sys.executable, str(ROOT / "bench" / "load.py"), *where, *each, *map(str, pictures)]
        self._processes = [
            subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)
        ]
        for process in self._processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"

    def run(self) -> list[dict[str, Any]]:
        """Begin at once, and what each process saw."""
        said: list[str] = [""] * len(self._processes)

        def ask(number: int) -> None:
            said[number], _ = self._processes[number].communicate("go\n")

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(said))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [json.loads(text) for text in said]


def measured(seen: Sequence[dict[str, Any]]) -> tuple[float, list[float], int]:
    """(answers a second, latencies in ms in order, refusals)."""
    latencies = sorted(1000 * s for one in seen for s in one["latencies_s"])
    took = max(one["ended"] for one in seen) - min(one["began"] for one in seen)
    return len(latencies) / took, latencies, sum(len(one["refused"]) for one in seen)


def load(bench: Bench, where: tuple[str, str], pictures: Sequence[Path], clients: int, prefix: str = "") -> float:
    """Answers a second for so many clients."""
    requests = bench.pick(max(1000, 20 * clients), 10 * clients)
    rate, latencies, refused = measured(Clients(where, pictures, clients, requests).run())
    p50, p99 = latencies[len(latencies) // 2], latencies[int(0.99 * len(latencies))]
    bench.say(f"{prefix}{clients} clients: answers a second", rate, "images/s")
    bench.say(f"{prefix}{clients} clients: p50, p99", f"{p50:.3g}, {p99:.3g}", "ms")
    if refused:
        bench.say(f"{prefix}{clients} clients: refused", refused)
    return rate


# --- two hosts --------------------------------------------------------------------------------------------------------


def pair(bench: Bench) -> None:
    """A detector and a classifier on one GPU, both busy: what each still answers."""
    homes = {name: Home(bench, name, name) for name in ("bccd", "signs")}
    clients = bench.pick(PAIR_CLIENTS, 2)
    before = gpu_memory_mb()
    with homes["bccd"].started() as one, homes["signs"].started() as other:
        places = {"bccd": one, "signs": other}
        requests = {name: bench.pick(2000, 20) for name in places}
        single = {
            name: measured(Clients(where, bench.pictures(name), clients, requests[name]).run())[0]
            for name, where in places.items()
        }
        # As long as each other, so that neither runs alone at the end.
        slowest = min(single.values())
        together = {
            name: Clients(where, bench.pictures(name), clients, int(requests[name] * single[name] / slowest))
            for name, where in places.items()
        }
        seen: dict[str, float] = {}

        def ask(name: str) -> None:
            seen[name] = measured(together[name].run())[0]

        threads = [threading.Thread(target=ask, args=(name,)) for name in places]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name in places:
            alone_s = f"alone: {single[name]:.4g}/s"
            bench.say(f"{name}, {clients} clients, beside the other model", seen[name], "images/s", against=alone_s)
        bench.say("GPU memory of both hosts", taken_since(before), "MiB")
