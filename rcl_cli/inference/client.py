"""The thin client of a model host, stdlib only."""

from __future__ import annotations

import socket
from typing import Any

from rcl_cli.errors import InternalServerError, ResourceNotReady, service_error
from rcl_cli.inference.protocol import ProtocolError, receive_frame, send_frame

_TIMEOUT_S = 120


def detect(
    address: str, nonce: str, image: bytes, min_confidence: float | None, max_results: int | None
) -> list[dict[str, Any]]:
    """Ask a host.

    Args:
        address: path of its socket.
        nonce: proves that the host is the one that the store means.
        min_confidence: 0..100, None for the assumed thresholds.

    Returns:
        CustomLabels, as the API returns them.

    Raises:
        ResourceNotReady: nobody listens.
        ServiceError: what the host answered.
    """
    header = {"op": "detect", "nonce": nonce, "min_confidence": min_confidence, "max_results": max_results}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_TIMEOUT_S)
        try:
            connection.connect(address)
            send_frame(connection, header, image)
            answer = receive_frame(connection)
        except (ConnectionError, FileNotFoundError) as error:
            raise ResourceNotReady("The model is not running: its host has gone.") from error
        except (OSError, ProtocolError) as error:
            raise InternalServerError(f"The model host does not answer: {error}.") from error
    if answer is None:
        raise ResourceNotReady("The model is not running: its host has gone.")
    reply, _ = answer
    if "error" in reply:
        raise service_error(reply["error"]["code"], reply["error"]["message"])
    labels: list[dict[str, Any]] = reply["labels"]
    return labels
