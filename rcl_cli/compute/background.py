"""How the trainer and the copier begin: whose version they work on, and that nobody else does."""

from __future__ import annotations

import argparse
from pathlib import Path

from rcl_cli.context import Context
from rcl_cli.store import versions
from rcl_cli.store.liveness import hold_lock, this_process
from rcl_cli.store.versions import Version


def arguments() -> argparse.Namespace:
    """What `job` passes to a process that it starts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--version-id", type=int, required=True)
    parser.add_argument("--nonce", required=True)
    return parser.parse_args()


def take_over(context: Context, asked: argparse.Namespace, status: str) -> Version | None:
    """The version that this process is to work on; None if that was given up meanwhile.

    Args:
        asked: the process's arguments.
        status: that the version must be in.
    """
    hold_lock(context.layout.lock(asked.version_id))
    with context.database.write() as db:
        claimed = versions.claim(db, asked.version_id, asked.nonce, this_process())
        version = versions.by_id(db, asked.version_id)
    return version if claimed and version is not None and version.status == status else None
