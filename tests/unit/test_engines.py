"""Who gets the device when: lone images, company, batches by shape, failures, and turns that come too late."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from rcl_cli.backends.base import Prepared
from rcl_cli.errors import InvalidImageFormat, ProvisionedThroughputExceeded
from rcl_cli.inference.engines import Batches, SideBySide
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


def test_a_rest_gives_the_second_network_back_until_images_meet_again() -> None:
    made: list[Held] = []

    def narrow() -> Held:
        made.append(Held())
        made[-1].go.set()
        return made[-1]

    wide = Held()
    engine = SideBySide(wide, narrow, 2)

    def meet() -> None:
        wide.go.clear()
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(engine.run, image(1), later())
            wait_until(lambda: len(wide.batches) > 0)
            pool.submit(engine.run, image(2), later()).result()
            wide.go.set()
            first.result()
        wide.batches.clear()

    meet()
    meet()
    assert len(made) == 1
    engine.rest()
    meet()
    assert len(made) == 2


def test_the_tiles_of_an_image_go_alone() -> None:
    network = Held(lambda pixels: pixels[:, 0, 0, 0, :1].astype(np.float32))
    network.go.set()
    engine = Batches(network, 4)
    tiled = [lambda value=value: Prepared(np.full((3, 4, 4, 3), value, np.uint8)) for value in range(4)]
    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(lambda prepare: engine.run(prepare, later())[1], tiled))
    assert [int(one[0]) for one in outputs] == [0, 1, 2, 3]
    assert set(network.batches) == {(1, 3, 4, 4, 3)}
