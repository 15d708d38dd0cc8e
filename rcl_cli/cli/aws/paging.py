"""Following pages, with the tokens that the aws CLI and boto3 use."""

from __future__ import annotations

import argparse
import base64
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rcl_cli.api.model import Operation, Paginator
from rcl_cli.api.validate import client_report
from rcl_cli.errors import UsageError

Call = Callable[[str, Mapping[str, Any]], dict[str, Any]]
_OPTIONS = ("max_items", "page_size", "starting_token")


class Pages:
    """All pages of a listing, as the aws CLI follows them unless told otherwise; of other operations the one response.

    `--max-items` may end inside a page; the token that goes on from there names the page and what to leave out of it.

    Args:
        values: what the paging options say.
        show: makes a page presentable.

    Raises:
        UsageError: paging is turned off and asked for at once.
    """

    def __init__(
        self,
        operation: Operation,
        params: Mapping[str, Any],
        values: argparse.Namespace,
        call: Call,
        show: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> None:
        self._operation, self._params, self._values, self._call, self._show = operation, params, values, call, show
        # Where `--max-items` broke off; known once the pages were walked.
        self.resume_token: str | None = None
        # The response as it was, for whoever goes on with it.
        self.last: dict[str, Any] = {}
        paginator = operation.paginator
        self._follow = paginator if paginator and self._is_automatic(paginator) else None

    def _is_automatic(self, paginator: Paginator) -> bool:
        by_hand = paginator.input_token in self._params or paginator.limit_key in self._params
        by_hand = by_hand or self._values.no_paginate
        asked = [f"--{name.replace('_', '-')}" for name in _OPTIONS if getattr(self._values, name) is not None]
        if by_hand and asked:
            raise UsageError(f"Cannot specify --no-paginate along with pagination arguments: {', '.join(asked)}")
        return not by_hand

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if self._follow is None:
            self.last = self._call(self._operation.name, self._params)
            yield self._show(self.last)
        else:
            yield from self._walk(self._follow)

    def _walk(self, paginator: Paginator) -> Iterator[dict[str, Any]]:
        request = dict(self._params)
        if self._values.page_size is not None:
            request[paginator.limit_key] = self._values.page_size
            if report := client_report(self._operation.input, request):
                raise UsageError(report)
        token, skip = _decoded(self._values.starting_token)
        left = self._values.max_items
        while True:
            page = self._call(self._operation.name, {**request, paginator.input_token: token} if token else request)
            following = page.get(paginator.output_token)
            rows = page[paginator.result_key][skip:]
            if left is not None and len(rows) > left:
                self.resume_token = _encoded(token, skip + left)
                yield self._show({**page, paginator.result_key: rows[:left]})
                return
            yield self._show({**page, paginator.result_key: rows})
            if not following:
                return
            left = left - len(rows) if left is not None else None
            if left == 0:
                self.resume_token = _encoded(following, None)
                return
            token, skip = following, 0

    def whole(self) -> dict[str, Any]:
        """All pages as one response; its NextToken is where `--max-items` broke off."""
        pages = iter(self)
        whole = next(pages)
        if self._follow is None:
            return whole
        rows = list(whole[self._follow.result_key])
        for page in pages:
            rows += page[self._follow.result_key]
        whole = {**whole, self._follow.result_key: rows}
        whole.pop(self._follow.output_token, None)
        return whole if self.resume_token is None else {**whole, self._follow.output_token: self.resume_token}


def _encoded(token: str | None, skip: int | None) -> str:
    """Botocore's form of a position: the page's own token, and how many of its rows were shown."""
    position: dict[str, Any] = {"NextToken": token}
    if skip is not None:
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
