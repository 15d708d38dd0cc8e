"""Images that wait together go through the network together."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple

from rcl_cli.errors import ProvisionedThroughputExceeded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_BATCH = 4
BUSY = "The model has more requests than it can answer: try again."
_QUEUE_LENGTH = 128


class _Waiting(NamedTuple):
    pixels: NDArray[np.uint8]
    deadline: float
    future: Future[NDArray[np.float32]]


class Batcher:
    """Groups waiting images into batches; one thread owns the device.

    The first image opens a batch, and those of its shape that wait already join it: a single request is never delayed.

    Args:
        forward: runs the network on (N, H, W, 3).
        most: images in a batch.
    """

    def __init__(self, forward: Callable[[NDArray[np.uint8]], NDArray[np.float32]], most: int) -> None:
        self._forward, self._most = forward, most
        self._arriving: queue.Queue[_Waiting] = queue.Queue(_QUEUE_LENGTH)
        self._waiting: deque[_Waiting] = deque()
        threading.Thread(target=self._run, daemon=True).start()

    def submit(self, pixels: NDArray[np.uint8], deadline: float) -> Future[NDArray[np.float32]]:
        """Queue an image.

        Args:
            pixels: (H, W, 3), uint8.
            deadline: of `time.monotonic`; whoever asks does not wait longer.

        Returns:
            The network's output for the image; or ProvisionedThroughputExceeded, if its turn comes too late.

        Raises:
            ProvisionedThroughputExceeded: too many wait already.
        """
        future: Future[NDArray[np.float32]] = Future()
        try:
            self._arriving.put_nowait(_Waiting(pixels, deadline, future))
        except queue.Full as error:
            raise ProvisionedThroughputExceeded(BUSY) from error
        return future

    def _run(self) -> None:
        while True:
            batch = self._next_batch()
            try:
                outputs = self._forward(_stacked([one.pixels for one in batch])) if batch else ()
            except Exception as error:  # noqa: BLE001 - the thread must live; callers get the error
                for one in batch:
                    one.future.set_exception(error)
                continue
            for one, output in zip(batch, outputs, strict=True):
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
        batch: list[_Waiting] = []
        others: deque[_Waiting] = deque()
        now = time.monotonic()
        for one in self._waiting:
            if one.deadline < now:
                late = ProvisionedThroughputExceeded("The model has more requests than it can answer in time.")
                one.future.set_exception(late)
            elif one.pixels.shape == shape and len(batch) < self._most:
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
