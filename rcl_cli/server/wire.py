"""AWS JSON 1.1: bodies to requests of the model, responses and errors to bodies."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, NoReturn

from rcl_cli.api.model import Shape
from rcl_cli.errors import SerializationError, ServiceError

CONTENT_TYPE = "application/x-amz-json-1.1"
_TARGET_PREFIX = "RekognitionService."
# Far more than any request has; `[],` again and again would take 25 times its size when parsed.
_MAX_VALUES = 100_000


def operation_name(target: str | None) -> str | None:
    """The operation that an X-Amz-Target header names, None if it is no target of this service."""
    if target is None or not target.startswith(_TARGET_PREFIX):
        return None
    return target[len(_TARGET_PREFIX) :]


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def parse_request(shape: Shape, body: bytes) -> dict[str, Any]:
    """The request in a body, blobs decoded; members of a wrong type stay for the validator to judge.

    Raises:
        SerializationError: the body is not a JSON object, or a blob not base64.
    """
    if sum(body.count(mark) for mark in (b",", b"[", b"{")) > _MAX_VALUES:
        raise SerializationError("The request body has too many values.")
    try:
        document = json.loads(body.decode("utf-8") or "{}", parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise SerializationError("The request body is not JSON in UTF-8.") from error
    if not isinstance(document, dict):
        raise SerializationError("The request body is not a JSON object.")
    request: dict[str, Any] = _with_blobs(shape, document, "")
    return request


def _with_blobs(shape: Shape, value: Any, path: str) -> Any:
    if shape.type == "blob" and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise SerializationError(f"The value at '{path}' is not base64.") from error
    if shape.type == "structure" and isinstance(value, dict):
        members = shape.members
        return {
            name: _with_blobs(members[name], item, f"{path}.{name}".lstrip(".")) if name in members else item
            for name, item in value.items()
        }
    return value


def response_body(response: Mapping[str, Any]) -> bytes:
    """A response as the service writes it: timestamps are numbers, and nothing needs more than ASCII."""
    return json.dumps(response, separators=(",", ":"), allow_nan=False).encode("ascii")


def error_body(error: ServiceError, request_id: str) -> bytes:
    """An error as the service writes it; some SDKs read `Code`, `Logref` and `Message` in exactly these letters."""
    said = {"__type": error.code, "Code": error.code, "Logref": request_id, "Message": error.message}
    return response_body(said)
