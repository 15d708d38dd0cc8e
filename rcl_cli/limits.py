"""The service's limits on images and data sets, and what holds here: they may be lifted for local work.

What holds is a matter of the whole process: images are decoded deep inside, where nobody asks for settings. Processes
that rcl starts learn it from `RCL_LIMITS` (`child.environment`), which users may set too.
"""

from __future__ import annotations

import os
from typing import Literal, NamedTuple

Kept = Literal["service", "none"]
VARIABLE = "RCL_LIMITS"

MIN_SIDE_PX = 64
MAX_ASPECT_RATIO = 20


class Limits(NamedTuple):
    """The most that there may be.

    Args:
        boxes: in an image of a data set.
        labels: of a data set.
        side_px: of an image, each way.
        file_bytes: of an image.
        line_chars: of a manifest's line.
        megapixels: of an image.
    """

    boxes: int
    labels: int
    side_px: int
    file_bytes: int
    line_chars: int
    megapixels: int


SERVICE = Limits(
    boxes=50, labels=250, side_px=4096, file_bytes=15 * 2**20, line_chars=100_000, megapixels=17
)  # fmt: skip
# Some there must be: a file that claims more pixels than memory holds is an attack.
LIFTED = Limits(
    boxes=10_000, labels=10_000, side_px=32_768, file_bytes=512 * 2**20, line_chars=10_000_000, megapixels=170
)  # fmt: skip
_kept: Kept = "none" if os.environ.get(VARIABLE) == "none" else "service"


def limits() -> Limits:
    """What holds in this process."""
    return LIFTED if _kept == "none" else SERVICE


def kept() -> Kept:
    """Which limits hold, by name."""
    return _kept


def keep(which: Kept) -> None:
    """Let limits hold, or not, in this process and in those that it starts."""
    global _kept
    _kept = which
