"""How far the queues of projects are, and how often which model was right."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from rcl_cli.context import Context
from rcl_cli.local.models.naming import find_project, short_name
from rcl_cli.status import FeedbackState
from rcl_cli.store import feedback, projects

_MOST = 100_000


class Counts(NamedTuple):
    """Images by what people said of the answers.

    Args:
        name: of a project, or PROJECT/VERSION of a model that answered; models may be gone.
    """

    name: str
    arn: str
    waiting: int
    right: int
    wrong: int
    corrected: int

    @property
    def share_right(self) -> float | None:
        """Of all that were judged, 0..1; None before any was. It is no accuracy: who is least sure is asked first."""
        judged = self.right + self.wrong + self.corrected
        return self.right / judged if judged else None


class QueueStatus(NamedTuple):
    """A project's queue.

    Args:
        versions: that answered, the newest first.
    """

    counts: Counts
    versions: tuple[Counts, ...]


def status(context: Context, project: str | None = None) -> list[QueueStatus]:
    """The queues of all projects that have one, by name, or that of one project.

    Args:
        project: name or ARN.

    Raises:
        ResourceNotFound: there is no such project.
    """
    with context.database.read() as db:
        named = [find_project(db, project)] if project is not None else projects.page(db, None, None, _MOST)
        tallies = [(one, feedback.tallies(db, one.id)) for one in sorted(named, key=lambda one: one.name)]
    found = []
    for one, every in tallies:
        if every or project is not None:
            arns = list(dict.fromkeys(tally.version_arn for tally in every))
            by_version = [
                _counts(short_name(arn), arn, [tally for tally in every if tally.version_arn == arn]) for arn in arns
            ]
            found.append(QueueStatus(_counts(one.name, one.arn, every), tuple(by_version)))
    return found


def _counts(name: str, arn: str, tallies: list[feedback.Tally]) -> Counts:
    images: Counter[str] = Counter()
    for tally in tallies:
        images[tally.state] += tally.images
    states = (FeedbackState.WAITING, FeedbackState.RIGHT, FeedbackState.WRONG, FeedbackState.CORRECTED)
    return Counts(name, arn, *(images[state] for state in states))
