"""Which folder of a home is whose work."""

from __future__ import annotations

from rcl_cli.compute.folder import WorkFolder
from rcl_cli.store.layout import Layout


def making_of(layout: Layout, version_id: int) -> WorkFolder:
    """The training or copying that makes a version's model."""
    return WorkFolder(layout.job(version_id), layout.lock(version_id), layout.training_log(version_id))


def host_of(layout: Layout, version_id: int) -> WorkFolder:
    """The host that serves a version's model."""
    folder = layout.host(version_id)
    return WorkFolder(folder, folder.with_suffix(".lock"), folder / "host.log")
