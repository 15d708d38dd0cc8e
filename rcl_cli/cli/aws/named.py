"""Options that want an ARN take names as well, where the local store has such a resource."""

from __future__ import annotations

from typing import Any


def with_arns(params: dict[str, Any]) -> dict[str, Any]:
    """A request whose names have become ARNs; what is no name of anything stays as it is."""
    # Scripts give ARNs: what finds names is imported only for those who do not.
    if not _may_have_names(params):
        return params
    import os

    from rcl_cli.config import home_folder
    from rcl_cli.local.models.naming import arn_of, is_name
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


def _may_have_names(value: Any, member: str = "") -> bool:
    if isinstance(value, dict):
        return any(_may_have_names(inner, key) for key, inner in value.items())
    if isinstance(value, list):
        return any(_may_have_names(inner, member) for inner in value)
    return member.endswith("Arn") and isinstance(value, str) and not value.startswith("arn:")
