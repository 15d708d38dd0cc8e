"""Where a host listens."""

from __future__ import annotations

import os
from pathlib import Path

# A Unix socket's path has room for 107 bytes on Linux and 103 on macOS.
_MAX_ADDRESS_BYTES = 100


def socket_address(folder: Path, nonce: str) -> str:
    """A socket's path: in the host's folder, or in a private temporary one where that path is too long."""
    address = str(folder / f"{nonce[:8]}.sock")
    if len(os.fsencode(address)) <= _MAX_ADDRESS_BYTES:
        return address
    import hashlib
    import tempfile

    place = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    return str(runtime / f"rcl-{place}" / f"{nonce[:8]}.sock")


def make_private(folder: Path) -> None:
    """Make a socket's folder, for its owner only.

    Raises:
        OSError: somebody else's folder stands in its place.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else")
