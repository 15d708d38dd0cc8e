"""What flows tell while they go on: typed events. A terminal shows them as text, a page as a page, a test as a list.

A flow is a function that is given `tell`, and calls it with each event. It never prints and never asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rcl_cli.errors import ServiceError
    from rcl_cli.local.datasets.sources import Count


@dataclass(frozen=True, slots=True)
class Counted:
    """So many are done of work whose length nobody knows."""

    what: str
    done: int


@dataclass(frozen=True, slots=True)
class Planned:
    """So much is to be done; what is done of it is told one by one."""

    what: str
    total: int


@dataclass(frozen=True, slots=True)
class Answered:
    """A model said something about an image, or why it could not."""

    source_ref: str
    error: ServiceError | None


@dataclass(frozen=True, slots=True)
class Understood:
    """Labelled images that were read.

    Args:
        parts: `train` and `test`, and what they hold.
        notes: what was left out, a line a reason.
    """

    parts: Mapping[str, Count]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Noted:
    """What was left out of what was read, a line a reason."""

    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Called:
    """A call of the API that was made, and that whoever asked may repeat.

    Args:
        result: what it answered.
        is_elsewhere: in another account.
    """

    operation: str
    params: Mapping[str, object]
    result: Mapping[str, Any]
    is_elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Moved:
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


@dataclass(frozen=True, slots=True)
class Agreement:
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


@dataclass(frozen=True, slots=True)
class Tried:
    """An exported model's own script was held against the evaluation, or why it was not."""

    agreement: Agreement | str


@dataclass(frozen=True, slots=True)
class Begun:
    """A training began. From here on it goes on whatever becomes of who watches it.

    Args:
        short: PROJECT/VERSION.
    """

    version_arn: str
    short: str


@dataclass(frozen=True, slots=True)
class Left:
    """Whoever watched a training does so no more.

    Args:
        is_training: it goes on; else the model is trained.
    """

    short: str
    is_training: bool


@dataclass(frozen=True, slots=True)
class Ready:
    """A model is trained and does not run, as was asked for."""

    short: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a training stands.

    Args:
        progress: the fields of `domain.Progress`, None where nothing is told.
    """

    version_arn: str
    status: str
    message: str
    progress: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What a trained model does on its test images: the evaluation summary of the API."""

    version_arn: str
    summary: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Contested:
    """How recipes did that competed, best first; see `training.contest.Row`."""

    rows: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that whoever asked should know; the flow goes on."""

    text: str


@dataclass(frozen=True, slots=True)
class Relaxed:
    """The thresholds of a version were set as low as leaves its figures."""

    short: str


@dataclass(frozen=True, slots=True)
class Preceded:
    """There is a version that was trained before it, to compare with."""

    before: str
    short: str


@dataclass(frozen=True, slots=True)
class Wrote:
    """A file was written; `what` says what it is."""

    what: str
    path: Path


@dataclass(frozen=True, slots=True)
class Running:
    """A model runs."""

    version_arn: str
    short: str


Event = (
    Counted | Planned | Answered | Understood | Noted | Called | Moved | Tried | Begun | Left | Ready | Standing
    | Evaluated | Contested | Warned | Relaxed | Preceded | Wrote | Running
)  # fmt: skip
Tell = Callable[[Event], None]


def counter(what: str, tell: Tell) -> Callable[[int], None]:
    """Tells how many are done; that it begins, at once."""

    def step(done: int) -> None:
        tell(Counted(what, done))

    step(0)
    return step
