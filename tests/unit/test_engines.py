"""Who gets the device when: lone images, company, batches by shape, failures, and turns that come too late."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rcl_cli.backends.base import Prepared
from rcl_cli.errors import InvalidImageFormat, ProvisionedThroughputExceeded
from rcl_cli.inference.engines import Batches, SideBySide
from rcl_cli.inference.host import Host, Request, WorkerProcess
from tests.conftest import wait_until


def later(seconds: float = 60) -> float:
    return time.monotonic() + seconds


def image(value: int, side: int = 4) -> Callable[[], Prepared]:
    return lambda: Prepared(np.full((side, side, 3), value, dtype=np.uint8))


def answer(pixels: Any) -> Any:
    """What the fake network says: each image's value."""
    return pixels[:, 0, 0, :1].astype(np.float32)


class Held:
    """A network that waits until it is let go, and remembers its batches."""

    def __init__(self, answer_with: Callable[[Any], Any] = answer) -> None:
        self.go, self.batches, self._answer = threading.Event(), list[tuple[int, ...]](), answer_with

    def __call__(self, pixels: Any) -> Any:
        self.batches.append(pixels.shape)
        assert self.go.wait(60)
        return self._answer(pixels)


def test_a_lone_image_gets_all_cores() -> None:
    engine = SideBySide(answer, lambda: pytest.fail("it was alone"), 2)
    for value in range(3):
        prepared, output = engine.run(image(value), later())
        assert prepared.pixels[0, 0, 0] == output[0] == value


def test_images_that_meet_get_a_core_each() -> None:
    wide, narrow = Held(), Held()
    engine = SideBySide(wide, lambda: narrow, 2)
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(engine.run, image(1), later())]
        wait_until(lambda: len(wide.batches) == 1)
        futures += [pool.submit(engine.run, image(value), later()) for value in (2, 3)]
        wait_until(lambda: len(narrow.batches) == 1)
        # Two cores, two at work: the third waits.
        assert len(wide.batches) + len(narrow.batches) == 2
        wide.go.set()
        narrow.go.set()
        assert sorted(float(f.result()[1][0]) for f in futures) == [1, 2, 3]
    assert len(wide.batches) + len(narrow.batches) == 3


def test_a_turn_that_comes_too_late_is_refused() -> None:
    held = Held()
    engine = SideBySide(held, lambda: held, 1)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(engine.run, image(1), later())
        wait_until(lambda: len(held.batches) == 1)
        with pytest.raises(ProvisionedThroughputExceeded):
            engine.run(image(2), later(0.05))
        held.go.set()
        assert first.result()[1][0] == 1
    # And the place that it waited for is free again.
    assert engine.run(image(3), later())[1][0] == 3


def test_an_image_that_fails_leaves_its_core() -> None:
    def broken() -> Prepared:
        raise InvalidImageFormat("no image")

    for engine in (SideBySide(answer, lambda: answer, 1), Batches(answer, 1)):
        for _ in range(3):
            with pytest.raises(InvalidImageFormat):
                engine.run(broken, later())
        assert engine.run(image(5), later())[1][0] == 5


def test_batches_are_of_one_shape_and_keep_whose_answer_is_whose() -> None:
    held = Held()
    engine = Batches(held, 4)
    with ThreadPoolExecutor(64) as pool:
        futures = [pool.submit(engine.run, image(0), later())]
        wait_until(lambda: len(held.batches) == 1)
        sides = [4 if value % 3 else 6 for value in range(1, 40)]
        futures += [pool.submit(engine.run, image(value, side), later()) for value, side in enumerate(sides, 1)]
        wait_until(lambda: engine._arriving.qsize() == len(sides))
        held.go.set()
        assert [float(f.result()[1][0]) for f in futures] == list(range(40))
    assert held.batches[0] == (1, 4, 4, 3)
    assert max(shape[0] for shape in held.batches) == 16
    assert sum(shape[0] for shape in held.batches if shape[1] == 6) == sides.count(6)


def test_a_batch_that_fails_fails_alone() -> None:
    def fragile(pixels: Any) -> Any:
        if pixels.shape[1] == 6:
            raise RuntimeError("out of memory")
        return answer(pixels)

    engine = Batches(fragile, 2)
    with pytest.raises(RuntimeError, match="out of memory"):
        engine.run(image(1, 6), later())
    assert engine.run(image(2), later())[1][0] == 2


def test_waiting_images_past_their_deadline_are_refused() -> None:
    held = Held()
    engine = Batches(held, 4)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(engine.run, image(1), later())
        wait_until(lambda: len(held.batches) == 1)
        late = pool.submit(engine.run, image(2), later(0.3))
        patient = pool.submit(engine.run, image(3), later())
        wait_until(lambda: engine._arriving.qsize() == 2)
        time.sleep(0.4)
        held.go.set()
        assert first.result()[1][0] == 1
        with pytest.raises(ProvisionedThroughputExceeded):
            late.result()
        assert patient.result()[1][0] == 3


# --- how many workers -------------------------------------------------------------------------------------------------


class Fake:
    """Stands for a worker's process."""

    def __init__(self, pid: int) -> None:
        self.pid, self.ended = pid, False

    def terminate(self) -> None:
        self.ended = True


def host_of(folder: Path, loads: list[int], least: int, most: int) -> tuple[Host, list[int]]:
    """A host with workers of such loads, and the pids that it starts."""
    host = Host(Request(folder, str(folder), str(folder / "s"), "n", least, most), lambda: None)
    host._full_since = host._idle_since = 0.0
    started: list[int] = []

    def spawn() -> None:
        pid = len(host._workers) + 1
        worker = object.__new__(WorkerProcess)
        worker.process, worker.load, worker.is_ready = Fake(pid), 0, True  # type: ignore[assignment]
        host._workers[pid] = worker
        started.append(pid)

    host._spawn_worker = spawn  # type: ignore[method-assign]
    for load in loads:
        spawn()
        host._workers[len(host._workers)].load = load
    started.clear()
    return host, started


def test_a_host_grows_only_after_a_while_of_full_hands(tmp_path: Path) -> None:
    host, started = host_of(tmp_path, [20], 1, 3)
    for now in (0.0, 0.5, 0.9):
        host._scale(now)
    assert started == []
    host._scale(1.0)
    assert started == [2]
    # The new one must have had time to take its share.
    host._scale(1.5)
    assert started == [2]
    host._workers[2].load = 20
    host._scale(2.1)
    assert started == [2]
    host._scale(2.6)
    assert started == [2, 3]
    for now in (4.0, 9.0):
        host._scale(now)
    assert started == [2, 3], "more than the most"


def test_a_short_rush_does_not_count(tmp_path: Path) -> None:
    host, started = host_of(tmp_path, [20], 1, 3)
    host._scale(0.6)
    host._workers[1].load = 0
    host._scale(1.2)
    host._workers[1].load = 20
    host._scale(1.8)
    assert started == []


def test_a_host_that_is_idle_for_long_shrinks_to_its_least(tmp_path: Path) -> None:
    host, _ = host_of(tmp_path, [0, 0, 0], 1, 3)
    now = 0.0
    while now < 200:
        host._scale(now)
        now += 0.5
    ended = [pid for pid, worker in host._workers.items() if worker.process.ended]  # type: ignore[attr-defined]
    assert ended == [2, 3]
    assert host._leaving == {2, 3}
