"""Everything that an operation may touch, in one frozen value; the only place that reads clock, environment, chance."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rcl_cli.config import Config, home_folder, load_config
from rcl_cli.limits import keep
from rcl_cli.store.database import Database
from rcl_cli.store.entry_files import EntryFiles
from rcl_cli.store.layout import Layout

if TYPE_CHECKING:
    from rcl_cli.buckets.resolve import Buckets


class Context(NamedTuple):
    """What operations work on.

    Args:
        now_ms: epoch milliseconds.
        new_nonce: an unguessable text.
        names_files: whether who asks may name files of this machine, and not only objects in buckets.
    """

    layout: Layout
    database: Database
    config: Config
    now_ms: Callable[[], int]
    new_nonce: Callable[[], str]
    names_files: bool = True

    @property
    def buckets(self) -> Buckets:
        from rcl_cli.buckets.resolve import make_buckets

        return make_buckets(self.layout.home, self.config)

    @property
    def entry_files(self) -> EntryFiles:
        return EntryFiles(self.layout.datasets)

    @property
    def account(self) -> str:
        return self.config.account

    @property
    def region(self) -> str:
        return self.config.region


def make_context(home: Path | None = None, region: str | None = None) -> Context:
    """The context of this process.

    Raises:
        ConfigError: the home or its config can't be used.
    """
    layout = Layout(home or home_folder(os.environ))
    layout.make()
    config = load_config(layout.home, os.environ, region)
    keep(config.limits)
    return Context(
        layout=layout,
        database=Database(layout.database),
        config=config,
        now_ms=lambda: time.time_ns() // 1_000_000,
        new_nonce=lambda: os.urandom(16).hex(),
    )


def in_region(context: Context, region: str) -> Context:
    """The same store, seen from another region: only new ARNs differ."""
    return context if region == context.region else context._replace(config=context.config._replace(region=region))
