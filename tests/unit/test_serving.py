"""How answers leave: in one write where they are in one piece, as they come where they are not."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any, cast

import h11
import uvicorn
from uvicorn.server import ServerState

from rcl_cli.server.serving import Connection, Joining

PIECE = b"x" * 2**20


class Transport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.is_closed = True


def test_a_head_waits_for_the_first_piece_only() -> None:
    state, transport = h11.Connection(h11.SERVER), Transport()
    joining = Joining(cast(asyncio.Transport, transport), state)
    for _ in range(2):
        state.receive_data(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        while not isinstance(state.next_event(), h11.EndOfMessage):
            pass
        for event in (
            h11.Response(status_code=200, headers=[("content-length", "6")]),
            *(h11.Data(data=piece) for piece in (b"HTTP/x", b"", b"")), h11.EndOfMessage(),
        ):  # fmt: skip
            joining.write(state.send(event) or b"")
        state.start_next_cycle()
    heads = [written.partition(b"\r\n\r\n")[2] for written in transport.written]
    assert heads == [b"HTTP/x"] * 2


def test_pieces_go_as_they_come() -> None:
    state, transport = h11.Connection(h11.SERVER), Transport()
    joining = Joining(cast(asyncio.Transport, transport), state)
    state.receive_data(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    state.next_event()
    joining.write(state.send(h11.Response(status_code=200, headers=[("content-length", str(3 * len(PIECE)))])) or b"")
    for number in range(1, 4):
        joining.write(state.send(h11.Data(data=PIECE)) or b"")
        assert len(transport.written) == number


def test_a_head_without_a_body_leaves_with_the_end() -> None:
    state, transport = h11.Connection(h11.SERVER), Transport()
    joining = Joining(cast(asyncio.Transport, transport), state)
    state.receive_data(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    state.next_event()
    joining.write(state.send(h11.Response(status_code=200, headers=[("content-length", "6")])) or b"")
    assert transport.written == []
    joining.close()
    assert len(transport.written) == 1
    assert transport.is_closed


async def answered(app: Any, requests: int) -> tuple[list[Any], int]:
    """Connections that were there, and how much of an answer was read of each before its end."""
    made: list[Any] = []
    config = uvicorn.Config(app, lifespan="off", log_config=None)
    config.load()
    state = ServerState()

    def connection() -> Connection:
        one = Connection(config, state, {})
        made.append(weakref.ref(one))
        return one

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    port, read = server.sockets[0].getsockname()[1], 0
    for _ in range(requests):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        while data := await reader.read(2**16):
            read += len(data)
        writer.close()
    server.close()
    await asyncio.sleep(0.05)
    return made, read


def test_connections_go_with_their_end() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(20):
            await send({"type": "http.response.body", "body": PIECE, "more_body": number < 19})

    gc.collect()
    gc.disable()
    try:
        made, read = asyncio.run(answered(app, 3))
        assert [one() for one in made] == [None] * 3
    finally:
        gc.enable()
    assert read > 3 * 20 * len(PIECE)
