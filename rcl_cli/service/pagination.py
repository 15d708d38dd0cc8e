"""Opaque page tokens that belong to one listing and are no use to another."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from rcl_cli.errors import InvalidPaginationToken

_BAD = "The pagination token is invalid: it must come from the response before, to the same request."


def _scope(operation: str, params: Mapping[str, Any]) -> str:
    """What a token is tied to: the operation and everything that selects rows."""
    relevant = {k: v for k, v in params.items() if k not in ("NextToken", "MaxResults")}
    return hashlib.sha256(json.dumps([operation, relevant], sort_keys=True, default=str).encode()).hexdigest()[:16]


def encode(operation: str, params: Mapping[str, Any], position: Any) -> str:
    """The token for the page behind `position` (any JSON value)."""
    raw = json.dumps([_scope(operation, params), position], separators=(",", ":"))
    return base64.urlsafe_b64encode(raw.encode()).decode("ascii")


def decode(operation: str, params: Mapping[str, Any]) -> Any:
    """The position in the request's NextToken, None for the first page.

    Raises:
        InvalidPaginationToken: broken, or from another listing.
    """
    token = params.get("NextToken")
    if not token:
        return None
    try:
        scope, position = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
    except (ValueError, TypeError) as error:
        raise InvalidPaginationToken(_BAD) from error
    if scope != _scope(operation, params):
        raise InvalidPaginationToken(_BAD)
    return position
