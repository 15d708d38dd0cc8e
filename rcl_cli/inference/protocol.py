"""Frames between the thin client and the model host, stdlib only.

A frame is: 4 bytes big-endian length of a JSON header, the header, then as many raw bytes as its `size` says.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

MAX_HEADER_BYTES = 16 * 2**20
MAX_BODY_BYTES = 16 * 2**20
_LENGTH = struct.Struct(">I")


class ProtocolError(Exception):
    """The other side does not speak this protocol, or went away in the middle."""


def send_frame(connection: socket.socket, header: dict[str, Any], body: bytes = b"") -> None:
    text = json.dumps({**header, "size": len(body)}).encode()
    connection.sendall(_LENGTH.pack(len(text)) + text + body)


def _receive(connection: socket.socket, count: int) -> bytes:
    chunks = bytearray()
    while len(chunks) < count:
        chunk = connection.recv(min(count - len(chunks), 1 << 20))
        if not chunk:
            raise ConnectionResetError("the connection was closed in the middle of a frame")
        chunks += chunk
    return bytes(chunks)


def receive_frame(connection: socket.socket) -> tuple[dict[str, Any], bytes] | None:
    """The next frame; None where the other side closed between frames.

    Raises:
        ProtocolError: anything that is no frame.
        ConnectionResetError: it was closed in the middle of one.
    """
    first = connection.recv(1)
    if not first:
        return None
    (length,) = _LENGTH.unpack(first + _receive(connection, _LENGTH.size - 1))
    if length > MAX_HEADER_BYTES:
        raise ProtocolError("the header is too long")
    try:
        header = json.loads(_receive(connection, length))
        size = int(header["size"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ProtocolError("the header is not JSON") from error
    if not 0 <= size <= MAX_BODY_BYTES:
        raise ProtocolError("the body is too long")
    return header, _receive(connection, size)
