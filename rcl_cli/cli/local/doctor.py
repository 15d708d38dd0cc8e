"""`rcl doctor`: what keeps rcl from working here."""

from __future__ import annotations

import json
import os
import sys

import click

from rcl_cli.cli.escapes import shown
from rcl_cli.cli.terminal import console, put

_SIGNS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "fault": ("✗", "red")}


@click.command()
@click.option("--quick", is_flag=True, help="Do not load the libraries that train; that takes some seconds.")
@click.option("--network", is_flag=True, help="Also try the network: the host of the weights, and S3 where it is used.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a check.")
@click.pass_context
def doctor(ctx: click.Context, quick: bool, network: bool, as_json: bool) -> None:
    """Look for what keeps rcl from working on this machine.

    Python, the libraries, the GPU and its driver, the home, the disk, the config, buckets, weights, the store, models
    and their processes. Every fault comes with what to do. Nothing is changed, and nothing is sent but by --network.
    The exit code is 1 where there is a fault.

    Example: rcl doctor
    """
    from rich.text import Text

    from rcl_cli.local.home.doctor import examine

    told = console()
    faults = 0
    for check in examine(os.environ, imports=not quick, network=network):
        faults += check.state == "fault"
        if as_json:
            put(json.dumps(check._asdict(), ensure_ascii=False) + "\n")
            continue
        sign, colour = _SIGNS[check.state]
        if not (sys.stdout.encoding or "").lower().startswith("utf"):
            sign = check.state
        said, style = shown(f"{check.name}: {check.detail}"), "" if check.state == "ok" else "bold"
        told.print(Text.assemble((f"{sign} ", colour), (said, style)), soft_wrap=True)
        if check.fix:
            told.print(f"    → {check.fix}", soft_wrap=True)
    if faults:
        ctx.exit(1)
