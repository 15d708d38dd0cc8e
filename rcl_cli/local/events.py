"""What flows tell while they go on: typed events. A terminal shows them as text, a page as a page, a test as a list.

A flow is a function that is given `tell`, and calls it with each event. It never prints and never asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from rcl_cli.errors import ServiceError
    from rcl_cli.local.datasets.sources import Count


class Counted(NamedTuple):
    """So many are done of work whose length nobody knows."""

    what: str
    done: int


class Planned(NamedTuple):
    """So much is to be done; what is done of it is told one by one."""

    what: str
    total: int


class Answered(NamedTuple):
    """A model said something about an image, or why it could not."""

    source_ref: str
    error: ServiceError | None


class Understood(NamedTuple):
    """Labelled images that were read.

    Args:
        parts: `train` and `test`, and what they hold.
        notes: what was left out, a line a reason.
    """

    parts: Mapping[str, Count]
    notes: tuple[str, ...]


class Noted(NamedTuple):
    """What was left out of what was read, a line a reason."""

    notes: tuple[str, ...]


class Called(NamedTuple):
    """A call of the API that was made, and that whoever asked may repeat.

    Args:
        result: what it answered.
        is_elsewhere: in another account.
    """

    operation: str
    params: Mapping[str, object]
    result: Mapping[str, Any]
    is_elsewhere: bool = False


class Moved(NamedTuple):
    """Datasets that went from one account to another.

    Args:
        entries: by part.
        moved, kept: images that were transferred, and that were there already.
        is_elsewhere: they went to the other account.
    """

    entries: Mapping[str, int]
    moved: int
    kept: int
    is_elsewhere: bool


class Agreement(NamedTuple):
    """What the exported model's own script says of the test images, beside what the model said in its evaluation.

    Args:
        images: that are still there, of `all`.
        f1, ap: macro F1 and mean average precision of the script's answers.
        f1_before, ap_before: of the evaluation's, on the same images.
    """

    images: int
    all: int
    f1: float
    f1_before: float
    ap: float
    ap_before: float


class Tried(NamedTuple):
    """An exported model's own script was held against the evaluation, or why it was not."""

    agreement: Agreement | str


class Begun(NamedTuple):
    """A training began. From here on it goes on whatever becomes of who watches it.

    Args:
        short: PROJECT/VERSION.
    """

    version_arn: str
    short: str


class Standing(NamedTuple):
    """Where a training stands.

    Args:
        progress: the fields of `domain.Progress`, None where nothing is told.
    """

    version_arn: str
    status: str
    message: str
    progress: Mapping[str, Any] | None


class Evaluated(NamedTuple):
    """What a trained model does on its test images: the evaluation summary of the API."""

    version_arn: str
    summary: Mapping[str, Any]


class Warned(NamedTuple):
    """Something that whoever asked should know; the flow goes on."""

    text: str


class Relaxed(NamedTuple):
    """The thresholds of a version were set as low as leaves its figures."""

    short: str


class Preceded(NamedTuple):
    """There is a version that was trained before it, to compare with."""

    before: str
    short: str


class Wrote(NamedTuple):
    """A file was written; `what` says what it is."""

    what: str
    path: Path


class Running(NamedTuple):
    """A model runs."""

    version_arn: str
    short: str


Event = (
    Counted | Planned | Answered | Understood | Noted | Called | Moved | Tried | Begun | Standing | Evaluated | Warned
    | Relaxed | Preceded | Wrote | Running
)  # fmt: skip
Tell = Callable[[Event], None]
