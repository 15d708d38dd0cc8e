"""Command-line words to request members, by the model's shapes."""

from __future__ import annotations

import base64
import binascii
import json
import os
from pathlib import Path
from typing import Any

from rcl_cli.api.model import Shape
from rcl_cli.errors import RclError, UsageError


class PlainError(RclError):
    """An error that the aws CLI reports with exit code 255 and without a category."""


class NestedFileError(PlainError):
    """A file that shorthand names can't be read; the aws CLI does not say by which option."""


def load_nested(text: str) -> str | bytes:
    """A file named inside shorthand.

    Raises:
        NestedFileError: it can't be read.
    """
    try:
        return load_paramfile("", text)
    except UsageError as error:
        raise NestedFileError(str(error).removeprefix("Error parsing parameter '': ")) from error


def load_paramfile(option: str, text: str) -> str | bytes:
    """`file://path` as text, `fileb://path` as bytes, anything else as it is.

    Raises:
        UsageError: the file can't be read.
    """
    for prefix, binary in (("file://", False), ("fileb://", True)):
        if not text.startswith(prefix):
            continue
        # Pathlib knows no variables, and raises for unknown users.
        path = Path(os.path.expandvars(os.path.expanduser(text[len(prefix) :])))  # noqa: PTH111
        try:
            return path.read_bytes() if binary else path.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise UsageError(
                f"Error parsing parameter '{option}': Unable to load paramfile ({path}), text contents could not be "
                "decoded.  If this is a binary file, please use the fileb:// prefix instead of the file:// prefix."
            ) from error
        except OSError as error:
            raise UsageError(
                f"Error parsing parameter '{option}': Unable to load paramfile {text}: [Errno {error.errno}] "
                f"{error.strerror}: '{path}'"
            ) from error
    return text


def parse_option(option: str, shape: Shape, words: list[str], *, raw_blobs: bool = False) -> Any:
    """The value of one option.

    Args:
        option: `--name`, for messages.
        words: what followed it.
        raw_blobs: `--cli-binary-format raw-in-base64-out`.

    Raises:
        UsageError: exit code 252.
        PlainError: exit code 255.
    """
    try:
        if shape.type == "list":
            return _parse_list(option, shape, words, raw_blobs=raw_blobs)
        return _parse_word(option, shape, words[0], raw_blobs=raw_blobs)
    except NestedFileError:
        raise
    except UsageError as error:
        if str(error).startswith("Error parsing parameter"):
            raise
        raise UsageError(f"Error parsing parameter '{option}': {error}") from error


def _parse_list(option: str, shape: Shape, words: list[str], *, raw_blobs: bool) -> Any:
    if len(words) == 1:
        loaded = load_paramfile(option, words[0])
        # A map opens JSON only where the list is one of structures; elsewhere it is a text like others.
        opens = ("[", "{") if shape.member.type == "structure" else ("[",)
        if isinstance(loaded, str) and loaded.lstrip().startswith(opens):
            parsed = from_document(shape, _json(loaded), raw_blobs=raw_blobs)
            return parsed if isinstance(parsed, list) else [parsed]
        words = [loaded if isinstance(loaded, str) else words[0]]
    return [_parse_word(option, shape.member, word, raw_blobs=raw_blobs) for word in words]


def _parse_word(option: str, shape: Shape, word: str, *, raw_blobs: bool) -> Any:
    loaded = load_paramfile(option, word)
    if shape.type in ("structure", "map"):
        text = _text(loaded)
        if text.lstrip().startswith(("{", "[")):
            return from_document(shape, _json(text), raw_blobs=raw_blobs)
        from rcl_cli.cli.aws.shorthand import parse_shorthand

        return corrected(shape, parse_shorthand(text, load_nested), raw_blobs=raw_blobs)
    if shape.type == "blob" and isinstance(loaded, bytes):
        return loaded
    return _scalar(shape, loaded, raw_blobs=raw_blobs)


def _text(loaded: str | bytes) -> str:
    """What stands for a structure, as text.

    Raises:
        UsageError: it is bytes, such as an image's.
    """
    try:
        return loaded.decode() if isinstance(loaded, bytes) else loaded
    except UnicodeDecodeError as error:
        raise UsageError("The file's bytes are no JSON and no shorthand; an image goes to --image-bytes") from error


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"Invalid JSON: {error}\nJSON received: {text}") from error


def _scalar(shape: Shape, value: Any, *, raw_blobs: bool) -> Any:
    """A text as the shape's type; other JSON values stay what they are, for the validator to judge."""
    if shape.type == "blob" and isinstance(value, str):
        return value.encode() if raw_blobs else _base64(value)
    if not isinstance(value, str):
        return value
    if shape.type in ("integer", "long"):
        try:
            return int(value)
        except ValueError as error:
            raise PlainError(str(error)) from error
    if shape.type in ("float", "double"):
        try:
            return float(value)
        except ValueError as error:
            raise PlainError(str(error)) from error
    if shape.type == "boolean" and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError) as error:
        raise PlainError(f'Invalid base64: "{text}"') from error


def corrected(shape: Shape, value: Any, *, raw_blobs: bool) -> Any:
    """Give shorthand values, which are all texts, the types of the model."""
    if shape.type == "structure" and isinstance(value, dict):
        members = shape.members
        return {k: corrected(members[k], v, raw_blobs=raw_blobs) if k in members else v for k, v in value.items()}
    if shape.type == "list":
        if isinstance(value, list):
            return [corrected(shape.member, v, raw_blobs=raw_blobs) for v in value]
        return [corrected(shape.member, value, raw_blobs=raw_blobs)] if isinstance(value, (str, dict)) else value
    if shape.type in ("map", "structure"):
        return value
    return _scalar(shape, value, raw_blobs=raw_blobs)


def from_document(shape: Shape, value: Any, *, raw_blobs: bool) -> Any:
    """A JSON or YAML value with its blobs decoded; everything else is of the type that it says."""
    if shape.type == "structure" and isinstance(value, dict):
        members = shape.members
        return {k: from_document(members[k], v, raw_blobs=raw_blobs) if k in members else v for k, v in value.items()}
    if shape.type == "list" and isinstance(value, list):
        return [from_document(shape.member, item, raw_blobs=raw_blobs) for item in value]
    return _scalar(shape, value, raw_blobs=raw_blobs) if shape.type == "blob" else value
