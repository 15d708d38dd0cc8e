"""Versions whose trainer, copier or host died tell so the next time that anybody looks."""

from __future__ import annotations

from rcl_cli.context import Context
from rcl_cli.status import HOSTED, VersionStatus
from rcl_cli.store import versions


def settle_versions(context: Context) -> None:
    """Bring every version in a transitional state in line with the processes that are really there."""
    with context.database.read() as db:
        moving = versions.in_transition(db)
        suspects = []
        for version in moving:
            worker = versions.worker_of(db, version.id)
            if worker is None or not worker.identity.is_alive(context.layout.lock(version.id)):
                suspects.append(version)
            elif version.status == VersionStatus.STOPPING:
                from rcl_cli.compute.hosts import ask_to_stop

                # Whoever was to tell the host may have died before it did.
                ask_to_stop(worker, context.layout, version.id)
    if not suspects:
        return
    from rcl_cli.compute.hosts import settle_host
    from rcl_cli.compute.job import settle_copy, settle_training

    with context.database.write() as db:
        for version in suspects:
            if version.status == VersionStatus.TRAINING_IN_PROGRESS:
                settle_training(db, context.layout, version, context.now_ms())
            elif version.status == VersionStatus.COPYING_IN_PROGRESS:
                settle_copy(db, context.layout, version)
            elif version.status in HOSTED:
                settle_host(db, context.layout, version)
