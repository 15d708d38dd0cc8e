"""Trainings that share a device wait for each other: several at once take longer than one after the other.

A slot is a file that a training holds locked. Whoever dies gives it back.
"""

from __future__ import annotations

import fcntl
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rcl_cli.compute.liveness import is_locked, take_lock

_LOOK_S = 0.5


def device_of(requested: str) -> str:
    """The device that a training will take, told without torch, which takes seconds to import.

    Args:
        requested: the option `device`.
    """
    if requested == "auto":
        if Path("/dev/nvidia0").exists() or Path("/dev/dxg").exists():
            return "cuda:0"
        return "mps" if sys.platform == "darwin" and platform.machine() == "arm64" else "cpu"
    return "cuda:0" if requested == "cuda" else requested


@contextmanager
def slot(folder: Path, device: str, count: int, since_ns: int, wait: Callable[[int], None]) -> Iterator[None]:
    """Hold one of the slots of a device; the one that was asked for first gets the next that is free.

    Args:
        folder: of the home's slots.
        count: slots of the device.
        since_ns: when it was asked for.
        wait: told now and then, before the slot is there, how many trainings are at work or come first; may raise to
            give up.
    """
    place = folder / device.replace(":", "-")
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    ticket = _ticket(place, since_ns)
    try:
        held = None
        while (held := _free_slot(place, count) if not _ahead(place, ticket) else None) is None:
            wait(count + _ahead(place, ticket))
            time.sleep(_LOOK_S)
    finally:
        ticket_path, descriptor = ticket
        ticket_path.unlink(missing_ok=True)
        os.close(descriptor)
    try:
        yield
    finally:
        # Not by closing it alone: a process that was forked may have it open still.
        fcntl.flock(held, fcntl.LOCK_UN)
        os.close(held)


def _ticket(place: Path, since_ns: int) -> tuple[Path, int]:
    """A place in the queue: a file named after when it was asked for, locked as long as its owner waits."""
    while True:
        name = f"{since_ns:020d}-{os.getpid()}"
        descriptor = take_lock(place / f".{name}")
        if descriptor is not None:
            # Only now can others see it: one without a lock is of somebody who died.
            return (place / f".{name}").rename(place / f"waits-{name}"), descriptor


def _ahead(place: Path, ticket: tuple[Path, int]) -> int:
    """How many wait that came before; tickets of those that died are swept."""
    count = 0
    for path in place.glob("waits-*"):
        if path.name >= ticket[0].name:
            continue
        if is_locked(path):
            count += 1
        else:
            path.unlink(missing_ok=True)
    return count


def _free_slot(place: Path, count: int) -> int | None:
    for number in range(count):
        if (descriptor := take_lock(place / f"slot-{number}")) is not None:
            return descriptor
    return None
