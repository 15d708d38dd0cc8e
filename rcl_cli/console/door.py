"""Who may come in: a browser that was shown the printed URL, asking from a page of this console.

The token of the URL works once and becomes a cookie. Foreign names for this machine (DNS rebinding), other sites'
forms, pictures and scripts, and pages without the cookie are refused before anything is read.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_SESSION_S = 30 * 86_400
_CHANGES_NOTHING = frozenset({"GET", "HEAD"})
# No script or style but files of this server, no picture but its own and those that a page holds itself.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
)


class Door:
    """In front of the console's application.

    Args:
        hosts: what browsers may call this server, as `Host` has it.
        port: makes the cookie's name: browsers give cookies to all ports of a host.
        key: signs cookies, so that a page goes on when the server was started again.
        opened: told that a token was used, with the next one.
    """

    def __init__(
        self, inside: App, hosts: frozenset[str], port: int, key: bytes, opened: Callable[[str], None]
    ) -> None:
        self._inside, self._hosts, self._key, self._opened = inside, hosts, key, opened
        self._cookie = f"rcl-console-{port}"
        self._token = secrets.token_urlsafe(32)

    @property
    def token(self) -> str:
        """What lets the next browser in."""
        return self._token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inside(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _answer(send, *refusal)
        elif (token := _token_of(scope)) and not self._is_known(headers):
            await self._let_in(token, send)
        elif token:
            # Opened once more, by a browser that is in.
            await _answer(send, 200, "", [(b"refresh", b"0; url=/")])
        elif not self._is_known(headers):
            await _answer(send, 401, "Open the URL that rcl console printed; each works once.")
        else:
            await self._inside(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Status and words for what comes from elsewhere."""
        host = headers.get("host", "")
        if host.lower() not in self._hosts:
            return 421, "This console does not go by that name."
        # What a browser says by itself, and no page can have it say otherwise.
        site = headers.get("sec-fetch-site")
        is_read = scope["method"] in _CHANGES_NOTHING
        # A person may come to the page by a link; scripts, pictures and frames of others get nothing.
        is_visit = is_read and scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate"
        if site not in (None, "same-origin") and not is_visit:
            return 403, "Other sites have no part in this."
        origin = headers.get("origin")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return 403, "Other sites have no part in this."
        if not is_read and origin is None and site is None:
            return 403, "Only a browser that shows this console can change anything by it."
        return None

    def _is_known(self, headers: Mapping[str, str]) -> bool:
        # By hand: other programs of this machine set cookies that no parser takes, and all would be lost with them.
        given = dict(one.strip().partition("=")[::2] for one in headers.get("cookie", "").split(";"))
        told, _, signature = given.get(self._cookie, "").rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(told).encode()):
            return False
        return time.time() - int(told.partition(".")[0]) < _SESSION_S

    def _signature(self, told: str) -> str:
        return hmac.new(self._key, told.encode(), "sha256").hexdigest()

    async def _let_in(self, token: str, send: Send) -> None:
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            await _answer(send, 401, "This URL was used before: each works once, and rcl console printed another one.")
            return
        self._token = secrets.token_urlsafe(32)
        told = f"{int(time.time())}.{secrets.token_urlsafe(16)}"
        self._opened(self._token)
        session = f"{told}.{self._signature(told)}"
        cookie = f"{self._cookie}={session}; HttpOnly; SameSite=Strict; Path=/; Max-Age={_SESSION_S}"
        # No redirect: where another site's page led here, browsers keep a strict cookie from where that leads.
        await _answer(send, 200, "", [(b"refresh", b"0; url=/"), (b"set-cookie", cookie.encode())])


def _token_of(scope: Scope) -> str:
    if scope["path"] != "/" or scope["method"] != "GET":
        return ""
    return str(parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0])


async def _answer(send: Send, status: int, text: str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    body = text.encode()
    told = [
        (b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"), (b"connection", b"close"), *_HEADERS, *(headers or []),
    ]  # fmt: skip
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *_HEADERS]}
        await send(message)

    return sending
