"""Works that go on while whoever asked for them does something else: what they end with is told, whatever it is."""

from __future__ import annotations

import sqlite3
import traceback

from rcl_cli.context import Context
from rcl_cli.errors import RclError, ServiceError
from rcl_cli.operations.resources import NOT_FOUND
from rcl_cli.store.database import StoreGoneError
from rcl_cli.store.entry_files import EntriesGoneError
from rcl_cli.store.trouble import meaning


def trouble_of(context: Context, error: Exception) -> str:
    """What ended a work, for people; a fault of rcl itself stands in the log as well."""
    match error:
        case ServiceError() | RclError() | StoreGoneError():
            return str(error)
        case EntriesGoneError():
            return NOT_FOUND
        case sqlite3.DatabaseError() | OSError():
            return f"{meaning(error, context.layout.home)}."
    traceback.print_exception(error)
    return f"{type(error).__name__}: {error}"
