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
from rcl_cli.inference.scaling import Scaling
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


def test_a_host_grows_only_after_a_while_of_full_hands() -> None:
    scaling = Scaling(1, 3, 0.0)
    assert [scaling.decide([20], now) for now in (0.0, 0.5, 0.9, 1.0)] == [0, 0, 0, 1]
    # The new one must have had time to take its share, and to get ready before.
    assert scaling.decide([20, None], 1.5) == 0
    assert scaling.decide([20, 20], 2.1) == 0
    assert scaling.decide([20, 20], 2.6) == 1
    assert [scaling.decide([20, 20, 20], now) for now in (4.0, 9.0)] == [0, 0], "more than the most"


def test_a_short_rush_does_not_count() -> None:
    scaling = Scaling(1, 3, 0.0)
    assert [scaling.decide([load], now) for load, now in ((20, 0.6), (0, 1.2), (20, 1.8))] == [0, 0, 0]


def test_a_host_that_is_idle_for_long_shrinks_to_its_least() -> None:
    scaling, workers, changes = Scaling(1, 3, 0.0), 3, []
    for tick in range(400):
        if change := scaling.decide([0] * workers, tick / 2):
            workers += change
            changes.append(tick / 2)
    assert (workers, changes) == (1, [30.0, 60.0])
