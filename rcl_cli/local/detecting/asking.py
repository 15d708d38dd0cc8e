"""Asking a model about many images at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from rcl_cli.context import Context
from rcl_cli.errors import ProvisionedThroughputExceeded, ResourceNotReady, ServiceError
from rcl_cli.local.detecting.detectors import Detector, Found
from rcl_cli.local.detecting.sources import read_image

_RETRY_S = 0.05


class Answer(NamedTuple):
    """What came of one image: what was found, or why nothing could be."""

    source_ref: str
    found: Found | None = None
    error: ServiceError | None = None


def detect_all(
    context: Context,
    detector: Detector,
    source_refs: Iterable[str],
    min_confidence: float | None,
    max_results: int | None,
    threads: int,
) -> Generator[Answer, None, None]:
    """Ask about many images at once; answers come in the images' order. Closed early, it waits for those under way.

    Raises:
        ResourceNotReady: the model is gone.
    """
    over = threading.Event()

    def ask(source_ref: str) -> Answer:
        try:
            image = read_image(context, source_ref)
            while True:
                try:
                    return Answer(source_ref, detector(image, min_confidence, max_results))
                except ProvisionedThroughputExceeded:
                    # Others ask it too; there is no hurry.
                    if over.wait(_RETRY_S):
                        raise
        except ResourceNotReady:
            raise
        except ServiceError as error:
            return Answer(source_ref, error=error)

    pending: deque[Future[Answer]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for source_ref in source_refs:
                pending.append(pool.submit(ask, source_ref))
                # Some more than threads, so that one slow image does not hold up the others.
                if len(pending) >= 4 * threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            over.set()
            pool.shutdown(wait=False, cancel_futures=True)
