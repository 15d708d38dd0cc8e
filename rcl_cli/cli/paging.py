"""Following pages, with the tokens that the aws CLI and boto3 use."""

from __future__ import annotations

import argparse
import base64
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rcl_cli.api.model import Operation
from rcl_cli.errors import UsageError

Call = Callable[[str, Mapping[str, Any]], dict[str, Any]]
_OPTIONS = ("max_items", "page_size", "starting_token")


def pages(
    operation: Operation, params: dict[str, Any], values: argparse.Namespace, call: Call
) -> Iterator[dict[str, Any]]:
    """All pages of a listing, as the aws CLI follows them unless told otherwise.

    `--max-items` may end inside a page; the token that goes on from there names the page and what to leave out of it.

    Raises:
        UsageError: paging is turned off and asked for at once.
    """
    paginator = operation.paginator
    if paginator is None:
        yield call(operation.name, params)
        return
    asked = [f"--{name.replace('_', '-')}" for name in _OPTIONS if getattr(values, name) is not None]
    by_hand = paginator.input_token in params or paginator.limit_key in params
    if (values.no_paginate or by_hand) and asked:
        raise UsageError(f"Cannot specify --no-paginate along with pagination arguments: {', '.join(asked)}")
    if values.no_paginate or by_hand:
        yield call(operation.name, params)
        return
    request = dict(params)
    if values.page_size is not None:
        request[paginator.limit_key] = values.page_size
    token, skip = _decoded(values.starting_token)
    left = values.max_items
    while True:
        response = call(operation.name, {**request, paginator.input_token: token} if token else request)
        following = response.pop(paginator.output_token, None)
        rows = response[paginator.result_key][skip:]
        if left is not None and len(rows) > left:
            rest = _encoded(token, skip + left)
            yield {**response, paginator.result_key: rows[:left], paginator.output_token: rest}
            return
        if left is not None and len(rows) == left and following:
            yield {**response, paginator.result_key: rows, paginator.output_token: _encoded(following, 0)}
            return
        yield {**response, paginator.result_key: rows}
        if not following:
            return
        token, skip, left = following, 0, left - len(rows) if left is not None else None


def _encoded(token: str | None, skip: int) -> str:
    """Botocore's form of a position: the page's own token, and how many of its rows were shown."""
    position: dict[str, Any] = {"NextToken": token}
    if skip:
        position["boto_truncate_amount"] = skip
    return base64.b64encode(json.dumps(position).encode()).decode("ascii")


def _decoded(text: str | None) -> tuple[str | None, int]:
    """(token, rows to skip) of `--starting-token`; what is no such form is a token as it is."""
    if text is None:
        return None, 0
    try:
        position = json.loads(base64.b64decode(text, validate=True))
        return position["NextToken"], int(position.get("boto_truncate_amount", 0))
    except (ValueError, KeyError, TypeError, AttributeError):
        return text, 0


def merged(operation: Operation, found: Iterator[dict[str, Any]]) -> dict[str, Any]:
    """All pages as one response."""
    first = next(found)
    if operation.paginator:
        key = operation.paginator.result_key
        rows = list(first.get(key, []))
        for page in found:
            rows += page.get(key, [])
            first = {**first, **page}
        first = {**first, key: rows}
    return first
