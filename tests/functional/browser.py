"""A real browser without a window: what a page is once its script has run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

needs_browser = pytest.mark.skipif(BROWSER is None, reason="needs Chromium")


def opened(url: str, profile: Path, *, may_complain: bool = False) -> str:
    """The document after its script; fails where the script, or the browser about it, complained."""
    words = [
        str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--log-level=0",
        f"--user-data-dir={profile}", "--virtual-time-budget=3000", "--dump-dom", url,
    ]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    complaints = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    assert may_complain or complaints == []
    return done.stdout
