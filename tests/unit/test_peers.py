"""Whose connection it is, told from the kernel's table."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from rcl_cli.server import peers
from rcl_cli.server.peers import Address, Peer, asked, can_be_told, uid_of

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
CLIENT, SERVER = ("127.0.0.1", 0x9C40), ("127.0.0.1", 8650)
ENDS = {
    "v4": "0100007F:9C40 0100007F:21CA",
    "mapped": "0000000000000000FFFF00000100007F:9C40 0000000000000000FFFF00000100007F:21CA",
    "turned": "0100007F:21CA 0100007F:9C40",
    "other port": "0100007F:9C41 0100007F:21CA",
}


def table(ends: str, state: str = "01", uid: int = 1234, inode: int = 99) -> str:
    return (
        f"{HEAD}   0: {ENDS[ends]} {state} 00000000:00000000 00:00000000 00000000 {uid:5} 0 {inode} 1 0 20 4 0 10 -1\n"
    )


@pytest.mark.parametrize(
    ("text", "uid"),
    [
        (table("v4"), 1234),
        (table("mapped"), 1234),
        (table("v4", uid=0), 0),
        # The server's own end, and somebody else's.
        (table("turned"), None),
        (table("other port"), None),
        # Half closed, by a process that is still there; and by one that is not.
        (table("v4", state="05"), 1234),
        (table("v4", state="05", uid=0, inode=0), None),
        *[(table("v4", state=f"{state:02X}", uid=0), None) for state in (2, 3, 6, 7, 8, 9, 10, 11)],
        (HEAD, None),
        ("", None),
    ],
)
def test_states_of_the_table(text: str, uid: int | None) -> None:
    assert uid_of(CLIENT, SERVER, [text]) == uid


@pytest.mark.skipif(not can_be_told(), reason="this system has no such table")
@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_real_connection_is_ours(family: socket.AddressFamily, host: str) -> None:
    with socket.create_server((host, 0), family=family) as server:
        with socket.create_connection(server.getsockname()[:2]) as client:
            accepted, peer = server.accept()
            with accepted:
                assert Peer(peer[:2], accepted.getsockname()[:2]).uid == os.getuid()
            client.getpeername()
        # Nobody's any more.
        assert Peer(peer[:2], server.getsockname()[:2]).uid is None


@pytest.mark.skipif(not can_be_told(), reason="this system has no such table")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_one_is_asked_for_and_not_all_are_read(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table has all connections of the last minute: a busy server would do little else."""
    monkeypatch.setattr(peers, "_TABLES", (Path("/proc/none"),))
    listening = "127.0.0.1" if "." in host else host
    with socket.create_server((listening, 0), family=socket.AF_INET if "." in host else socket.AF_INET6) as server:
        address = server.getsockname()[:2]
        client = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        with client:
            client.connect((host, address[1]))
            accepted, peer = server.accept()
            with accepted:
                assert Peer(peer[:2], accepted.getsockname()[:2]).uid == os.getuid()
                client.shutdown(socket.SHUT_WR)
                # Its own end, and one that there is none at, though somebody listens at the other.
                assert asked(peer[:2], address) == os.getuid()
                assert asked(address, ("127.0.0.1", 1)) is None
        assert asked(peer[:2], address) is None


@pytest.mark.skipif(not can_be_told() or os.getuid() != 0, reason="only root can be another user too")
def test_another_user_is_told() -> None:
    code = (
        "import os, socket, sys; os.setuid(65534); s = socket.socket();"
        "s.connect(('127.0.0.1', int(sys.argv[1]))); s.recv(1)"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        with subprocess.Popen([sys.executable, "-c", code, str(server.getsockname()[1])]) as process:
            accepted, peer = server.accept()
            with accepted:
                assert Peer(peer, accepted.getsockname()).uid == 65534
            process.wait(30)


@pytest.mark.parametrize("trouble", [OSError("no netlink"), AttributeError("AF_NETLINK"), struct.error("short")])
def test_where_the_kernel_does_not_answer_the_table_is_read(
    trouble: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_client: Address, _server: Address) -> None:
        raise trouble

    (tmp_path / "tcp").write_text(table("v4"))
    monkeypatch.setattr(peers, "asked", fails)
    monkeypatch.setattr(peers, "_TABLES", (tmp_path / "tcp", tmp_path / "tcp6"))
    assert Peer(CLIENT, SERVER).uid == 1234


def test_what_is_no_address_of_the_internet_is_nobodys() -> None:
    assert Peer(None, None).uid is None
    assert Peer(("socket", 0), SERVER).uid is None
