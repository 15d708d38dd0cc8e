"""Processes that run modules of rcl, wherever it is installed and whatever folder they are started in."""

from __future__ import annotations

import ctypes
import marshal
import os
import signal
import sys
from typing import IO, Any

from rcl_cli.limits import VARIABLE, kept

_LENGTH_BYTES = 8
# Later versions look for objects that occur twice, which costs more than it spares.
_MARSHAL_VERSION = 2
_PR_SET_PDEATHSIG = 1


def command(module: str, *words: str) -> list[str]:
    """The command line of a process; what lies in the current folder is not imported."""
    return [sys.executable, "-P", "-m", module, *words]


def environment(**more: str) -> dict[str, str]:
    """This process's variables and more, with rcl first on the module path, and the limits that hold here."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    rest = os.environ.get("PYTHONPATH")
    return {**os.environ, VARIABLE: kept(), **more, "PYTHONPATH": f"{root}{os.pathsep}{rest}" if rest else root}


def end_with_parent() -> None:
    """Let processes that are forked from this one end when they are told to, and when it ends, however it ends.

    Until they do, the GPU's memory that this one had stays taken.
    """
    libc = ctypes.CDLL(None)

    def adjust() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if sys.platform == "linux":
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    os.register_at_fork(after_in_child=adjust)


def die_with_parent() -> bool:
    """Let this process end at once when the one that started it does, however it ends; False if it has already.

    Linux only: elsewhere it ends when it next wants to tell that one something.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() != 1


def send(message: tuple[Any, ...], stream: IO[bytes]) -> None:
    """Write a message between processes of rcl: whatever `marshal` takes."""
    data = marshal.dumps(message, _MARSHAL_VERSION)
    stream.write(len(data).to_bytes(_LENGTH_BYTES, "big") + data)


def receive(stream: IO[bytes]) -> tuple[Any, ...]:
    """A message; `marshal.load` would read it from a pipe byte by byte.

    Raises:
        EOFError, ValueError, TypeError: there is no whole one.
    """
    length = int.from_bytes(stream.read(_LENGTH_BYTES), "big")
    message: tuple[Any, ...] = marshal.loads(stream.read(length))  # noqa: S302 - from a process of our own
    return message
