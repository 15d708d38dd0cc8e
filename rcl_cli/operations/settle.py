"""What became of work: whoever looks next adopts outcomes, and work that died goes on or is given up."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from rcl_cli.compute.folder import WorkFolder
from rcl_cli.compute.launcher import launcher
from rcl_cli.compute.places import host_of, making_of
from rcl_cli.context import Context
from rcl_cli.status import HOSTED, VersionStatus
from rcl_cli.store import versions
from rcl_cli.store.layout import Layout
from rcl_cli.store.versions import Version

TRAINER, COPIER, HOST = "rcl_cli.training.trainer", "rcl_cli.training.copier", "rcl_cli.inference.host"
TRAINING_DIED = "The training process ended unexpectedly: `rcl logs PROJECT/VERSION` shows its last words."
COPY_DIED = "The process that copied the model ended unexpectedly: copy it again."
RUNNING = "The model is running."
STOPPED = "The model is stopped."
HOST_GONE = "The model's host is gone (it was killed, or the machine was restarted): start the model again."
DID_NOT_START = "The model's host ended before the model was loaded: see `rcl logs --host PROJECT/VERSION`."
_MODEL = "model"
# Whoever only looks does not wait long for another writer: an outcome stays where it is.
_PATIENCE_S = 1.0


def settle_versions(context: Context) -> None:
    """Bring every version that something works on in line with what there is."""
    with context.database.read() as db:
        moving = versions.in_transition(db)
    for version in moving:
        try:
            if version.status in HOSTED:
                _settle_host(context, version)
            else:
                _settle_making(context, version)
        except (sqlite3.OperationalError, OSError):
            # The store is locked or the disk is full: the outcome stays, and who looks next adopts it.
            continue


# --- trainings and copies ---------------------------------------------------------------------------------------------


def _settle_making(context: Context, version: Version) -> None:
    folder = making_of(context.layout, version.id)
    if launcher().is_at_work(folder):
        return
    # Only now: what was at work a moment ago may have ended since.
    outcome = folder.outcome()
    if outcome is not None:
        adopt(context, version, folder, outcome)
    elif version.status == VersionStatus.COPYING_IN_PROGRESS:
        # Copying is begun anew as easily as it is gone on with.
        _begin_again(context, version, folder, COPIER, retries=1)
    else:
        _begin_again(context, version, folder, TRAINER, retries=_retries(folder))


def _retries(folder: WorkFolder) -> int:
    try:
        return int(folder.request()["options"]["retries"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _begin_again(context: Context, version: Version, folder: WorkFolder, module: str, retries: int) -> None:
    """Start what was never started or has died, unless it dies again and again."""
    if folder.starts <= retries and folder.is_prepared:
        launcher().start(module, folder)
        return
    failed, message = (
        (VersionStatus.COPYING_FAILED, COPY_DIED)
        if module == COPIER
        else (VersionStatus.TRAINING_FAILED, TRAINING_DIED)
    )
    ended_ms = None if module == COPIER else context.now_ms()
    adopt(context, version, folder, {"status": failed, "message": message, "outputs": {}, "ended_ms": ended_ms})


def adopt(context: Context, version: Version, folder: WorkFolder, outcome: dict[str, Any]) -> None:
    """Take over what came of a training or copy; doing it twice, or at the same time as somebody else, does no harm.

    Raises:
        OSError, sqlite3.OperationalError: the disk is full, or the store is locked: nothing is lost, and it can be done
            later.
    """
    if outcome["status"] in (VersionStatus.TRAINING_COMPLETED, VersionStatus.COPYING_COMPLETED):
        _place_model(folder.path / _MODEL, context.layout.model(version.id))
    with context.database.write(_PATIENCE_S) as db:
        if versions.move(db, version.id, (version.status,), outcome["status"], outcome["message"]):
            versions.end_making(db, version.id, outcome["ended_ms"], outcome["outputs"])
    # Last: until here everything can be done again.
    discard_job(context.layout, version.id)


def _place_model(made: Path, final: Path) -> None:
    """Give a model its final name, unless somebody just did."""
    from rcl_cli.durable import replace_durably

    try:
        replace_durably(made, final)
    except FileNotFoundError:
        if not final.is_dir():
            raise


def discard_job(layout: Layout, version_id: int) -> None:
    """Remove a training's working files; its log stays."""
    import shutil

    shutil.rmtree(layout.job(version_id), ignore_errors=True)


def discard_orphans(context: Context) -> None:
    """Remove what versions that are gone have on disk: the one that was deleted, and others whose deleting died.

    Whoever makes a version holds the store while its folder gets its name, and so does this: what has no version then
    is nobody's.
    """
    import shutil

    home = context.layout.home
    trash = home / "cache" / "trash" / context.new_nonce()
    with context.database.write() as db:
        known = versions.ids(db)
        orphans = [path for path in _of_versions(context.layout) if int(path.name.partition(".")[0]) not in known]
        # Also what others had put aside who then died.
        orphans += trash.parent.iterdir() if trash.parent.is_dir() else []
        trash.mkdir(mode=0o700, parents=True)
        for path in orphans:
            path.rename(trash / f"{path.parent.name}-{path.name}")
    shutil.rmtree(trash, ignore_errors=True)


def _of_versions(layout: Layout) -> list[Path]:
    """Everything on disk that is named after a version's number."""
    found = []
    for place in ("models", "jobs", "hosts"):
        folder = layout.home / place
        found += [path for path in folder.iterdir() if path.name.partition(".")[0].isdigit()] if folder.is_dir() else []
    return found


# --- hosts ------------------------------------------------------------------------------------------------------------


def _settle_host(context: Context, version: Version) -> None:
    folder = host_of(context.layout, version.id)
    if launcher().is_at_work(folder):
        if version.status == VersionStatus.STOPPING:
            # Whoever was to tell the host may have died before it did.
            launcher().stop(folder)
        elif version.status == VersionStatus.STARTING and (folder.last_event() or {}).get("running"):
            _move(context, version, VersionStatus.RUNNING, RUNNING)
        return
    outcome = folder.outcome() or _unsaid(version.status)
    _move(context, version, outcome["status"], outcome["message"])


def _unsaid(status: str) -> dict[str, str]:
    """How a host ended that had no time to say so."""
    if status == VersionStatus.STARTING:
        return {"status": VersionStatus.FAILED, "message": DID_NOT_START}
    gone = HOST_GONE if status == VersionStatus.RUNNING else STOPPED
    return {"status": VersionStatus.STOPPED, "message": gone}


def _move(context: Context, version: Version, status: str, message: str) -> None:
    with context.database.write(_PATIENCE_S) as db:
        versions.move(db, version.id, (version.status,), status, message)
