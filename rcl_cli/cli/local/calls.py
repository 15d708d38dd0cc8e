"""Calls of the API that a command makes, as the command lines that make them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping

import click

from rcl_cli.api.names import kebab


def tell_call(operation: str, params: Mapping[str, object], program: str = "rcl") -> None:
    """Print a call of the API as the command line that makes it."""
    words = [*program.split(), kebab(operation)]
    for name, value in params.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        words += [f"--{kebab(name)}", text]
    click.echo(f"+ {shlex.join(words)}", err=True)
