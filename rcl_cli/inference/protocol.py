"""Frames between the thin client and the model host; they need the standard library only.

A frame is: 4 bytes big-endian length of a JSON header, the header, then as many raw bytes as its `size` says.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

from rcl_cli.limits import limits

MAX_HEADER_BYTES = 16 * 2**20
# Beside an image.
_ROOM_BYTES = 2**20
_LENGTH = struct.Struct(">I")
# What most frames fit in: every call costs as much as a thousand bytes more.
_FIRST_BYTES = 32 * 2**10


class ProtocolError(Exception):
    """The other side does not speak this protocol, or went away in the middle."""


def send_frame(connection: socket.socket, header: dict[str, Any], body: bytes = b"") -> None:
    text = json.dumps({**header, "size": len(body)}).encode()
    connection.sendall(_LENGTH.pack(len(text)) + text + body)


def receive_frame(connection: socket.socket) -> tuple[dict[str, Any], bytes] | None:
    """The next frame; None where the other side closed between frames.

    Each side sends one and waits for the other's, so nothing may come behind it.

    Raises:
        ProtocolError: anything that is no frame.
        ConnectionResetError: it was closed in the middle of one.
    """
    received = bytearray(connection.recv(_FIRST_BYTES))
    if not received:
        return None
    _receive_up_to(connection, received, _LENGTH.size)
    (length,) = _LENGTH.unpack_from(received)
    if length > MAX_HEADER_BYTES:
        raise ProtocolError("the header is too long")
    begin = _LENGTH.size + length
    _receive_up_to(connection, received, begin)
    try:
        header = json.loads(received[_LENGTH.size : begin])
        size = int(header["size"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ProtocolError("the header is not JSON") from error
    if not 0 <= size <= limits().file_bytes + _ROOM_BYTES:
        raise ProtocolError("the body is too long")
    _receive_up_to(connection, received, begin + size)
    if len(received) > begin + size:
        raise ProtocolError("there is more than the frame")
    return header, bytes(memoryview(received)[begin:])


def _receive_up_to(connection: socket.socket, received: bytearray, count: int) -> None:
    """Receive until there are so many bytes."""
    while len(received) < count:
        chunk = connection.recv(min(count - len(received), 1 << 20))
        if not chunk:
            raise ConnectionResetError("the connection was closed in the middle of a frame")
        received += chunk
