"""One command per API operation, its options made from the model."""

from __future__ import annotations

import argparse
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
from rcl_cli.cli.params import load_paramfile, parse_option
from rcl_cli.errors import UsageError

Call = Callable[[str, Mapping[str, Any]], dict[str, Any]]
USAGE = """usage: rcl [options] <command> [parameters]
To see help text, you can run:

  rcl --help
  rcl <command> --help
"""


class BadArguments(UsageError):
    """Words that the options do not allow; usage is shown with the message."""


class _Parser(argparse.ArgumentParser):
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
    parser = _Parser(prog=f"rcl {kebab(operation.name)}", add_help=False, usage=argparse.SUPPRESS)
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


def _from_json(text: str | None) -> dict[str, Any]:
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
    return document


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
    params = _from_json(values.cli_input_json)
    if missing := _missing(operation, values, params):
        raise BadArguments(f"the following arguments are required: {', '.join(missing)}")
    raw_blobs = values.cli_binary_format == "raw-in-base64-out"
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


def pages(
    operation: Operation, params: dict[str, Any], values: argparse.Namespace, call: Call
) -> Iterator[dict[str, Any]]:
    """All pages of a listing, as the aws CLI follows them unless told otherwise."""
    paginator = operation.paginator
    manual = paginator and (paginator.input_token in params or paginator.limit_key in params or values.no_paginate)
    if paginator is None or manual:
        yield call(operation.name, params)
        return
    request = dict(params)
    if values.page_size is not None:
        request[paginator.limit_key] = values.page_size
    left = values.max_items
    while True:
        response = call(operation.name, request)
        found = response.get(paginator.result_key, [])
        if left is not None and len(found) >= left:
            yield {paginator.result_key: found[:left]}
            return
        token = response.pop(paginator.output_token, None)
        yield response
        if not token:
            return
        left = left - len(found) if left is not None else None
        request[paginator.input_token] = token


def _merged(operation: Operation, found: Iterator[dict[str, Any]]) -> dict[str, Any]:
    first = next(found)
    if operation.paginator:
        key = operation.paginator.result_key
        rows = list(first.get(key, []))
        for page in found:
            rows += page.get(key, [])
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
