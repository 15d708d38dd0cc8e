"""Where requests wait: lanes with so many threads and places, so that overload is refused and not queued."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from rcl_cli.errors import ProvisionedThroughputExceeded


class Lane:
    """Threads for one kind of work; used from one event loop.

    Args:
        threads: work done at once.
        waiting: work that may wait for a thread.
    """

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._places = threads + waiting
        self._taken = 0

    async def run(self, work: Callable[[], Any]) -> Any:
        """Do the work on a thread.

        Raises:
            ProvisionedThroughputExceeded: all places are taken.
        """
        if self._taken >= self._places:
            raise ProvisionedThroughputExceeded("Too many requests are being answered: try again a little later.")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        future = self._executor.submit(work)
        self._taken += 1
        future.add_done_callback(partial(self._tell, loop, answer))
        try:
            return await answer
        finally:
            # An error would hold this frame, the frame the futures, and they the error, until the garbage collector
            # comes by; and with them the request's body, whose memory has long been given to others.
            del future, answer

    def _tell(self, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[Any], done: Future[Any]) -> None:
        """Wake the loop, once: that costs a tenth of a millisecond. One that is closed asks no more."""
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._finish, answer, done)

    def _finish(self, answer: asyncio.Future[Any], done: Future[Any]) -> None:
        # A caller may have given up long ago; its place is free only now that the thread is.
        self._taken -= 1
        if answer.cancelled():
            return
        if done.cancelled():
            answer.cancel()
        elif error := done.exception():
            # A future takes no StopIteration.
            answer.set_exception(RuntimeError(repr(error)) if isinstance(error, StopIteration) else error)
        else:
            answer.set_result(done.result())

    def is_busy(self) -> bool:
        return self._taken > 0

    def close(self) -> None:
        """Take no more work; what is at work goes on."""
        self._executor.shutdown(wait=False, cancel_futures=True)


class Memory:
    """Bytes of request bodies that are held at once, over all requests."""

    def __init__(self, limit_bytes: int) -> None:
        self._left = limit_bytes

    def take(self, size_bytes: int) -> None:
        """Reserve room.

        Raises:
            ProvisionedThroughputExceeded: there is none.
        """
        if size_bytes > self._left:
            raise ProvisionedThroughputExceeded("Too much data is being received: try again a little later.")
        self._left -= size_bytes

    def give_back(self, size_bytes: int) -> None:
        self._left += size_bytes
