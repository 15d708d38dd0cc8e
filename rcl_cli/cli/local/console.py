"""`rcl console`."""

from __future__ import annotations

import threading
import time
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from rcl_cli.cli.terminal import say
from rcl_cli.durable import new_file
from rcl_cli.errors import UsageError

DEFAULT_PORT = 8651
# A browser that is started for it may take its time.
_SHOWN_S = 30.0


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=DEFAULT_PORT, show_default=True, type=click.IntRange(0, 65535), help="0 picks a free one."
)
@click.option("--browser/--no-browser", default=True, help="Open it in the browser, if there is one.")
@click.option("--without-tls", is_flag=True, help="Listen where other machines can come, unencrypted.")
@click.pass_obj
def console(settings: Any, host: str, port: int, browser: bool, without_tls: bool) -> None:
    """Label, look, judge and correct in a browser.

    Prints a URL, which works once: whoever opens it first is in, and another one is printed. Goes on until Ctrl-C;
    commands, other programs and rcl serve may be at work on the same home meanwhile.

    Example: rcl console
    """
    from rcl_cli.console.application import Console
    from rcl_cli.server import serving

    context = settings.context()
    bound = serving.listen(host, port)
    with bound:
        if not serving.is_loopback(bound) and not without_tls:
            raise UsageError(
                f"--host {host} can be reached from other machines, and whoever is on the way can read along: add "
                "--without-tls if that does not matter, or keep 127.0.0.1 and forward the port with ssh -L."
            )
        port = bound.getsockname()[1]
        base = serving.url_of(bound)

        def opened(token: str) -> None:
            say(f"Opened. For another browser: {base}/?token={token}", err=True)

        application = Console(context, frozenset(_with_port(name, port) for name in _names(host)), port, opened)

        def announce() -> None:
            url = f"{base}/?token={application.token}"
            say(f"rcl console: {url}")
            if browser:
                threading.Thread(target=_open, args=(context.layout.home, url), daemon=True).start()

        serving.serve(application, bound, announce)


def _with_port(name: str, port: int) -> str:
    """As browsers send it in `Host`."""
    return name if port == 80 else f"{name}:{port}"


def _open(home: Path, url: str) -> None:
    """Show the console in a browser with a window, if there is one.

    By way of a file for the owner's eyes: what stands on a command line all users of the machine can read.
    """
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return
    # Those of a terminal would take it.
    if isinstance(browser, webbrowser.GenericBrowser) and not isinstance(browser, webbrowser.BackgroundBrowser):
        return
    with suppress(OSError), new_file(home, ".html") as page:
        page.write_text(f'<meta http-equiv="refresh" content="0; url={url}">', encoding="utf-8")
        browser.open(page.as_uri())
        time.sleep(_SHOWN_S)


def _names(host: str) -> set[str]:
    """What a browser may call this machine: with another name, another site may have led it here."""
    import socket

    import psutil

    names = {"127.0.0.1", "localhost", "[::1]", f"[{host}]" if ":" in host else host.lower()}
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
        for address in (one for every in psutil.net_if_addrs().values() for one in every):
            if address.family in (socket.AF_INET, socket.AF_INET6):
                plain = address.address.partition("%")[0]
                names.add(f"[{plain}]" if ":" in plain else plain)
    return names
