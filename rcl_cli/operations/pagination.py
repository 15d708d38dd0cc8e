"""Opaque page tokens that belong to one listing and are no use to another."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from rcl_cli.errors import InvalidPaginationToken

_BAD = "The pagination token is invalid: it must come from the response before, to the same request."


def _scope(operation: str, params: Mapping[str, Any]) -> str:
    """What a token is tied to: the operation and everything that selects rows."""
    import hashlib

    relevant = {k: v for k, v in params.items() if k not in ("NextToken", "MaxResults")}
    return hashlib.sha256(json.dumps([operation, relevant], sort_keys=True, default=str).encode()).hexdigest()[:16]


def encode(operation: str, params: Mapping[str, Any], position: Any) -> str:
    """The token for the page behind `position` (any JSON value)."""
    raw = json.dumps([_scope(operation, params), position], separators=(",", ":"))
    return base64.urlsafe_b64encode(raw.encode()).decode("ascii")


def _fits(position: Any, kinds: tuple[Any, ...]) -> bool:
    values: list[Any] = position if isinstance(position, list) else [position]
    return len(values) == len(kinds) and all(
        type(value) is kind and (isinstance(value, str) or abs(value) < 2**63)
        for value, kind in zip(values, kinds, strict=True)
    )


def decode(operation: str, params: Mapping[str, Any], *kinds: type) -> Any:
    """The position in the request's NextToken, None for the first page.

    Args:
        kinds: the types of the position's parts; more than one make a list.

    Raises:
        InvalidPaginationToken: broken, or from another listing.
    """
    token = params.get("NextToken")
    if not token:
        return None
    try:
        scope, position = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
        json.dumps(position, ensure_ascii=False).encode()  # half of a surrogate pair can't be looked for
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidPaginationToken(_BAD) from error
    if scope != _scope(operation, params) or not _fits(position, kinds):
        raise InvalidPaginationToken(_BAD)
    return position
