"""The thin client against hosts that go away, or answer late."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rcl_cli.errors import InternalServerError, ResourceNotReady, ServiceError
from rcl_cli.inference import client
from rcl_cli.inference.client import HostConnection
from rcl_cli.inference.protocol import receive_frame, send_frame


def serve(path: Path, *handlers: Callable[[socket.socket], None]) -> str:
    """A host whose connections are handled one after the other; then it is gone."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()

    def run() -> None:
        for handle in handlers:
            connection, _ = listener.accept()
            with connection:
                handle(connection)
        listener.close()
        path.unlink()

    threading.Thread(target=run, daemon=True).start()
    return str(path)


def answer(connection: socket.socket) -> None:
    """Say what the image was."""
    while frame := receive_frame(connection):
        send_frame(connection, {"labels": [{"Name": frame[1].decode()}]})


def leave(connection: socket.socket) -> None:
    receive_frame(connection)


def leave_in_the_middle(connection: socket.socket) -> None:
    receive_frame(connection)
    connection.sendall(b"\x00\x00\x00\x40{")


@pytest.mark.parametrize("first", [leave, leave_in_the_middle])
def test_another_worker_is_asked(tmp_path: Path, first: Callable[[socket.socket], None]) -> None:
    with HostConnection(serve(tmp_path / "s", first, answer), "n") as host:
        assert host.detect(b"a", None, None) == [{"Name": "a"}]
        assert host.detect(b"b", None, None) == [{"Name": "b"}]


def test_a_host_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    with HostConnection(serve(tmp_path / "s", leave), "n") as host, pytest.raises(ResourceNotReady):
        host.detect(b"a", None, None)
    with pytest.raises(ResourceNotReady):
        HostConnection(str(tmp_path / "s"), "n")


def test_a_late_answer_is_not_the_next_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_TIMEOUT_S", 0.3)
    late = threading.Event()

    def slow(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            receive_frame(connection)
            late.wait(10)
            send_frame(connection, {"labels": [{"Name": "late"}]})

    def in_the_background(connection: socket.socket) -> None:
        threading.Thread(target=slow, args=(connection.dup(),), daemon=True).start()

    with HostConnection(serve(tmp_path / "s", in_the_background, answer), "n") as host:
        with pytest.raises(InternalServerError):
            host.detect(b"a", None, None)
        late.set()
        assert host.detect(b"b", None, None) == [{"Name": "b"}]


@pytest.mark.parametrize("code", sorted({one.code for one in ServiceError.__subclasses__()} | {"NobodyKnowsException"}))
def test_every_error_of_a_host_reaches_its_client(tmp_path: Path, code: str) -> None:
    def refuse(connection: socket.socket) -> None:
        receive_frame(connection)
        send_frame(connection, {"error": {"code": code, "message": "It did not go well."}})

    with HostConnection(serve(tmp_path / "s", refuse), "n") as host, pytest.raises(ServiceError) as caught:
        host.detect(b"a", None, None)
    assert (caught.value.code, caught.value.message) == (
        "InternalServerError" if code == "NobodyKnowsException" else code, "It did not go well.",
    )  # fmt: skip
