"""Options that want an ARN take names as well, where the local store has such a resource."""

from __future__ import annotations

import os
from typing import Any

from rcl_cli.config import home_folder
from rcl_cli.service.naming import arn_of, is_name


def with_arns(params: dict[str, Any]) -> dict[str, Any]:
    """A request whose names have become ARNs; what is no name of anything stays as it is."""
    if not _has_names(params):
        return params
    from rcl_cli.store.database import Database
    from rcl_cli.store.layout import Layout

    layout = Layout(home_folder(os.environ))
    if not layout.database.exists():
        return params
    with Database(layout.database).read() as db:

        def named(value: Any, member: str = "") -> Any:
            if isinstance(value, dict):
                return {key: named(inner, key) for key, inner in value.items()}
            if isinstance(value, list):
                return [named(inner, member) for inner in value]
            return (arn_of(db, member, value) or value) if is_name(member, value) else value

        changed: dict[str, Any] = named(params)
    return changed


def _has_names(value: Any, member: str = "") -> bool:
    if isinstance(value, dict):
        return any(_has_names(inner, key) for key, inner in value.items())
    if isinstance(value, list):
        return any(_has_names(inner, member) for inner in value)
    return is_name(member, value)
