"""Starting and stopping model hosts, and finding out what became of them."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from rcl_cli.status import VersionStatus
from rcl_cli.store import versions
from rcl_cli.store.layout import Layout
from rcl_cli.store.versions import Version, Worker

RUNNING = "The model is running."
STOPPED = "The model is stopped."
GONE = "The model's host is gone (it was killed, or the machine was restarted): start the model again."
DID_NOT_START = "The model's host ended before the model was loaded: see `rcl logs --host PROJECT/VERSION`."
KEEPS_FAILING = "The model's workers keep failing: see `rcl logs --host PROJECT/VERSION`."
# A Unix socket's path has room for 107 bytes on Linux and 103 on macOS.
_MAX_ADDRESS_BYTES = 100


def socket_address(layout: Layout, version_id: int, nonce: str) -> str:
    """Where a host listens: in its folder, or in a private temporary one where that path is too long."""
    address = str(layout.host(version_id) / f"{nonce[:8]}.sock")
    if len(os.fsencode(address)) <= _MAX_ADDRESS_BYTES:
        return address
    import hashlib
    import tempfile

    home = hashlib.sha256(os.fsencode(layout.home)).hexdigest()[:12]
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    return str(runtime / f"rcl-{home}" / f"{version_id}-{nonce[:8]}.sock")


def make_private(folder: Path) -> None:
    """Make a socket's folder, for its owner only.

    Raises:
        OSError: somebody else's folder stands in its place.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else")


def launch_host(layout: Layout, version_id: int, nonce: str, least: int, most: int) -> int:
    """Start the host of a version with so many workers; returns its pid."""
    from rcl_cli.compute.job import spawn

    folder = layout.host(version_id)
    folder.mkdir(parents=True, exist_ok=True)
    arguments = [
        "--home",
        str(layout.home),
        "--version-id",
        str(version_id),
        "--nonce",
        nonce,
        "--least",
        str(least),
        "--most",
        str(most),
    ]
    return spawn("rcl_cli.inference.host", arguments, host_log(layout, version_id))


def host_log(layout: Layout, version_id: int) -> Path:
    return layout.host(version_id) / "host.log"


def ask_to_stop(worker: Worker, layout: Layout, version_id: int) -> None:
    """Tell a host to finish what it has and end; telling it twice does no harm."""
    from rcl_cli.compute.job import terminate

    if not worker.identity.is_foreign and worker.identity.is_alive(layout.lock(version_id)):
        terminate(worker.identity.pid)


def settle_host(db: sqlite3.Connection, layout: Layout, version: Version) -> bool:
    """Tell the truth about a version whose host is gone; true if it changed."""
    worker = versions.worker_of(db, version.id)
    if worker is not None and worker.identity.is_alive(layout.lock(version.id)):
        return False
    outcome = {
        VersionStatus.STARTING: (VersionStatus.FAILED, DID_NOT_START),
        VersionStatus.RUNNING: (VersionStatus.STOPPED, GONE),
        VersionStatus.STOPPING: (VersionStatus.STOPPED, STOPPED),
    }[version.status]
    if not versions.move(db, version.id, (version.status,), *outcome):
        return False
    if worker is not None and worker.address:
        Path(worker.address).unlink(missing_ok=True)
    versions.release(db, version.id)
    return True
