"""Where work runs: a launcher starts it, looks after it and ends it, and nothing above knows how."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple, Protocol, cast

from rcl_cli.compute.folder import WorkFolder

# Each a module of this package with the functions of `Launcher`.
LAUNCHERS = ("local",)


class Usage(NamedTuple):
    """What work takes up.

    Args:
        where: for people: `process 4711`.
        processes: below the first one.
        memory_bytes: of all of them, what they share counted more than once.
    """

    where: str
    processes: int
    memory_bytes: int | None


class Claim(Protocol):
    """The right to decide about a piece of work: as long as it is held, nobody is at it and nobody begins it."""

    def start(self, module: str) -> None:
        """Start `python -m MODULE FOLDER`, which outlives this process, and pass the right on to it.

        Raises:
            OSError: it can't be started; where this is raised, nothing was.
        """
        ...

    def release(self) -> None:
        """Give the right back, unless it was passed on."""
        ...


class Launcher(Protocol):
    """A way to run work; each piece at most once at a time."""

    def claim(self, folder: WorkFolder) -> Claim | None:
        """The right to decide about it; None where it is at work, or somebody else decides.

        Raises:
            OSError: that can't be told.
        """
        ...

    def is_at_work(self, folder: WorkFolder) -> bool:
        """Whether it runs, as far as can be told; never false while it does."""
        ...

    def stop(self, folder: WorkFolder) -> None:
        """Ask it to end; asking twice does no harm."""
        ...

    def is_frozen(self, folder: WorkFolder) -> bool:
        """Whether it was stopped in a way that lets it do nothing, not even end; as far as can be told."""
        ...

    def kill(self, folder: WorkFolder) -> None:
        """End it and all that it started, whatever they are doing."""
        ...

    def usage(self, folder: WorkFolder) -> Usage | None:
        """What it takes up, None where that can't be told."""
        ...


def start(launcher: Launcher, module: str, folder: WorkFolder) -> bool:
    """Start a piece of work that waits for it.

    Returns:
        False where it is at work already, or there is nothing left to do.

    Raises:
        OSError: it can't be started.
    """
    claim = launcher.claim(folder)
    if claim is None:
        return False
    try:
        if not folder.is_prepared or folder.outcome() is not None:
            return False
        claim.start(module)
    finally:
        claim.release()
    return True


def launcher(name: str = "local") -> Launcher:
    """The launcher of that name."""
    return cast("Launcher", import_module(f"rcl_cli.compute.{LAUNCHERS[LAUNCHERS.index(name)]}"))
