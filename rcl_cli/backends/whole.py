"""Whether a model's files are what training wrote.

A disk that lost something, a copy that was cut and a file that somebody replaced all look like a model; its card keeps
the size and the SHA-256 of each of its files.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from rcl_cli.backends.base import CARD_FILE, THRESHOLDS_FILE, WEIGHTS_FILE
from rcl_cli.backends.registry import read_card

# The card itself, and what owners change.
_UNSEALED = {CARD_FILE, THRESHOLDS_FILE}


def sealed(folder: Path) -> dict[str, dict[str, Any]]:
    """`bytes` and `sha256` of each file of a model, for its card."""
    return {
        path.name: {"bytes": path.stat().st_size, "sha256": _sha256(path)}
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name not in _UNSEALED
    }


def faults(folder: Path, *, hashed: bool) -> list[str]:
    """What is wrong with a model's files, a line each; of models of an older rcl only the weights are looked for.

    Args:
        hashed: read the files, and not only their sizes.

    Raises:
        ConfigError: the card is missing or damaged.
    """
    _, extra = read_card(folder)
    return [
        said
        for name, one in extra.get("files", {WEIGHTS_FILE: {}}).items()
        if (said := _fault(folder / name, one, hashed))
    ]


def _fault(path: Path, expected: dict[str, Any], hashed: bool) -> str:
    try:
        size = path.stat().st_size
        if not size or size != expected.get("bytes", size):
            return f"{path} has {size} bytes, not {expected.get('bytes', 'those of weights')}"
        if hashed and expected and _sha256(path) != expected["sha256"]:
            return f"{path} is not what training wrote"
    except OSError as error:
        return f"{path} can't be read: {error.strerror}"
    return ""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
