"""One command per API operation, its options made from the model."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, NoReturn

from rcl_cli import profiles
from rcl_cli.api.model import Operation, Shape, load
from rcl_cli.api.names import kebab
from rcl_cli.api.validate import client_report
from rcl_cli.cli.aws import global_options, output, pager, skeleton, surroundings
from rcl_cli.cli.aws.named import with_arns
from rcl_cli.cli.aws.paging import Call, Pages
from rcl_cli.cli.aws.params import PlainError, from_document, load_paramfile, parse_option
from rcl_cli.cli.terminal import put, say
from rcl_cli.cli.usage import BadArguments, UnknownOptions
from rcl_cli.errors import UsageError

Connect = Callable[[argparse.Namespace], Call]


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadArguments(message)


class Option(NamedTuple):
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


def make_parser(operation: Operation) -> argparse.ArgumentParser:
    """The parser of an operation's words; abbreviations work as in the aws CLI."""
    # Every option that is added asks for a formatter; without a width each of them would look for the terminal's.
    formatter = partial(argparse.HelpFormatter, width=80)
    parser = Parser(
        prog=f"rcl {kebab(operation.name)}", add_help=False, usage=argparse.SUPPRESS, formatter_class=formatter
    )
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
    parser.add_argument("--cli-input-json")
    parser.add_argument("--cli-input-yaml")
    parser.add_argument("--generate-cli-skeleton", nargs="?", const="input", type=global_options.one_of(skeleton.KINDS))
    if operation.name == "CreateProjectVersion":
        parser.add_argument("--wait", action="store_true")
    global_options.add_to(parser)
    return parser


def _demand_required(operation: Operation, values: argparse.Namespace) -> None:
    """Make sure of the required options; where a file brings the request, it is for the validator to miss them.

    Raises:
        BadArguments: names those that are missing.
    """
    from_file = values.cli_input_json is not None or values.cli_input_yaml is not None
    if from_file or values.generate_cli_skeleton in ("input", "yaml-input"):
        return
    missing = [
        option.flag
        for option in options_of(operation)
        if option.required and getattr(values, f"member:{option.member}") is None
    ]
    if missing:
        raise BadArguments(f"the following arguments are required: {', '.join(missing)}")


def _from_file(operation: Operation, values: argparse.Namespace, *, raw_blobs: bool) -> dict[str, Any]:
    """The request of `--cli-input-json` or `--cli-input-yaml`, blobs decoded as the options' are."""
    given = {"json": values.cli_input_json, "yaml": values.cli_input_yaml}
    kinds = [kind for kind, text in given.items() if text is not None]
    if len(kinds) > 1:
        raise UsageError("Only one --cli-input- parameter may be specified.")
    if not kinds:
        return {}
    option = f"--cli-input-{kinds[0]}"
    text = load_paramfile(option, given[kinds[0]] or "")
    document = _json_document(text) if kinds[0] == "json" else _yaml_document(text)
    if not isinstance(document, dict):
        raise UsageError(f"Error parsing parameter '{option}': Invalid type: expecting map, received {type(document)}")
    request: dict[str, Any] = from_document(operation.input, document, raw_blobs=raw_blobs)
    return request


def _json_document(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError("Error parsing parameter 'cli-input-json': Invalid JSON received.") from error


def _yaml_document(text: str | bytes) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    from rcl_cli.plain_yaml import check_size

    try:
        document = YAML(typ="safe", pure=True).load(text)
        check_size(document)
        return document
    except (YAMLError, ValueError, RecursionError) as error:
        raise UsageError("Error parsing parameter 'cli-input-yaml': Invalid YAML received.") from error


def parse_request(operation: Operation, words: list[str]) -> tuple[dict[str, Any], argparse.Namespace]:
    """Command-line words to a request and the other settings.

    Raises:
        UsageError: exit code 252.
        PlainError, ProfileError: exit code 255.
    """
    parser = make_parser(operation)
    values, unknown = parser.parse_known_args(words)
    surroundings.judge(values)
    _demand_required(operation, values)
    if unknown:
        raise UnknownOptions(f"Unknown options: {', '.join(unknown)}")
    if operation.paginator and values.max_items is not None and values.max_items <= 0:
        say("warning: Non-positive values for --max-items may result in undefined behavior.", err=True)
    binary = values.cli_binary_format or profiles.setting("cli_binary_format", profile=values.profile)
    raw_blobs = binary == "raw-in-base64-out"
    params = _from_file(operation, values, raw_blobs=raw_blobs)
    if values.generate_cli_skeleton in ("input", "yaml-input"):
        return params, values
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
    surroundings.complete(values)
    if not values.endpoint_url:
        params = with_arns(params)
    if report := client_report(operation.input, params):
        raise UsageError(report)
    return params, values


# --- running ----------------------------------------------------------------------------------------------------------


def style_of(values: argparse.Namespace) -> output.Style:
    """How to write: the options, then the environment, then the profile.

    Raises:
        PlainError: AWS_DEFAULT_OUTPUT, or the profile, names no format.
    """
    chosen = values.output or os.environ.get("AWS_DEFAULT_OUTPUT") or profiles.setting("output", profile=values.profile)
    chosen = chosen or "json"
    if chosen not in global_options.FORMATS:
        raise PlainError(f"Unknown output type: {chosen}")
    terminal = sys.stdout.isatty()
    automatic = terminal and "NO_COLOR" not in os.environ
    colour = {"on": True, "off": False}.get(values.color or "auto", automatic)
    width = os.get_terminal_size(sys.stdout.fileno()).columns if terminal else None
    return output.Style(chosen, values.query, colour, width)


def _response(operation: Operation, params: dict[str, Any], values: argparse.Namespace, connect: Connect) -> Pages:
    """The operation's response, not asked for yet; with `--generate-cli-skeleton output` an example of one."""
    is_wire = surroundings.timestamp_format(values) == "wire"

    def show(page: dict[str, Any]) -> dict[str, Any]:
        shown: dict[str, Any] = output.presentable(operation.output, page, is_wire=is_wire)
        return shown

    if values.generate_cli_skeleton == "output":
        example = skeleton.output_example(operation)
        if report := client_report(operation.output, example):
            raise UsageError(report)
        # Its token leads nowhere.
        values.no_paginate = True
        return Pages(operation, params, values, lambda *_: example, show)
    return Pages(operation, params, values, connect(values), show)


def run_operation(name: str, words: list[str], connect: Connect) -> tuple[dict[str, Any], argparse.Namespace]:
    """Parse, call, print.

    Args:
        connect: makes the door that the options ask for.

    Returns:
        The response, empty where there is none (skeletons, YAML streams), and the options.
    """
    operation = load().operation(name)
    params, values = parse_request(operation, words)
    if values.generate_cli_skeleton in ("input", "yaml-input"):
        make = skeleton.input_json if values.generate_cli_skeleton == "input" else skeleton.input_yaml
        put(make(operation))
        return {}, values
    style = style_of(values)
    response = _response(operation, params, values, connect)
    pager.write(output.formatted(name, response, style), paged=not values.no_cli_pager, profile=values.profile)
    return response.last, values
