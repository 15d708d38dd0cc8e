"""`rcl config`: settings, where they come from, and how they are changed."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

from rcl_cli.cli.terminal import console, put, say

if TYPE_CHECKING:
    from rcl_cli.local.home.settings import Setting


@click.group()
def config() -> None:
    """Show and change settings, and explain where each comes from."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="A JSON object a setting.")
def show(as_json: bool) -> None:
    """Show all settings, and where each comes from.

    Example: rcl config show
    """
    from rcl_cli.local.home.settings import settings_of

    every = settings_of(os.environ)
    if as_json:
        for one in every:
            put(json.dumps({"setting": one.key, "value": one.winner.value, "from": one.winner.place}) + "\n")
        return
    from rich.table import Table

    table = Table()
    for heading in ("setting", "value", "from"):
        table.add_column(heading, overflow="fold")
    for one in every:
        style = "" if one.winner.place != "default" else "dim"
        table.add_row(*map(str, (one.key, one.winner.value, one.winner.place)), style=style)
    console().print(table)


@config.command()
@click.argument("key")
def explain(key: str) -> None:
    """Say what a setting is, and everything that has a say in it.

    Example: rcl config explain training.epochs
    """
    from rcl_cli.local.home.settings import setting_of

    _explain(setting_of(key, os.environ))


def _explain(setting: Setting) -> None:
    say(f"{setting.key} is {setting.winner.value}: {setting.meaning}")
    won = False
    for source in setting.sources:
        if source.value is None:
            said = "not set"
        else:
            said = source.value if won else f"{source.value}  ← this counts"
            won = True
        say(f"  {source.place}: {said}")
    if setting.before_all:
        say(f"  {setting.before_all}")


@config.command("set")
@click.argument("key")
@click.argument("value")
def set_(key: str, value: str) -> None:
    """Write a setting into config.yaml; what else is in it stays, comments too.

    Example: rcl config set training.epochs 40
    """
    from rcl_cli.local.home.settings import change

    done = change(key, value, os.environ)
    say(f"{done.path}: {key} is {value}", err=True)
    if done.hidden_by is not None:
        place, said = done.hidden_by
        say(f"{place}={said} counts before it, as long as that is set.", err=True)


@config.command()
@click.argument("key")
def unset(key: str) -> None:
    """Take a setting out of config.yaml.

    Example: rcl config unset training.epochs
    """
    from rcl_cli.local.home.settings import change

    say(f"{change(key, None, os.environ).path}: {key} is not set", err=True)
