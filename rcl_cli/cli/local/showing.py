"""Events of flows as text on stderr, with counters and bars on a terminal."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from rcl_cli.api.names import kebab
from rcl_cli.cli.aws.waiters import Watcher
from rcl_cli.cli.terminal import console, say
from rcl_cli.local import events

if TYPE_CHECKING:
    from rcl_cli.local.datasets.sources import Count

_SHOWN_LABELS = 20


class Shown:
    """Shows events; to be entered, so that what is drawn on the terminal is taken away at the end.

    Args:
        calls: whether calls are shown as the command lines that make them.

    Attributes:
        made: ARNs of the datasets that were made.
    """

    def __init__(self, *, calls: bool = True) -> None:
        self.made: list[str] = []
        self._calls = calls
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
            self._count = self._open.enter_context(_counting(what))
        self._count(done)

    def _planned(self, what: str, total: int) -> None:
        if not sys.stderr.isatty() or total < 2:
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
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
                _summary(parts, notes)
            case events.Called():
                self._called(event)
            case events.Tried(agreement):
                say(_agreement(agreement), err=True)
            case events.Evaluated(_, found):
                _evaluation(found)
            case events.Contested(rows):
                _contest(rows)
            case events.Noted(notes):
                for line in notes:
                    say(line, err=True)
            case _:
                say(_said(event), err=True)

    def _called(self, event: events.Called) -> None:
        if event.operation == "CreateDataset":
            self.made.append(str(event.result["DatasetArn"]))
        if not self._calls:
            return
        words = [*("aws rekognition" if event.is_elsewhere else "rcl").split(), kebab(event.operation)]
        for name, value in event.params.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            words += [f"--{kebab(name)}", text]
        say(f"+ {shlex.join(words)}", err=True)


def _said(event: events.Event) -> str:
    """An event in a line or two."""
    match event:
        case events.Begun(_, short):
            return f"\nTraining {short}. To look at it from elsewhere: rcl logs {short} --follow"
        case events.Left(short, is_training):
            what = "The training goes on. When it is done:" if is_training else f"{short} is trained. To go on:"
            return (
                f"\n{what} rcl thresholds {short} --relax; rcl report {short}; "
                f"rcl start-project-version --project-version-arn {short} --min-inference-units 1"
            )
        case events.Ready(short):
            return f"\nStart it with: rcl start-project-version --project-version-arn {short} --min-inference-units 1"
        case events.Warned(text):
            return f"\n{text}"
        case events.Relaxed(short):
            return f"+ rcl thresholds {shlex.quote(short)} --relax"
        case events.Preceded(before, short):
            return f"\nAgainst the version before: rcl compare {before} {short}"
        case events.Wrote(what, path):
            return f"\n{what}: {path}"
        case events.Running(_, short):
            return f"\nThe model is running. Try it:\n  rcl detect {short} PICTURE.jpg --draw found.png"
        case events.Moved(entries, moved, kept, is_elsewhere):
            counts = ", ".join(f"{count} {part}" for part, count in entries.items())
            how = "uploaded" if is_elsewhere else "fetched"
            return f"Entries: {counts}. Images: {moved} {how}, {kept} there already."
        case _:
            raise TypeError(f"Nobody says how {type(event).__name__} is shown.")


@contextmanager
def _counting(what: str) -> Iterator[Callable[[int], None]]:
    """A counter on a terminal, for work of unknown length."""
    if not sys.stderr.isatty():
        yield lambda _number: None
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    text = TextColumn("{task.description} {task.completed}", markup=False)
    with Progress(SpinnerColumn(), text, TimeElapsedColumn(), console=console(stderr=True), transient=True) as display:
        task = display.add_task(what, total=None)
        yield lambda number: display.update(task, completed=number)


def _summary(counts: Mapping[str, Count], lines: Iterable[str]) -> None:
    """What there was, as a table, and what was left out, on stderr."""
    from rich.table import Table

    has_boxes = any(count.boxes for count in counts.values())
    table = Table()
    table.add_column("label")
    for part in counts:
        table.add_column(f"{part}: images", justify="right")
        if has_boxes:
            table.add_column("boxes", justify="right")
    labels = sorted({label for count in counts.values() for label in count.labels})

    def row(name: str, numbers: Callable[[Count], tuple[object, object]]) -> None:
        pairs = [numbers(count) for count in counts.values()]
        table.add_row(name, *(str(n) for pair in pairs for n in (pair if has_boxes else pair[:1])))

    for label in labels[:_SHOWN_LABELS]:
        name = repr(label) if label != label.strip() else label
        row(name, lambda count, label=label: (count.labels[label], count.boxes[label]))  # type: ignore[misc]
    if len(labels) > _SHOWN_LABELS:
        table.add_row(f"… and {len(labels) - _SHOWN_LABELS} more")
    table.add_section()
    row("without labels", lambda count: (count.unlabelled, ""))
    row("all", lambda count: (count.images, sum(count.boxes.values())))
    shown = console(stderr=True)
    shown.print(table)
    for line in lines:
        shown.print(line, soft_wrap=True)


def _agreement(found: events.Agreement | str) -> str:
    """How an exported model compares with the evaluation."""
    if isinstance(found, str):
        return f"The export was not tried: {found}."
    return (
        f"Tried on {found.images} of {found.all} test images: F1 {found.f1:.4f} (evaluation: {found.f1_before:.4f}), "
        f"average precision {found.ap:.4f} (evaluation: {found.ap_before:.4f})"
    )


def _evaluation(found: Mapping[str, Any]) -> None:
    """The figures of each label."""
    from rich.table import Table

    table = Table(title=f"on {found['EvaluationDetails']['NumberOfTestingImages']} test images")
    for heading in ("label", "F1", "precision", "recall", "threshold", "test images"):
        table.add_column(heading, justify="left" if heading == "label" else "right")
    for one in found["LabelEvaluationResults"]:
        figures = [one["Metrics"][key] for key in ("F1Score", "Precision", "Recall", "Threshold")]
        table.add_row(one["Label"], *(f"{figure:.3f}" for figure in figures), str(one["NumberOfTestingImages"]))
    table.add_section()
    whole = found["AggregatedEvaluationResults"]
    table.add_row("all", *(f"{whole[key]:.3f}" for key in ("F1Score", "Precision", "Recall")))
    console(stderr=True).print(table)


def _contest(rows: Sequence[Mapping[str, Any]]) -> None:
    """How recipes did: the chosen one is bold, and none beats those with a star in accuracy and speed."""
    from rich.table import Table

    table = Table(title="recipes that competed, on held-out images")
    for heading in ("recipe", "model", "px", "tiles", "epochs", "accuracy", "ms an image", "rounds", ""):
        table.add_column(heading, justify="left" if heading in ("recipe", "model") else "right")
    for row in rows:
        table.add_row(
            row["name"], row["model"], str(row["image_size"]), str(row["tile_px"] or "–"), str(row["epochs"]),
            f"{row['accuracy']:.3f}", f"{row['milliseconds']:.1f}", str(row["rounds"]),
            "*" if row["is_best_at_its_speed"] else "", style="bold" if row["is_chosen"] else None,
        )  # fmt: skip
    console(stderr=True).print(table)
