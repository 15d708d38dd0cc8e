"""Processes that run modules of rcl, wherever it is installed and whatever folder they are started in."""

from __future__ import annotations

import os
import sys


def command(module: str, *words: str) -> list[str]:
    """The command line of a process; what lies in the current folder is not imported."""
    return [sys.executable, "-P", "-m", module, *words]


def environment(**more: str) -> dict[str, str]:
    """This process's variables and more, with rcl first on the module path."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    rest = os.environ.get("PYTHONPATH")
    return {**os.environ, **more, "PYTHONPATH": f"{root}{os.pathsep}{rest}" if rest else root}
