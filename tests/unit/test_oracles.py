"""Whether what the tests hold rcl against is what it was when rcl was last seen to agree with it."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

from tools import trim_model

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"


def test_botocore_has_not_moved() -> None:
    """If it has: `make gen`, look at the new shapes and at rows of tests/parity that differ, then pin the new one."""
    pinned = next(line for line in CONSTRAINTS.read_text("utf-8").splitlines() if line.startswith("botocore=="))
    shipped = json.loads(trim_model.TARGET.read_text("utf-8"))
    assert trim_model.trimmed() == shipped, f"botocore {version('botocore')} has another model than {pinned}"
