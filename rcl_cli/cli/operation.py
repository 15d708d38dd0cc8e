"""One command per API operation, its options made from the model."""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from rcl_cli.api.model import Operation, Shape, load
from rcl_cli.api.names import kebab
from rcl_cli.api.validate import client_report
from rcl_cli.cli import output
from rcl_cli.cli.params import corrected, load_paramfile, parse_option
from rcl_cli.errors import UsageError

Call = Callable[[str, Mapping[str, Any]], dict[str, Any]]
USAGE = """usage: rcl [options] <command> [parameters]
To see help text, you can run:

  rcl --help
  rcl <command> --help
"""


class BadArguments(UsageError):
    """Words that the options do not allow; usage is shown with the message."""


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadArguments(message)


@dataclass(frozen=True, slots=True)
class Option:
    """An option of an operation: where it goes in the request."""

    flag: str
    member: str
    shape: Shape
    required: bool


def options_of(operation: Operation) -> list[Option]:
    required = set(operation.input.required)
    return [
        # The aws CLI leaves --image to the validator, since --image-bytes may stand for it.
        Option(f"--{kebab(name)}", name, shape, name in required and name != "Image")
        for name, shape in operation.input.members.items()
    ]


def _add_globals(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("global")
    group.add_argument("--output", choices=list(output.FORMATS))
    group.add_argument("--query")
    for name in ("--region", "--profile", "--color", "--cli-read-timeout", "--cli-connect-timeout", "--ca-bundle"):
        group.add_argument(name)
    group.add_argument("--cli-binary-format", choices=["base64", "raw-in-base64-out"])
    for name in ("--no-cli-pager", "--no-sign-request", "--no-verify-ssl", "--debug", "--no-cli-auto-prompt"):
        group.add_argument(name, action="store_true")


def make_parser(operation: Operation) -> argparse.ArgumentParser:
    """The parser of an operation's words; abbreviations work as in the aws CLI."""
    parser = Parser(prog=f"rcl {kebab(operation.name)}", add_help=False, usage=argparse.SUPPRESS)
    for option in options_of(operation):
        if option.shape.type == "boolean":
            target = f"member:{option.member}"
            parser.add_argument(option.flag, dest=target, action="store_const", const=True)
            parser.add_argument(f"--no-{option.flag[2:]}", dest=target, action="store_const", const=False)
            continue
        many = {"nargs": "*"} if option.shape.type == "list" else {}
        kind = {"type": float} if option.shape.type in ("float", "double") else {}
        parser.add_argument(option.flag, dest=f"member:{option.member}", required=False, **many, **kind)  # type: ignore[arg-type]
    if "Image" in operation.input.members:
        parser.add_argument("--image-bytes", dest="image_bytes")
    if operation.paginator:
        parser.add_argument("--max-items", type=int)
        parser.add_argument("--page-size", type=int)
        parser.add_argument("--starting-token")
        parser.add_argument("--no-paginate", action="store_true")
    parser.add_argument("--cli-input-json")
    if operation.name == "CreateProjectVersion":
        parser.add_argument("--wait", action="store_true")
    _add_globals(parser)
    return parser


def _missing(operation: Operation, values: argparse.Namespace, given: Mapping[str, Any]) -> list[str]:
    return [
        option.flag
        for option in options_of(operation)
        if option.required and getattr(values, f"member:{option.member}") is None and option.member not in given
    ]


def _from_json(operation: Operation, text: str | None, *, raw_blobs: bool) -> dict[str, Any]:
    """The request of `--cli-input-json`, blobs decoded as the options' are."""
    if text is None:
        return {}
    loaded = load_paramfile("--cli-input-json", text)
    try:
        document = json.loads(loaded)
    except ValueError as error:
        raise UsageError(
            f"Error parsing parameter 'cli-input-json': Invalid JSON: {error}\nJSON received: {text}"
        ) from error
    if not isinstance(document, dict):
        raise UsageError("Error parsing parameter 'cli-input-json': Invalid type: expecting map")
    request: dict[str, Any] = corrected(operation.input, document, raw_blobs=raw_blobs)
    return request


def parse_request(operation: Operation, words: list[str]) -> tuple[dict[str, Any], argparse.Namespace]:
    """Command-line words to a request and the other settings.

    Raises:
        UsageError: exit code 252.
        PlainError: exit code 255.
    """
    parser = make_parser(operation)
    values, unknown = parser.parse_known_args(words)
    if unknown:
        raise BadArguments(f"Unknown options: {', '.join(unknown)}")
    raw_blobs = values.cli_binary_format == "raw-in-base64-out"
    params = _from_json(operation, values.cli_input_json, raw_blobs=raw_blobs)
    if missing := _missing(operation, values, params):
        raise BadArguments(f"the following arguments are required: {', '.join(missing)}")
    for option in options_of(operation):
        value = getattr(values, f"member:{option.member}")
        if value is None:
            continue
        if isinstance(value, (bool, float)):
            params[option.member] = value
            continue
        texts = value if isinstance(value, list) else [value]
        params[option.member] = parse_option(option.flag, option.shape, texts, raw_blobs=raw_blobs)
    if getattr(values, "image_bytes", None) is not None:
        blob = operation.input.members["Image"].members["Bytes"]
        data = parse_option("--image-bytes", blob, [values.image_bytes], raw_blobs=raw_blobs)
        params["Image"] = {**params.get("Image", {}), "Bytes": data}
    if report := client_report(operation.input, params):
        raise UsageError(report)
    return params, values


# --- running ----------------------------------------------------------------------------------------------------------


_PAGING = ("max_items", "page_size", "starting_token")


def pages(
    operation: Operation, params: dict[str, Any], values: argparse.Namespace, call: Call
) -> Iterator[dict[str, Any]]:
    """All pages of a listing, as the aws CLI follows them unless told otherwise.

    `--max-items` may end inside a page; the token that goes on from there names the page and what to leave out of it.
    """
    paginator = operation.paginator
    if paginator is None:
        yield call(operation.name, params)
        return
    asked = [f"--{name.replace('_', '-')}" for name in _PAGING if getattr(values, name) is not None]
    if values.no_paginate and asked:
        raise UsageError(f"Cannot specify --no-paginate along with pagination arguments: {', '.join(asked)}")
    if values.no_paginate or paginator.input_token in params or paginator.limit_key in params:
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


def _merged(operation: Operation, found: Iterator[dict[str, Any]]) -> dict[str, Any]:
    first = next(found)
    if operation.paginator:
        key = operation.paginator.result_key
        rows = list(first.get(key, []))
        for page in found:
            rows += page.get(key, [])
            first = {**first, **page}
        first = {**first, key: rows}
    return first


def show(document: Any, values: argparse.Namespace) -> None:
    """Print a response."""
    if values.query is not None:
        document = output.search(values.query, document)
    chosen = values.output or "json"
    sys.stdout.write(output.FORMATS[chosen](document))
    sys.stdout.flush()


def run_operation(name: str, words: list[str], call: Call) -> dict[str, Any]:
    """Parse, call, print; returns the response."""
    operation = load().operation(name)
    params, values = parse_request(operation, words)
    if values.output is None:
        chosen = os.environ.get("AWS_DEFAULT_OUTPUT")
        values.output = chosen if chosen in output.FORMATS else "json"
    response = _merged(operation, pages(operation, params, values, call))
    show(output.presentable(operation.output, response), values)
    return response
