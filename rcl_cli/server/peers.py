"""Whose process is at the other end of a connection on this machine.

Linux says so: of one socket by netlink (sock_diag(7)), of all in a table (proc(5), /proc/net/tcp), which takes the
longer the more connections there have been. Other systems tell neither.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
# Established, and what a connection is in that its owner has closed one way. Of later states the owner has let go.
_OWNED = (1, 4, 5)
# Of linux/netlink.h, linux/sock_diag.h and linux/inet_diag.h.
_SOCK_DIAG, _BY_FAMILY, _REQUEST = 4, 20, 1
_HEADER, _ENDS = struct.Struct("=IHHII"), struct.Struct(">HH16s16s")
_ALL_STATES, _NO_COOKIE = 0xFFFFFFFF, b"\xff" * 8
_ANSWER_BYTES, _ANSWER_S = 4096, 1.0
Address = tuple[str, int | None]


def can_be_told() -> bool:
    return _TABLES[0].exists()


# --- one socket -------------------------------------------------------------------------------------------------------


def asked(client: Address, server: Address) -> int | None:
    """The user of the process that made a connection; None where it is nobody's, or not there.

    Raises:
        OSError: the kernel does not answer.
    """
    packed = (_packed(client), _packed(server))
    family = socket.AF_INET if len(packed[0]) == 4 else socket.AF_INET6
    ends = _ENDS.pack(client[1] or 0, server[1] or 0, *packed)
    wanted = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, _ALL_STATES) + ends + bytes(4) + _NO_COOKIE
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
        kernel.settimeout(_ANSWER_S)
        kernel.send(_HEADER.pack(_HEADER.size + len(wanted), _BY_FAMILY, _REQUEST, 0, 0) + wanted)
        answer = kernel.recv(_ANSWER_BYTES)
    _, kind, _, _, _ = _HEADER.unpack_from(answer)
    if kind != _BY_FAMILY:
        # An error's number, negative: there is none such, or this system has no such service.
        (number,) = struct.unpack_from("=i", answer, _HEADER.size)
        if number == -2:
            return None
        raise OSError(-number, os.strerror(-number))
    body = answer[_HEADER.size :]
    internet, state = body[0], body[1]
    uid, inode = struct.unpack_from("=II", body, 64)
    # For want of one a socket that listens there is told. One without an inode is nobody's any more, and called root's.
    is_it = _told(internet, body[4:]) == (client[1], server[1], *packed)
    return uid if is_it and state in _OWNED and inode else None


def _told(internet: int, ends: bytes) -> tuple[int, int, bytes, bytes]:
    """Ports and addresses of an answer; a socket of IPv6 that speaks IPv4 is told as the former."""
    port, other_port, *addresses = _ENDS.unpack_from(ends)
    length = 4 if internet == socket.AF_INET else 16
    ours, theirs = (_packed((str(ipaddress.ip_address(one[:length])), None)) for one in addresses)
    return port, other_port, ours, theirs


def _packed(address: Address) -> bytes:
    return ipaddress.ip_address(_plain(address[0])).packed


def _plain(host: str) -> str:
    """Without its zone; as IPv4 where it is that in disguise."""
    found = ipaddress.ip_address(host.partition("%")[0])
    return str(getattr(found, "ipv4_mapped", None) or found)


# --- the table --------------------------------------------------------------------------------------------------------


def uid_of(client: Address, server: Address, tables: Iterable[str]) -> int | None:
    """As `asked`, from texts like that of /proc/net/tcp."""
    pairs = {f" {ours} {theirs} " for ours, theirs in zip(_written(client), _written(server), strict=True)}
    for table in tables:
        for line in table.splitlines()[1:]:
            if not any(pair in line for pair in pairs):
                continue
            fields = line.split()
            return int(fields[7]) if int(fields[3], 16) in _OWNED and fields[9] != "0" else None
    return None


def _written(address: Address) -> Sequence[str]:
    """An address as tables have it, words of four bytes in the machine's order, a colon, the port; as IPv4, as IPv6."""
    packed = _packed(address)
    forms = (packed, bytes(10) + b"\xff\xff" + packed) if len(packed) == 4 else (packed,)
    return [f"{_words(form)}:{address[1] or 0:04X}" for form in forms]


def _words(packed: bytes) -> str:
    words = (packed[at : at + 4] for at in range(0, len(packed), 4))
    return "".join((word[::-1] if sys.byteorder == "little" else word).hex().upper() for word in words)


class Peer:
    """The other end of a connection.

    Args:
        client, server: both ends, where they are IP addresses.
    """

    def __init__(self, client: Address | None, server: Address | None) -> None:
        self._ends = (client, server)

    @cached_property
    def uid(self) -> int | None:
        """The user of its process, None where that can't be told; asked once a connection."""
        client, server = self._ends
        if client is None or server is None:
            return None
        try:
            try:
                return asked(client, server)
            except (OSError, AttributeError, struct.error):
                return uid_of(client, server, [table.read_text("ascii") for table in _TABLES if table.exists()])
        except (OSError, ValueError):
            return None
