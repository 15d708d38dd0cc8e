"""Whose process is at the other end of a connection on this machine.

On Linux the kernel's table of TCP sockets says so (proc(5), /proc/net/tcp). Other systems have no such table.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
# Established, and what a connection is in that its owner has closed one way. Of later states the owner has let go.
_OWNED = {"01", "04", "05"}
Address = tuple[str, int | None]


def can_be_told() -> bool:
    return _TABLES[0].exists()


def uid_of(client: Address, server: Address, tables: Iterable[str]) -> int | None:
    """The user of the process that made a connection; None where that can't be told.

    Args:
        client, server: IP address and port of both ends.
        tables: texts like that of /proc/net/tcp.
    """
    wanted = (_plain(client), _plain(server))
    for table in tables:
        for line in table.splitlines()[1:]:
            fields = line.split()
            if len(fields) < 10 or (_decoded(fields[1]), _decoded(fields[2])) != wanted:
                continue
            # A socket without an inode is nobody's any more, and the table says that it is root's.
            return int(fields[7]) if fields[3] in _OWNED and fields[9] != "0" else None
    return None


def _plain(address: Address) -> Address:
    found = ipaddress.ip_address(address[0].partition("%")[0])
    return str(getattr(found, "ipv4_mapped", None) or found), address[1]


def _decoded(text: str) -> Address:
    """An address of the table: words of four bytes in the machine's order, a colon, the port."""
    digits, _, port = text.partition(":")
    words = [bytes.fromhex(digits[at : at + 8])[::-1] for at in range(0, len(digits), 8)]
    return _plain((str(ipaddress.ip_address(b"".join(words))), int(port, 16)))


class Peer:
    """The other end of a connection.

    Args:
        client, server: both ends, where they are IP addresses.
    """

    def __init__(self, client: Address | None, server: Address | None) -> None:
        self._ends = (client, server)

    @cached_property
    def uid(self) -> int | None:
        """See `uid_of`; asked once a connection."""
        client, server = self._ends
        if client is None or server is None:
            return None
        try:
            return uid_of(client, server, [table.read_text("ascii") for table in _TABLES if table.exists()])
        except (OSError, ValueError):
            return None
