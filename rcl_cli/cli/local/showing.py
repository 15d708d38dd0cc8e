"""Events of flows as text on stderr, with counters and bars on a terminal."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from rcl_cli.cli.aws.waiters import Watcher
from rcl_cli.cli.local.calls import tell_call
from rcl_cli.cli.local.dataset import counting, summary
from rcl_cli.cli.terminal import console
from rcl_cli.local import events

if TYPE_CHECKING:
    from collections.abc import Callable


class Shown:
    """Shows events; to be entered, so that what is drawn on the terminal is taken away at the end.

    Attributes:
        begun: the training that began, if one did.
    """

    def __init__(self) -> None:
        self.begun: events.Begun | None = None
        self._open = ExitStack()
        self._count: Callable[[int], None] | None = None
        self._watch: Watcher | None = None
        self._advance: Callable[[], None] = lambda: None
        self._progress: Mapping[str, Any] | None = None

    def __enter__(self) -> Shown:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def __call__(self, event: events.Event) -> None:
        match event:
            case events.Counted(what, done):
                self._counted(what, done)
            case events.Standing():
                self._standing(event)
            case events.Planned(what, total):
                self._planned(what, total)
            case events.Answered():
                self._advance()
            case _:
                # What is drawn must be gone before anything is written below it.
                self._clear()
                self._written(event)

    def _clear(self) -> None:
        self._open.close()
        self._count = self._watch = None
        self._advance = lambda: None

    def _counted(self, what: str, done: int) -> None:
        if self._count is None:
            self._count = self._open.enter_context(counting(what))
        self._count(done)

    def _planned(self, what: str, total: int) -> None:
        if not sys.stderr.isatty() or total < 2:
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        display = self._open.enter_context(Progress(*columns, console=console(stderr=True)))
        task = display.add_task(what, total=total)
        self._advance = lambda: display.advance(task)

    def _standing(self, event: events.Standing) -> None:
        self._progress = event.progress
        if self._watch is None:
            self._watch = self._open.enter_context(Watcher(lambda _: dict(self._progress) if self._progress else None))
        self._watch([{"ProjectVersionArn": event.version_arn, "Status": event.status}])

    def _written(self, event: events.Event) -> None:
        match event:
            case events.Understood(parts, notes):
                summary(parts, notes)
            case events.Called(operation, params):
                tell_call(operation, params)
            case events.Begun(_, short):
                self.begun = event
                click.echo(f"\nTraining {short}. To look at it from elsewhere: rcl logs {short} --follow", err=True)
            case events.Evaluated(_, found):
                _evaluation(found)
            case events.Warned(text):
                click.echo(f"\n{text}", err=True)
            case events.Relaxed(short):
                click.echo(f"+ rcl thresholds {shlex.quote(short)} --relax", err=True)
            case events.Preceded(before, short):
                click.echo(f"\nAgainst the version before: rcl compare {before} {short}", err=True)
            case events.Wrote(what, path):
                click.echo(f"\n{what}: {path}", err=True)
            case events.Running(_, short):
                click.echo(
                    f"\nThe model is running. Try it:\n  rcl detect {short} PICTURE.jpg --draw found.png", err=True
                )


def _evaluation(found: Mapping[str, Any]) -> None:
    """The figures of each label."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"on {found['EvaluationDetails']['NumberOfTestingImages']} test images")
    for heading in ("label", "F1", "precision", "recall", "threshold", "test images"):
        table.add_column(heading, justify="left" if heading == "label" else "right")
    for one in found["LabelEvaluationResults"]:
        figures = [one["Metrics"][key] for key in ("F1Score", "Precision", "Recall", "Threshold")]
        table.add_row(Text(one["Label"]), *(f"{figure:.3f}" for figure in figures), str(one["NumberOfTestingImages"]))
    table.add_section()
    whole = found["AggregatedEvaluationResults"]
    table.add_row("all", *(f"{whole[key]:.3f}" for key in ("F1Score", "Precision", "Recall")))
    console(stderr=True).print(table)
