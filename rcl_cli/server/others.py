"""Requests that were meant for other services of AWS, and are told so in those services' own words.

`AWS_ENDPOINT_URL` sends all services to one place; an SDK that asks S3 or STS there can't read the JSON of Rekognition.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from xml.sax.saxutils import escape

_SCOPE = re.compile(
    # Of limited length, and without what it begins with: else some requests would take seconds to look through.
    r"Credential=[^/,\s&=]{1,128}(?:/|%2F)\d{8}(?:/|%2F)[a-z\d-]{0,64}(?:/|%2F)([a-z\d-]{1,64})(?:/|%2F)aws4_request",
    re.I,
)
_S3_METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE"})
_OWN = "rekognition"


class Elsewhere(NamedTuple):
    """An answer in the format of another service."""

    status: int
    content_type: str
    body: bytes
    code: str


def meant_for_others(
    method: str, path: str, query: str, headers: Mapping[str, str], request_id: str
) -> Elsewhere | None:
    """The answer to a request of another service that has a format of its own; None for all others.

    Args:
        headers: lower-case names.
    """
    if "x-amz-target" in headers:
        return None
    found = _SCOPE.search(headers.get("authorization") or query)
    service = found[1].lower() if found else ""
    if service == _OWN:
        return None
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return _query(service, request_id)
    # Unsigned, it is S3's if it names a bucket.
    names_bucket = method in _S3_METHODS and path.startswith("/") and path not in ("/", "/health")
    if service.startswith("s3") or (not service and names_bucket):
        return _s3(request_id)
    return None


def _sentence(service: str) -> str:
    return escape(
        f"This is rcl serve, which answers Rekognition Custom Labels only, not {service}. Set "
        "AWS_ENDPOINT_URL_REKOGNITION instead of AWS_ENDPOINT_URL."
    )


def _s3(request_id: str) -> Elsewhere:
    code = "MethodNotAllowed"
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{_sentence("S3")}</Message>'
        f"<RequestId>{request_id}</RequestId><HostId>rcl</HostId></Error>"
    )
    return Elsewhere(405, "application/xml", text.encode(), code)


def _query(service: str, request_id: str) -> Elsewhere:
    """As STS, IAM and all services with the query protocol answer."""
    code, name = "InvalidAction", service.upper() or "other services"
    text = (
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>{_sentence(name)}</Message></Error><RequestId>{request_id}</RequestId>"
        "</ErrorResponse>"
    )
    return Elsewhere(400, "text/xml", text.encode(), code)
