"""Where a training stands, as its own process says."""

from __future__ import annotations

from typing import Any

from rcl_cli.compute.places import making_of
from rcl_cli.context import Context
from rcl_cli.status import MAKING
from rcl_cli.store.versions import Version


def progress_of(context: Context, version: Version) -> dict[str, Any] | None:
    """The structured progress of a running training: the fields of `domain.Progress`."""
    event = making_of(context.layout, version.id).last_event() if version.status in MAKING else None
    return event.get("progress") if event else None


def message_of(context: Context, version: Version) -> str:
    """The status message, of a running training with where it stands."""
    event = making_of(context.layout, version.id).last_event() if version.status in MAKING else None
    return str(event["message"]) if event and "message" in event else version.message
