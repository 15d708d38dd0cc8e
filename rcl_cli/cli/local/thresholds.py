"""`rcl thresholds`: from what score on a label counts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from rcl_cli.cli.terminal import console, put
from rcl_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcl_cli.local.models.thresholds import Threshold

_RATIO = click.FloatRange(0, 1)


@click.command()
@click.argument("version")
@click.option("--set", "given", multiple=True, metavar="LABEL=VALUE", help="A label's threshold, 0 to 1.")
@click.option("--precision", type=_RATIO, metavar="RATIO", help="Aim at this precision on the test set.")
@click.option("--recall", type=_RATIO, metavar="RATIO", help="Aim at this recall on the test set.")
@click.option("--label", "labels", multiple=True, metavar="LABEL", help="For this label only; may be given again.")
@click.option("--relax", is_flag=True, help="Lower them halfway to the next score on the test set.")
@click.option("--reset", is_flag=True, help="Go back to the assumed thresholds.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a label.")
@click.pass_obj
def thresholds(
    settings: Any, version: str, given: tuple[str, ...], precision: float | None, recall: float | None,
    labels: tuple[str, ...], relax: bool, reset: bool, as_json: bool,
) -> None:  # fmt: skip
    """Show, set or reset from what score on a model's labels count.

    A detection without MinConfidence uses them; a running model does so at once. The assumed thresholds, those with the
    best F1 on the test set, stay on record; --relax goes halfway from them to the next score, which leaves the figures
    as they are and finds more in new images. VERSION is an ARN, PROJECT/VERSION, or a PROJECT, for its latest version.

    Example: rcl thresholds circuits --precision 0.95
    """
    from rcl_cli.local.models.thresholds import Change, change_thresholds

    change = Change(_values(given), precision, recall, relax, reset, labels)
    _show(change_thresholds(settings.context(), version, change), as_json)


def _values(given: Sequence[str]) -> dict[str, float]:
    """Thresholds from `label=value` words; labels may hold an equals sign."""
    found = {}
    for text in given:
        label, _, value = text.rpartition("=")
        try:
            found[label] = float(value)
        except ValueError as error:
            raise UsageError(f"--set {text}: it must be LABEL=VALUE, with a value between 0 and 1.") from error
    return found


def _show(rows: Sequence[Threshold], as_json: bool) -> None:
    if as_json:
        for one in rows:
            figures = {**one.figures._asdict(), "f1": one.figures.f1} if one.figures else {}
            counts = one.assumed if one.own is None else one.own
            put(json.dumps({"label": one.label, "assumed": one.assumed, **figures, "threshold": counts}) + "\n")
        return
    from rich.table import Table

    table = Table()
    for heading in ("label", "assumed", "set", "precision", "recall", "F1"):
        table.add_column(heading, justify="left" if heading == "label" else "right")
    for one in rows:
        own = "" if one.own is None else f"{one.own:.4f}"
        at = one.figures
        shown = [f"{value:.3f}" for value in (at.precision, at.recall, at.f1)] if at else []
        table.add_row(one.label, f"{one.assumed:.4f}", own, *shown)
    console().print(table)
