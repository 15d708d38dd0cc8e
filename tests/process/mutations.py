"""HTTP requests of AWS clients, changed at random: bodies, heads, framing, and how they are sent."""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

Valid = list[tuple[str, dict[str, Any]]]
Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Case:
    """Bytes to send.

    Args:
        answers: how many must come, or None where the server may as well wait or close.
        manner: whole; drip, a few bytes at a time; or how it ends: close, reset, half (closed one way).
    """

    data: bytes
    kind: str
    answers: int | None = 1
    manner: str = "whole"


def make_case(seed: str, valid: Valid) -> Case:
    """The same for the same seed, whatever was made before."""
    rng = Random(seed)
    kind = rng.choices(["body", "head", "pipelined", "manner", "no HTTP"], [58, 25, 4, 11, 2])[0]
    if kind == "no HTTP":
        return Case(rng.choice([*_NO_HTTP, rng.randbytes(rng.randrange(1, 3000))]), kind, None)
    if kind == "pipelined":
        several = [_request(rng, valid).written() for _ in range(rng.randrange(2, 6))]
        return Case(b"".join(several), kind, len(several))
    request = _request(rng, valid)
    if kind == "body":
        return Case(request.written(), kind)
    if kind == "head":
        changes = rng.sample(_HEADS, rng.choice([1, 1, 1, 2, 3]))
        for change in changes:
            change(rng, request)
        return Case(request.written(), change.__name__.strip("_"), None)
    data, manner = request.written(), rng.choice(["drip", "close", "reset", "half"])
    if manner == "drip" and rng.random() < 0.5:
        return Case(data, manner, 1, manner)
    return Case(data[: rng.randrange(len(data) + 1)], manner, None, manner)


# --- bodies -----------------------------------------------------------------------------------------------------------

_NASTY: list[Any] = [
    None, True, False, 0, -1, 101, 2**31, -(2**63) - 1, 10**400, 0.5, -0.0, 1e308, "", " ", "\0", "\n", "[", "[x",
    "[1]", "é", " (key: ", "😀", "\ud800", "a\udfff", "a" * 300, "b" * 3000, "c" * 30_000 + "\n", " " * 9999, "../..",
    "/x", "a/\0", "%00", "x" * 255, "s3://b/k", "NaN", "1", "CONTENT_MODERATION", "rcl:epochs", "aws:x", [], {}, [[]],
    [None], [{}], {"": ""}, {"[x": "y"}, {"rcl:model": "\u2028"}, {"rcl:seed": "٣"}, ["a"] * 11, ["z"] * 9999,
    [""] * 500, {f"k{n}": "v" for n in range(201)},
    "arn:aws:rekognition:us-east-1:123456789012:project/none/1690000000000",
]  # fmt: skip
# Texts that no JSON writer makes; they stand in documents as strings until the end.
_RAW = [
    "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "01", "+1", "0x1", ".5", "1.", "1" * 5000, "nul", "'a'", "",
    '"\x01"', '"\\x"', '"\\ud800"', '"\\u00"', "1 2", '{"a":1,"a":[]}', '1,"x":2', '1,"ProjectArn":"x"', "[" * 100_000,
    "[" * 900 + "]" * 900, '{"a":' * 5000 + "1" + "}" * 5000, "[" + "{}," * 20_000 + "0]", "[" + '"",' * 20_000 + '""]',
]  # fmt: skip
# (once, again and again, at the end) of bodies of megabytes.
_LONG = [
    (b'"', b"x", b'"'), (b"", b"[", b""), (b"[", b"[],", b"0]"), (b"", b'{"":', b""), (b"", b"\0", b""),
    (b"", b" ", b"{}"), (b'{"x":[', b'"\xc3\xa9",', b"0]}"), (b'{"TagKeys":[', b'"",', b'""]}'),
    (b'{"ProjectNames":[', b'"a",', b'""]}'), (b'{"SourceRefContains":"', b"a", b'\\n"}'),
    (b'{"ProjectName":"', b"\xc3\xa9", b'"}'), (b'{"Tags":{"', b"[", b'":""}}'),
]  # fmt: skip


def _places(node: Any) -> Iterable[tuple[Any, Any]]:
    """(container, key) of everything in a document."""
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], (dict, list)):
            yield from _places(node[key])


def change_document(rng: Random, document: Any) -> None:
    container, key = rng.choice(list(_places(document)) or [(document, "x")])
    value = container.get(key) if isinstance(container, dict) else container[key]
    match rng.randrange(9):
        case 0:
            container.pop(key, None) if isinstance(container, dict) else container.pop(key)
        case 1:
            container[key] = rng.choice([[value], {"x": value}, [value] * 3])
        case 2 if isinstance(document, dict):
            document[rng.choice(["x", "", "projectName", "[0]", "\udc00", "y" * 9999])] = rng.choice(_NASTY)
        case 3 if isinstance(container, dict):
            container[str(rng.choice(_NASTY))[:20_000]] = container.pop(key, "x")
        case 4:
            container[key] = f"@raw{rng.randrange(len(_RAW))}@"
        case 5 | 6 if isinstance(value, str):
            container[key] = change_text(rng, value)
        case 7:
            container[key] = copy.deepcopy(rng.choice(_NASTY))
        case _:
            # Of the right type, what is wrong gets further.
            container[key] = copy.deepcopy(rng.choice([n for n in _NASTY if isinstance(n, type(value))] or _NASTY))


def change_text(rng: Random, text: str) -> str:
    """A string with a change inside; base64 with a change inside what it stands for."""
    with contextlib.suppress(ValueError):
        if len(text) > 100:
            return base64.b64encode(change_bytes(rng, base64.b64decode(text, validate=True))).decode()
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice(["", "\0", "\n", "/", "é", "a", text, "9" * 20]) + text[at + rng.randrange(3) :]


def change_bytes(rng: Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    match rng.randrange(9):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + rng.randbytes(rng.randrange(1, 9)) + data[at:]
        case 2:
            return data + data
        case 3:
            return b"\xef\xbb\xbf" + data
        case 4:
            return data.decode("utf-8", "replace").encode("utf-16")
        case 5:
            return rng.choice([b"", b" ", b"null", b"[]", b"0", b"\xff\xfe", b"\0" * 99, rng.randbytes(99), b"{}{}"])
        case _:
            flipped = bytearray(data)
            for _ in range(min(len(data), rng.randrange(1, 5))):
                flipped[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            return bytes(flipped)


def changed_json(rng: Random, valid: Any) -> bytes:
    """A document with changes inside, and now and then with changes of its bytes."""
    document = copy.deepcopy(valid)
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
        change_document(rng, document)
    text = json.dumps(document, ensure_ascii=rng.random() < 0.8)
    body = re.sub(r'"@raw(\d\d?)@"', lambda found: _RAW[int(found[1]) % len(_RAW)], text).encode(
        "utf-8", "surrogatepass"
    )
    return change_bytes(rng, body) if rng.random() < 0.1 else body


def _body(rng: Random, valid: dict[str, Any]) -> bytes:
    body = changed_json(rng, valid)
    if rng.random() < 0.0005:
        begin, again, end = rng.choice(_LONG)
        body = begin + again * (rng.randrange(9 * 2**20) // len(again)) + rng.choice([end, end, b"", body])
    return body


# --- heads ------------------------------------------------------------------------------------------------------------

_NO_COLON = b"-no colon-"
_NO_HTTP = [
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
    bytes.fromhex("16030100c8010000c40303") + bytes(range(200)),  # a TLS ClientHello
    b"GET /health\r\n",
    b"GET / HTTP/0.9\r\n\r\n",
    b"EHLO localhost\r\n",
    b"\r\n" * 999,
    b"A" * 200_000,
]


@dataclass(slots=True)
class Request:
    """An HTTP request before it is written.

    Args:
        lengths: Content-Length headers; None for the right one.
        framed: what is sent as body, where it is not just the body.
    """

    body: bytes
    headers: Headers
    line: bytes = b"POST / HTTP/1.1"
    end: bytes = b"\r\n"
    lengths: list[bytes] | None = None
    framed: bytes | None = None
    after: bytes = b""

    def written(self) -> bytes:
        lengths = [b"%d" % len(self.body)] if self.lengths is None else self.lengths
        headers = [*self.headers, *((b"Content-Length", length) for length in lengths)]
        lines = [name if value == _NO_COLON else name + b": " + value for name, value in headers]
        return self.end.join([self.line, *lines, b"", self.body if self.framed is None else self.framed]) + self.after


def _request(rng: Random, valid: Valid) -> Request:
    name, document = rng.choice(valid)
    target = b"RekognitionService." + name.encode()
    return Request(_body(rng, document), [(b"Host", b"localhost"), (b"X-Amz-Target", target)])


def _words(text: str) -> list[bytes]:
    return text.encode("latin-1").split(b"|")


def _chunked(rng: Random, body: bytes) -> bytes:
    written, at = b"", 0
    while at < len(body) and len(written) < 200_000:
        piece = body[at : at + rng.choice([1, 7, 500, 70_000])]
        extension = rng.choice([b"", b"", b";a=b", b';a="\x01"', b" ;x", b";" + b"e" * 300])
        written += b"%x" % len(piece) + extension + b"\r\n" + piece + b"\r\n"
        at += len(piece)
    return written + b"0\r\n" + rng.choice([b"", b"X-Trailer: a\r\n", b"Content-Length: 5\r\n", b"bad\r\n"]) + b"\r\n"


def _change_length(rng: Random, request: Request) -> None:
    real = b"%d" % len(request.body)
    off = [b"%d" % (len(request.body) + n) for n in (1, 7, 10**6, -1) if len(request.body) + n >= 0]
    one = [*_words("-1|0x2|1e1|| |\xb2|0"), b"+" + real, real + b", " + real, b"9" * 30, *off]
    request.lengths = rng.choice([[], [real, real], [real, off[0]], *([length] for length in one)])


def _change_transfer(rng: Random, request: Request) -> None:
    coding = rng.choice([b"chunked"] * 6 + _words("Chunked|gzip, chunked|identity|xchunked|chunked, chunked|"))
    request.headers.append((b"Transfer-Encoding", coding))
    request.lengths = rng.choice([[], [], [], None])
    bad = _words("xyz\r\n|-1\r\n{}\r\n0\r\n\r\n|2\r\n{}0\r\n\r\n|\r\n|2\n{}\n0\n\n|1|" + "f" * 40 + "\r\n")
    request.framed = _chunked(rng, request.body) if rng.random() < 0.7 else rng.choice(bad)


def _change_target(rng: Random, request: Request) -> None:
    given = dict(request.headers).get(b"X-Amz-Target", b"")
    request.headers = [header for header in request.headers if header[0] != b"X-Amz-Target"]
    odd = [*_words("|x|Other.DescribeProjects|RekognitionService."), given.lower(), given + b"\xff", b"y" * 5000, given]
    for _ in range(rng.choice([0, 1, 1, 2])):
        request.headers.append((rng.choice([b"X-Amz-Target", b"x-amz-target"]), rng.choice(odd)))


def _change_headers(rng: Random, request: Request) -> None:
    odd: list[Headers] = [
        [(b"X-Long", b"a" * rng.choice([5000, 17_000, 70_000]))],
        [(b"X-%d" % n, b"v") for n in range(200)],
        [(b"A", b"") for _ in range(5000)],
        *([(line, _NO_COLON)] for line in (b"no colon here", b" folded")),
        *([(name, b"a")] for name in (b"X-\xc3\xa9", b"X-Space ", b"")),
        *([(b"X-Value", value)] for value in (b"a\r\n b", b"a\0b", b"\xff\x80")),
        [(b"Host", b"other"), (b"Host", rng.choice(_words("[|\xff|")))],
        [(b"Expect", rng.choice(_words("100-continue|200-ok")))],
        [(b"Connection", rng.choice(_words("close|keep-alive|upgrade|,,|close, close|HTTP2-Settings")))],
        [(b"Connection", b"Upgrade"), (b"Upgrade", rng.choice(_words("websocket|h2c|TLS/1.2")))],
        [(b"Origin", b"null")],
        [(b"Content-Type", b"text/html"), (b"Content-Encoding", b"gzip")],
    ]
    request.headers += rng.choice(odd)
    if rng.random() < 0.1:
        request.headers.pop(0)


def _change_authorization(rng: Random, request: Request) -> None:
    date, region = rng.choice(_words("20260101|1|x")), rng.choice([*_words("us-west-2||x/y|é"), b"a" * 64])
    good = b"AWS4-HMAC-SHA256 Credential=A/%s/%s/rekognition/aws4_request, SignedHeaders=host;x-amz-date, Signature=%s"
    odd = [good % (date, region, b"0" * 64)] * 3 + _words("Basic abc||AWS4-HMAC-SHA256") + [b"AWS4" + b" " * 9000]
    for _ in range(rng.choice([1, 1, 2])):
        given = rng.choice(odd)
        given = change_bytes(rng, given).translate(None, b"\r\n\0") if rng.random() < 0.5 else given
        request.headers.append((b"Authorization", given))


def _change_line(rng: Random, request: Request) -> None:
    methods = [b"POST"] * 6 + _words("GET|HEAD|PUT|OPTIONS|CONNECT|TRACE|post|P\x01||PO ST") + [b"G" * 99]
    targets = _words(
        "/|/health|http://localhost/|*|/%00|/../../etc|/a b||//|localhost:1|?x|/\xff|/?a=%zz&b|/#x|[x|http://[/"
    )
    ends = [b"HTTP/1.1"] * 6 + _words("HTTP/1.0|HTTP/2.0|HTTP/9.9|HTTP/1.1 x|http/1.1||HTTP/1")
    target = rng.choice([*targets, b"/" + b"a" * 20_000])
    request.line = b" ".join([rng.choice(methods), target, rng.choice(ends)]).rstrip()


def _change_ends(rng: Random, request: Request) -> None:
    request.end = rng.choice(_words("\n|\r|\r\n|\r\r\n"))
    request.line = rng.choice(_words("|\r\n|\n\n| |\0")) + request.line
    request.after = rng.choice([*_words("|\r\n|garbage"), rng.randbytes(99), b"\0" * 999])


_HEADS: list[Callable[[Random, Request], None]] = [
    _change_length,
    _change_transfer,
    _change_target,
    _change_headers,
    _change_authorization,
    _change_line,
    _change_ends,
]
