"""`rcl serve`."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import click

from rcl_cli.cli.terminal import say
from rcl_cli.errors import UsageError

DEFAULT_PORT = 8650
_MADE_KEYS = "serve-access-key"


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=DEFAULT_PORT, show_default=True, type=click.IntRange(0, 65535), help="0 picks a free one."
)
@click.option(
    "--access-key-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Answer only requests signed with a key of this file, which is in the format of ~/.aws/credentials.",
)
@click.option(
    "--allow-origin", "origins", multiple=True, metavar="URL",
    help="Answer web pages that come from there, too; may be given again.",
)  # fmt: skip
@click.option("--anyone-local", is_flag=True, help="Answer all users of this machine, and not only you.")
@click.option("--access-log", is_flag=True, help="Write a line a request to stderr.")
@click.option("--debug", is_flag=True, help="Write what the HTTP server does to stderr.")
@click.pass_obj
def serve(
    settings: Any,
    host: str,
    port: int,
    access_key_file: Path | None,
    anyone_local: bool,
    origins: tuple[str, ...],
    access_log: bool,
    debug: bool,
) -> None:
    """Answer AWS SDKs and the aws CLI over HTTP.

    Prints its URL when it accepts requests; give it to clients as their endpoint URL. Without --access-key-file only
    programs of your own user are answered. GET /health tells whether it answers. SIGTERM and Ctrl-C end it once the
    requests that were begun are answered.

    Example: rcl serve --port 8650
    """
    from rcl_cli.server import cors, peers, serving, signature
    from rcl_cli.server.application import Application

    allowed = frozenset(map(cors.origin_of, origins))
    context = settings.context()
    keys = signature.load_access_keys(access_key_file) if access_key_file else None
    bound = serving.listen(host, port)
    with bound:
        if keys is None and not serving.is_loopback(bound):
            raise UsageError(
                f"--host {host} can be reached from other machines: add --access-key-file FILE, so that only requests "
                "signed with your keys are answered, or use --host 127.0.0.1."
            )
        owner = os.getuid() if keys is None and not anyone_local else None
        if owner is not None and not peers.can_be_told():
            made = context.layout.home / _MADE_KEYS
            keys, owner = signature.make_access_keys(made), None
            say(f"This system does not tell which programs are yours: sign with the key in {made}.", err=True)
        log = partial(say, err=True) if access_log else None
        application = Application(context, keys, log, owner=owner, origins=allowed)
        serving.serve(application, bound, lambda: say(f"rcl serve: listening on {serving.url_of(bound)}"), debug=debug)
