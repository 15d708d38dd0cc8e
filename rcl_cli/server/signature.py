"""Signature Version 4, verified by signing the request again with botocore's own signer."""

from __future__ import annotations

import configparser
import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rcl_cli.errors import ConfigError, ServiceError

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 +Credential=(?P<key>[^/,\s]+)/(?P<date>\d{8})/(?P<region>[a-z\d-]{1,64})/(?P<service>[a-z\d-]+)"
    r"/aws4_request, *SignedHeaders=(?P<headers>[a-z\d;_-]+), *Signature=(?P<signature>[0-9a-f]{64})"
)
SERVICE = "rekognition"
_MAX_SKEW_S = 15 * 60
# Without these under the signature, it would not speak of this request.
_MUST_BE_SIGNED = frozenset({"host", "x-amz-date", "x-amz-target"})


class MissingAuthenticationToken(ServiceError):
    code = "MissingAuthenticationTokenException"


class IncompleteSignature(ServiceError):
    code = "IncompleteSignatureException"


class UnrecognizedClient(ServiceError):
    code = "UnrecognizedClientException"


class InvalidSignature(ServiceError):
    code = "InvalidSignatureException"


@dataclass(frozen=True, slots=True)
class Request:
    """What a signature speaks of.

    Args:
        headers: lower-case names; values of repeated headers joined by commas.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


def scope_region(authorization: str | None) -> str | None:
    """The region in the credential scope of a signed request, verified or not."""
    found = _AUTHORIZATION.fullmatch(authorization or "")
    return found["region"] if found else None


def load_access_keys(path: Path) -> dict[str, str]:
    """Access key id to secret, from a file in the format of ~/.aws/credentials; every profile in it may come in.

    Raises:
        ConfigError: it can't be read, others may read it, or it holds no pair.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--access-key-file {path} can't be read: {error}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"--access-key-file {path} can be read by others: chmod 600 {path}")
    parser = configparser.RawConfigParser(default_section="")
    try:
        parser.read_string(text)
    except configparser.Error as error:
        # The parser's message would quote lines of the file.
        raise ConfigError(f"--access-key-file {path} is not in the format of ~/.aws/credentials.") from error
    keys = {}
    for section in parser.sections():
        key = parser.get(section, "aws_access_key_id", fallback="")
        secret = parser.get(section, "aws_secret_access_key", fallback="")
        if key and secret:
            keys[key] = secret
    if not keys:
        raise ConfigError(f"--access-key-file {path} needs a profile with aws_access_key_id and aws_secret_access_key.")
    return keys


def make_access_keys(path: Path) -> dict[str, str]:
    """The access keys of a file that only its owner can read; it is made where it is not there.

    Raises:
        ConfigError: it can't be made or read.
    """
    key, secret = f"RCL{secrets.token_hex(8).upper()}", secrets.token_hex(20)
    text = f"[rcl]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
    try:
        with open(path, "x", encoding="utf-8", opener=partial(os.open, mode=0o600)) as file:
            file.write(text)
    except FileExistsError:
        pass
    except OSError as error:
        raise ConfigError(f"The access keys of rcl serve can't be written: {error}") from error
    return load_access_keys(path)


def _signed_again(request: Request, found: re.Match[str], secret: str, timestamp: str) -> str:
    """The signature that the owner of the secret would give this request."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.compat import HTTPHeaders
    from botocore.credentials import Credentials

    class Signer(SigV4Auth):  # type: ignore[misc]
        """Signs the headers that the client has signed, no others."""

        def headers_to_sign(self, _request: Any) -> Any:
            chosen = HTTPHeaders()
            for name in found["headers"].split(";"):
                chosen[name] = request.headers[name]
            return chosen

    query = f"?{request.query}" if request.query else ""
    # The signer takes path and query from here, and the host from the headers.
    url = f"http://host/{request.path.removeprefix('/')}{query}"
    again = AWSRequest(method=request.method, url=url, data=request.body)
    # What the body really is, whatever a header says of it.
    again.headers["X-Amz-Content-SHA256"] = hashlib.sha256(request.body).hexdigest()
    again.context["timestamp"] = timestamp
    signer = Signer(Credentials(found["key"], secret), found["service"], found["region"])
    signature: str = signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again)
    return signature


class Claim(NamedTuple):
    """What the head of a signed request says of its signature; whether it is right, only the whole request tells.

    Args:
        found: the parts of the Authorization header.
        secret: of the key that it names.
    """

    found: re.Match[str]
    secret: str


def claimed(headers: Mapping[str, str], keys: Mapping[str, str], now: datetime) -> Claim:
    """Who claims to have signed a request, for which a look at its head is enough: its body may be long in coming.

    Args:
        headers: as in `Request`.

    Raises:
        MissingAuthenticationToken, IncompleteSignature, UnrecognizedClient, InvalidSignature: it can't be right.
    """
    authorization = headers.get("authorization")
    if not authorization:
        raise MissingAuthenticationToken("The request is not signed: this server wants signatures of its access keys.")
    found = _AUTHORIZATION.fullmatch(authorization.strip())
    if found is None:
        raise IncompleteSignature("The Authorization header is not one of Signature Version 4.")
    names = set(found["headers"].split(";"))
    if not names >= _MUST_BE_SIGNED or not names <= headers.keys():
        needed = ", ".join(sorted(_MUST_BE_SIGNED))
        raise IncompleteSignature(f"The signature must cover {needed}, and only headers that are there.")
    if found["service"] != SERVICE:
        raise InvalidSignature(f"Credential should be scoped to correct service: '{SERVICE}'.")
    _check_time(headers["x-amz-date"], found["date"], now)
    secret = keys.get(found["key"])
    if secret is None:
        raise UnrecognizedClient("The security token included in the request is invalid.")
    return Claim(found, secret)


def verify(request: Request, claim: Claim) -> None:
    """Make sure that the owner of the key has signed the request.

    Raises:
        InvalidSignature: not so.
    """
    expected = _signed_again(request, claim.found, claim.secret, request.headers["x-amz-date"])
    if not hmac.compare_digest(expected, claim.found["signature"]):
        raise InvalidSignature(
            "The request signature we calculated does not match the signature you provided: check the secret key."
        )


def _check_time(timestamp: str, date: str, now: datetime) -> None:
    try:
        signed = datetime.strptime(timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise IncompleteSignature("X-Amz-Date is not of the form 20260131T235959Z.") from error
    if not timestamp.startswith(date):
        raise InvalidSignature("The date in the credential scope is not the one of X-Amz-Date.")
    if abs((now - signed).total_seconds()) > _MAX_SKEW_S:
        raise InvalidSignature(
            f"The signature expired, or the clocks differ: signed {timestamp}, now {now:%Y%m%dT%H%M%SZ}."
        )
