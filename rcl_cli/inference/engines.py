"""Who gets the device when: many threads come with images, and a lone one must not wait for company.

Two ways, because devices differ. An accelerator does several images in the time of one: they go through the network in
batches. A CPU does not: there the images of a busy server go side by side, each on a core of its own, which spares the
cores from waiting for each other, and a lone image gets all of them (bench/RESULTS.md has both).
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from rcl_cli.errors import ProvisionedThroughputExceeded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rcl_cli.backends.base import Prepared

    Forward = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

BUSY = "The model has more requests than it can answer: try again."
_MOST_IN_BATCH = 16
_QUEUE_LENGTH = 128
_DIMENSIONS_OF_TILES = 4


class Engine(Protocol):
    """Prepares images and runs the network."""

    def run(self, prepare: Callable[[], Prepared], deadline: float) -> tuple[Prepared, NDArray[np.float32]]:
        """An image, and what the network says about it.

        Args:
            deadline: of `time.monotonic`; whoever asks does not wait longer.

        Raises:
            ProvisionedThroughputExceeded: its turn would come too late.
        """
        ...

    def rest(self) -> None:
        """Give back what only many requests need; none is here."""
        ...


class _Turns:
    """So many at once, the others wait."""

    def __init__(self, count: int) -> None:
        self._free = threading.BoundedSemaphore(count)

    @contextmanager
    def turn(self, deadline: float) -> Iterator[None]:
        if not self._free.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise ProvisionedThroughputExceeded(BUSY)
        try:
            yield
        finally:
            self._free.release()


class SideBySide:
    """Each image on the thread that brings it.

    Args:
        wide: runs the network on all cores.
        narrow: gives what runs it on one core; asked for when images first meet.
        cores: images at once.
    """

    def __init__(self, wide: Forward, narrow: Callable[[], Forward], cores: int) -> None:
        self._wide, self._make_narrow = wide, narrow
        self._narrow: Forward | None = None
        self._turns = _Turns(cores)
        self._lock, self._making = threading.Lock(), threading.Lock()
        self._here = 0

    def run(self, prepare: Callable[[], Prepared], deadline: float) -> tuple[Prepared, NDArray[np.float32]]:
        with self._lock:
            self._here += 1
        try:
            with self._turns.turn(deadline):
                prepared = prepare()
                return prepared, self._forward()(prepared.pixels[None])[0]
        finally:
            with self._lock:
                self._here -= 1

    def rest(self) -> None:
        """See `Engine`: the network for images that meet is made again when they do."""
        with self._making:
            self._narrow = None

    def _forward(self) -> Forward:
        if self._here == 1:
            return self._wide
        with self._making:
            if self._narrow is None:
                try:
                    self._narrow = self._make_narrow()
                except Exception as error:  # noqa: BLE001 - too little memory, say; the first one does it as well
                    print(f"images share one network: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
                    self._narrow = self._wide
            return self._narrow


class _Waiting(NamedTuple):
    pixels: NDArray[np.uint8]
    deadline: float
    future: Future[NDArray[np.float32]]


class Batches:
    """Images are prepared on the threads that bring them; one thread owns the device.

    The first image opens a batch, and those of its shape that wait already join it.

    Args:
        cores: images prepared at once; more would make all of them late.
    """

    def __init__(self, forward: Forward, cores: int) -> None:
        self._forward_batch = forward
        self._turns = _Turns(max(2, cores))
        self._arriving: queue.Queue[_Waiting] = queue.Queue(_QUEUE_LENGTH)
        self._waiting: deque[_Waiting] = deque()
        threading.Thread(target=self._work, daemon=True).start()

    def run(self, prepare: Callable[[], Prepared], deadline: float) -> tuple[Prepared, NDArray[np.float32]]:
        with self._turns.turn(deadline):
            # A bad image fails here, before it meets others.
            prepared = prepare()
        future: Future[NDArray[np.float32]] = Future()
        try:
            self._arriving.put_nowait(_Waiting(prepared.pixels, deadline, future))
        except queue.Full as error:
            raise ProvisionedThroughputExceeded(BUSY) from error
        return prepared, future.result()

    def rest(self) -> None:
        """See `Engine`."""

    def _work(self) -> None:
        while True:
            batch = self._next_batch()
            if not batch:
                continue
            try:
                outputs = self._forward_batch(_stacked([one.pixels for one in batch]))
                answers = list(zip(batch, outputs, strict=True))
            except Exception as error:  # noqa: BLE001 - the thread must live; callers get the error
                for one in batch:
                    one.future.set_exception(error)
                continue
            for one, output in answers:
                one.future.set_result(output)

    def _next_batch(self) -> list[_Waiting]:
        """The oldest image and others of its shape; waits until there is one."""
        if not self._waiting:
            self._waiting.append(self._arriving.get())
        try:
            while True:
                self._waiting.append(self._arriving.get_nowait())
        except queue.Empty:
            pass
        shape = self._waiting[0].pixels.shape
        # The tiles of a large image are a batch by themselves.
        most = 1 if len(shape) == _DIMENSIONS_OF_TILES else _MOST_IN_BATCH
        batch: list[_Waiting] = []
        others: deque[_Waiting] = deque()
        now = time.monotonic()
        for one in self._waiting:
            if one.deadline < now:
                one.future.set_exception(ProvisionedThroughputExceeded(BUSY))
            elif one.pixels.shape == shape and len(batch) < most:
                batch.append(one)
            else:
                others.append(one)
        self._waiting = others
        return batch


def _stacked(images: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    if len(images) == 1:
        return images[0][None]
    import numpy as np

    return np.stack(images)
