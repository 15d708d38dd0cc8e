"""What became of work: whoever looks next adopts outcomes, and work that died goes on or is given up."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rcl_cli.compute.folder import WorkFolder
from rcl_cli.compute.launcher import Claim, launcher, start
from rcl_cli.compute.places import host_of, making_of
from rcl_cli.context import Context
from rcl_cli.durable import remove_abandoned, replace_durably
from rcl_cli.errors import InternalServerError
from rcl_cli.status import HOSTED, MAKING, VersionStatus
from rcl_cli.store import room, versions
from rcl_cli.store.layout import Layout
from rcl_cli.store.trouble import reason
from rcl_cli.store.versions import Version

TRAINER, COPIER, HOST = "rcl_cli.training.trainer", "rcl_cli.training.copier", "rcl_cli.inference.host"
TRAINING_DIED = "The training process ended unexpectedly: `rcl logs PROJECT/VERSION` shows its last words."
COPY_DIED = "The process that copied the model ended unexpectedly: copy it again."
RUNNING = "The model is running."
STOPPED = "The model is stopped."
HOST_GONE = "The model's host is gone (it was killed, or the machine was restarted): start the model again."
DID_NOT_START = "The model's host ended before the model was loaded: see `rcl logs --host PROJECT/VERSION`."
TRAINING_STOPPED = "The training was stopped."
COPIED_HOME = "This is a copy of another home, which goes on with it: start again here."
# What it takes at most, and as much again as a busy machine may need.
_START_S, _STOP_S, _HOPELESS_S = 420.0, 45.0, 600.0
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
        except (sqlite3.OperationalError, OSError, ValueError):
            # The store is locked, the disk full, a file can't be read now: all stays, and who looks next settles it.
            continue


# --- trainings and copies ---------------------------------------------------------------------------------------------


def _settle_making(context: Context, version: Version) -> None:
    folder = making_of(context.layout, version.id)
    if launcher().is_at_work(folder):
        return
    with _decided(context, version, folder) as claim:
        if claim is None:
            return
        outcome = folder.outcome()
        is_copy = version.status == VersionStatus.COPYING_IN_PROGRESS
        if outcome is not None:
            adopt(context, version.id, folder, outcome)
        elif folder.is_prepared and folder.is_copied:
            adopt(context, version.id, folder, died(context, version.status, COPIED_HOME))
        elif folder.is_cancelled:
            adopt(context, version.id, folder, died(context, version.status, TRAINING_STOPPED))
        elif folder.is_prepared and folder.starts <= (1 if is_copy else _retries(folder)):
            # Copying is begun anew as easily as it is gone on with.
            claim.start(COPIER if is_copy else TRAINER)
        else:
            adopt(context, version.id, folder, died(context, version.status))


@contextmanager
def _decided(context: Context, version: Version, folder: WorkFolder) -> Iterator[Claim | None]:
    """The right to decide about a version's work; None where somebody is at it, or has decided since we looked."""
    claim = launcher().claim(folder)
    if claim is None:
        yield None
        return
    try:
        with context.database.read() as db:
            now = versions.by_id(db, version.id)
        yield claim if now is not None and now.status == version.status else None
    finally:
        claim.release()


def _retries(folder: WorkFolder) -> int:
    return int(folder.request().get("options", {}).get("retries", 0))


def died(context: Context, status: str, message: str = "") -> dict[str, Any]:
    """The outcome of a training or copy that can't say how it ended."""
    if status == VersionStatus.COPYING_IN_PROGRESS:
        found: dict[str, Any] = {
            "status": VersionStatus.COPYING_FAILED,
            "message": message or COPY_DIED,
            "ended_ms": None,
        }
    else:
        failed = VersionStatus.TRAINING_FAILED
        found = {"status": failed, "message": message or TRAINING_DIED, "ended_ms": context.now_ms()}
    return {**found, "outputs": {}}


def begin(context: Context, version_id: int, module: str) -> None:
    """Start the making of a version that was just committed; whoever looked in between may have done so already.

    Raises:
        InternalServerError: it can't be started; the version says so.
    """
    folder = making_of(context.layout, version_id)
    try:
        start(launcher(), module, folder)
    except OSError as error:
        message = f"The process that makes the model can't be started: {reason(error, context.layout.home)}."
        with context.database.read() as db:
            version = versions.by_id(db, version_id)
        if version is None or version.status not in MAKING:
            return
        with _decided(context, version, folder) as claim:
            if claim is None or folder.outcome() is not None:
                return
            adopt(context, version_id, folder, died(context, version.status, message))
        raise InternalServerError(message) from error


def adopt(context: Context, version_id: int, folder: WorkFolder, outcome: dict[str, Any]) -> None:
    """Take over what came of a training or copy; doing it twice, or at the same time as somebody else, does no harm.

    Raises:
        OSError, sqlite3.OperationalError: the disk is full, or the store is locked: nothing is lost, and it can be done
            later.
    """
    if outcome["status"] in (VersionStatus.TRAINING_COMPLETED, VersionStatus.COPYING_COMPLETED):
        _place_model(folder.path / _MODEL, context.layout.model(version_id))
    with context.database.write(_PATIENCE_S) as db:
        if versions.move(db, version_id, MAKING, outcome["status"], outcome["message"]):
            versions.end_making(db, version_id, outcome["ended_ms"], outcome["outputs"])
    # Last: until here everything can be done again.
    discard_job(context.layout, version_id)


def _place_model(made: Path, final: Path) -> None:
    """Give a model its final name, unless somebody just did."""
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

    trash = context.layout.home / "cache" / "trash"
    mine = trash / context.new_nonce()
    try:
        mine.mkdir(mode=0o700, parents=True)
    except OSError:
        # A full disk is no reason not to make room.
        mine = context.layout.home
    with context.database.write() as db:
        statuses = versions.statuses(db)
        for path in _of_versions(context.layout):
            number = int(path.name.partition(".")[0])
            is_work = path.parent.name == "jobs" and path.is_dir()
            if number not in statuses or (is_work and statuses[number] not in MAKING):
                _put_aside(path, mine)
    # Also what others had put aside, or begun, who then died.
    begun = context.layout.new_job("")
    remove_abandoned(begun.parent, begun.name)
    room.keep(context.layout.home)
    for path in [*trash.glob("*"), *context.layout.home.glob("rcl-gone-*")]:
        shutil.rmtree(path, ignore_errors=True)


def _put_aside(path: Path, folder: Path) -> None:
    """Give what is nobody's another name, unless somebody else just did."""
    try:
        path.rename(folder / f"rcl-gone-{path.parent.name}-{path.name}")
    except OSError:
        return


def _of_versions(layout: Layout) -> list[Path]:
    """Everything on disk that is named after a version's number."""
    found = []
    for place in ("models", "jobs", "hosts", "cache/answers"):
        folder = layout.home / place
        found += [path for path in folder.iterdir() if path.name.partition(".")[0].isdigit()] if folder.is_dir() else []
    return found


# --- hosts ------------------------------------------------------------------------------------------------------------


def _settle_host(context: Context, version: Version) -> None:
    folder = host_of(context.layout, version.id)
    if launcher().is_at_work(folder):
        if version.status == VersionStatus.STARTING and (folder.last_event() or {}).get("running"):
            _move(context, version, VersionStatus.RUNNING, RUNNING)
            return
        if version.status == VersionStatus.STOPPING:
            # Whoever was to tell the host may have died before it did.
            launcher().stop(folder)
        if not is_stuck(folder, version.status):
            return
        launcher().kill(folder)
    with _decided(context, version, folder) as claim:
        if claim is None:
            return
        is_new = folder.is_prepared and not folder.starts and not folder.is_copied
        if version.status == VersionStatus.STARTING and is_new:
            # Whoever was to start it died before it did.
            claim.start(HOST)
            return
        outcome = folder.outcome() or _unsaid(version.status)
        _move(context, version, outcome["status"], outcome["message"])


def is_stuck(folder: WorkFolder, status: str) -> bool:
    """Whether a host that is at work has had more time to start or to end than it may need: somebody froze it."""
    if status == VersionStatus.STOPPING:
        waited_s = folder.stop_asked_s or 0.0
        return waited_s > _HOPELESS_S or (waited_s > _STOP_S and launcher().is_frozen(folder))
    # Where the machine slept meanwhile, time has passed in which nothing could be done.
    waited_s = folder.started_s or 0.0
    return status == VersionStatus.STARTING and waited_s > _START_S and launcher().is_frozen(folder)


def _unsaid(status: str) -> dict[str, str]:
    """How a host ended that had no time to say so."""
    if status == VersionStatus.STARTING:
        return {"status": VersionStatus.FAILED, "message": DID_NOT_START}
    gone = HOST_GONE if status == VersionStatus.RUNNING else STOPPED
    return {"status": VersionStatus.STOPPED, "message": gone}


def _move(context: Context, version: Version, status: str, message: str) -> None:
    with context.database.write(_PATIENCE_S) as db:
        versions.move(db, version.id, (version.status,), status, message)
