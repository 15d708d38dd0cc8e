"""Where a host listens."""

from __future__ import annotations

import os
from pathlib import Path

# A Unix socket's path has room for 107 bytes on Linux and 103 on macOS.
_MAX_ADDRESS_BYTES = 100


def socket_address(folder: Path, nonce: str) -> str:
    """A socket's path: in the host's folder, or in a temporary one of its own where that path is too long.

    Args:
        nonce: what nobody can guess, so that nobody else makes that folder before.
    """
    address = str(folder / f"{nonce[:8]}.sock")
    if len(os.fsencode(address)) <= _MAX_ADDRESS_BYTES:
        return address
    import hashlib

    from rcl_cli.scratch import place_of

    return str(place_of("host", hashlib.sha256(nonce.encode()).hexdigest()[:16]) / "sock")
