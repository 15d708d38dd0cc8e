"""Web pages: which may ask, and what their browsers have to hear for it (Cross-Origin Resource Sharing)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rcl_cli.errors import UsageError

Headers = list[tuple[bytes, bytes]]

_ORIGIN = re.compile(r"(https?)://([a-z\d.-]+|\[[a-f\d:]+\])(:\d{1,5})?")
# What the AWS SDK for JavaScript sends.
_SENT = (
    "amz-sdk-invocation-id, amz-sdk-request, authorization, content-type, x-amz-content-sha256, x-amz-date, "
    "x-amz-security-token, x-amz-target, x-amz-user-agent"
)
_READ = "x-amzn-requestid, date"
_KEPT_S = 600
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def origin_of(text: str) -> str:
    """An origin as browsers send it, of what was given with `--allow-origin`.

    Raises:
        UsageError: it is none. `*` and `null` are none either: they would let in any page.
    """
    found = _ORIGIN.fullmatch(text.strip().lower().removesuffix("/"))
    if found is None:
        raise UsageError(
            f"--allow-origin {text}: it must be the scheme, host and port that a web page comes from, such as "
            "http://localhost:3000."
        )
    scheme, host, port = found.groups()
    return f"{scheme}://{host}{'' if port in (None, _DEFAULT_PORTS[scheme]) else port}"


def is_preflight(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a browser asks if its page may ask."""
    return method == "OPTIONS" and "access-control-request-method" in headers


def permission(headers: Mapping[str, str], origins: frozenset[str]) -> Headers:
    """What an answer says of who may read it, to be sent with every one; nothing where no page may ask at all.

    Args:
        headers: of the request, with lower-case names.
    """
    if not origins:
        return []
    origin = headers.get("origin")
    said = {"vary": "Origin"}
    if origin in origins:
        said |= {"access-control-allow-origin": str(origin), "access-control-expose-headers": _READ}
        if "access-control-request-method" in headers:
            said |= {
                "access-control-allow-methods": "POST",
                "access-control-allow-headers": _SENT,
                "access-control-max-age": str(_KEPT_S),
            }
        # A browser's word for a machine that the whole internet can't reach.
        if headers.get("access-control-request-private-network") == "true":
            said["access-control-allow-private-network"] = "true"
    return [(name.encode(), value.encode()) for name, value in said.items()]
