"""Packages of npm that tests and checks use: those of tests/javascript/package.json, at these versions."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "tests" / "javascript"


class NoPackagesError(Exception):
    """Why they can't be had."""


def node_with_packages() -> str:
    """The path of a node; installs the packages where they are not there yet.

    Raises:
        NoPackagesError: there is no node, or the packages can't be installed.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise NoPackagesError("node and npm are not both installed")
    wanted = json.loads((FOLDER / "package.json").read_text())["dependencies"]
    # Other processes may want them at the same moment.
    with (FOLDER / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all(_installed_version(name) == version for name, version in wanted.items()):
            _install(npm)
    return node


def _install(npm: str) -> None:
    # Not --silent, which keeps the reason of a failure to itself.
    words = [npm, "install", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(words, cwd=FOLDER, capture_output=True, text=True, timeout=180, check=False)
    except subprocess.TimeoutExpired as error:
        raise NoPackagesError("npm install did not end in time") from error
    if done.returncode:
        raise NoPackagesError(f"npm install failed: {' '.join(done.stderr.split())[:300]}")


def _installed_version(package: str) -> str | None:
    described = FOLDER / "node_modules" / package / "package.json"
    return str(json.loads(described.read_text())["version"]) if described.is_file() else None
