"""`rcl feedback`: images that a model met at work, back to its project."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from rcl_cli.cli.terminal import console, put, say
from rcl_cli.errors import RclError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcl_cli.local.feedback.adding import Outcome
    from rcl_cli.local.feedback.overview import Counts, QueueStatus

_SHOWN_LEFT_OUT = 10


class SomeLeftOut(RclError):
    """Images of which nothing could be made."""


@click.group()
def feedback() -> None:
    """Let images that a model met at work wait for your verdict, and train on them."""


@feedback.command()
@click.argument("project")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE…")
@click.option("--version", metavar="NAME", help="Whose answers they are, or who is asked; without it, who runs.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object with the counts.")
@click.pass_obj
def add(settings: Any, project: str, sources: tuple[str, ...], version: str | None, as_json: bool) -> None:
    """Add images to the queue of a project: the least sure answers come first there.

    SOURCE is a folder, a file, a pattern in quotes, an s3:// URL or prefix, or what `rcl detect` wrote: a .jsonl file
    whose answers are taken over. About other images the running model is asked. What is there already is counted and
    not added twice; newer answers take the place of older ones. What can't be used is named, and the command then ends
    with 255.

    Example: rcl feedback add circuits s3://camera/2026/11/
    """
    from rcl_cli.cli.local.showing import Shown
    from rcl_cli.local.feedback.adding import Request
    from rcl_cli.local.feedback.adding import add as add_images

    with Shown() as shown:
        outcome = add_images(settings.context(), Request(project, sources, version), shown)
    if as_json:
        left_out = [one._asdict() for one in outcome.left_out]
        put(json.dumps({**outcome._asdict(), "left_out": left_out}, ensure_ascii=False) + "\n")
    else:
        _say_added(outcome)
    if outcome.left_out:
        raise SomeLeftOut(f"{len(outcome.left_out)} images or lines were left out; everything else was added.")


def _say_added(outcome: Outcome) -> None:
    said = {
        "added": outcome.added,
        "with newer answers": outcome.replaced,
        "in the queue already": outcome.in_queue,
        "in the project's datasets": outcome.in_datasets,
    }
    counts = [f"{count} {what}" for what, count in said.items() if count or what == "added"]
    say(f"{outcome.version}: {', '.join(counts)}")
    for where, why in outcome.left_out[:_SHOWN_LEFT_OUT]:
        say(f"{where}: {why}", err=True)
    if len(outcome.left_out) > _SHOWN_LEFT_OUT:
        say(f"… and {len(outcome.left_out) - _SHOWN_LEFT_OUT} more", err=True)


@feedback.command()
@click.argument("project", required=False)
@click.option("--json", "as_json", is_flag=True, help="A JSON object a project.")
@click.pass_obj
def status(settings: Any, project: str | None, as_json: bool) -> None:
    """Show how many images wait, and how many answers of which model were right.

    Of the answers that were judged, that is: who is least sure is asked first, so it is less than the model's accuracy.

    Example: rcl feedback status circuits
    """
    from rcl_cli.local.feedback.overview import status as status_of

    found = status_of(settings.context(), project)
    if as_json:
        for one in found:
            put(json.dumps({**_json(one.counts), "versions": [*map(_json, one.versions)]}, ensure_ascii=False) + "\n")
        return
    _show(found)


def _json(counts: Counts) -> dict[str, Any]:
    return {**counts._asdict(), "share_right": counts.share_right}


def _show(found: Sequence[QueueStatus]) -> None:
    from rich.table import Table

    table = Table()
    for heading in ("project, version", "waiting", "right", "wrong", "corrected", "right of judged"):
        table.add_column(heading, justify="left" if heading == "project, version" else "right")
    for one in found:
        for counts in (one.counts, *one.versions):
            share = "" if counts.share_right is None else f"{counts.share_right:.0%}"
            numbers = (counts.waiting, counts.right, counts.wrong, counts.corrected)
            table.add_row(counts.name, *map(str, numbers), share)
        table.add_section()
    console().print(table)
