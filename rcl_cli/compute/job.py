"""Starting trainers and copiers, and finding out what became of them."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

from rcl_cli.status import VersionStatus
from rcl_cli.store import versions
from rcl_cli.store.layout import Layout
from rcl_cli.store.liveness import identify
from rcl_cli.store.versions import Version

TRAINING_MANIFEST = "training.manifest"
TESTING_MANIFEST = "testing.manifest"
# Holds the message of a training that is over before it begins.
TERMINAL = "terminal"
DIED = "The training process ended unexpectedly: `rcl logs PROJECT/VERSION` shows its last words."
COPY_DIED = "The process that copied the model ended unexpectedly: copy it again."


def write_snapshot(path: Path, lines: Iterable[str]) -> None:
    """Keep the manifest as it is now; later changes of the dataset do not reach a training that was started before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(line + "\n" for line in lines)
        file.flush()
        os.fsync(file.fileno())


def spawn(module: str, arguments: list[str], log: Path) -> int:
    """Start a process of rcl that outlives this one; returns its pid."""
    log.parent.mkdir(parents=True, exist_ok=True)
    # The process has another working folder, where a relative path would mean something else.
    relative = ("RCL_BUCKETS_DIR", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
    absolute = {name: os.path.abspath(os.environ[name]) for name in relative if os.environ.get(name)}  # noqa: PTH100
    # Threads that wait in a loop for each other starve whatever else runs, another training above all. A tenth of
    # GNU OpenMP's patience halves that and costs a training that is alone next to nothing (bench/RESULTS.md).
    threads = {"GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "30000")}
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            close_fds=True,
            cwd="/",
            env={**os.environ, **absolute, **threads, "PYTHONPATH": _package_root()},
        )
    # Nobody here waits for its work; but a parent that lives on must not keep its remains as a zombie.
    threading.Thread(target=process.wait, daemon=True).start()
    return process.pid


def launch_trainer(layout: Layout, version_id: int, nonce: str) -> int:
    """Start the trainer of a version; returns its pid."""
    arguments = ["--home", str(layout.home), "--version-id", str(version_id), "--nonce", nonce]
    return spawn("rcl_cli.training.trainer", arguments, layout.training_log(version_id))


def launch_copier(layout: Layout, version_id: int, nonce: str) -> int:
    """Start the process that copies a model into a version; returns its pid."""
    arguments = ["--home", str(layout.home), "--version-id", str(version_id), "--nonce", nonce]
    return spawn("rcl_cli.training.copier", arguments, layout.training_log(version_id))


def _package_root() -> str:
    """The folder that holds the package, first on the path of processes started with another working folder."""
    root = str(Path(__file__).resolve().parents[2])
    rest = os.environ.get("PYTHONPATH")
    return f"{root}{os.pathsep}{rest}" if rest else root


def hand_over(db: sqlite3.Connection, version_id: int, nonce: str, pid: int) -> None:
    """Make a started process responsible for its version, unless it has said so itself."""
    versions.claim(db, version_id, nonce, identify(pid))


def settle_training(db: sqlite3.Connection, layout: Layout, version: Version, now_ms: int) -> bool:
    """Fail a version whose trainer is gone; true if it changed."""
    worker = versions.worker_of(db, version.id)
    if worker is not None and worker.identity.is_alive(layout.lock(version.id)):
        return False
    if not versions.move(db, version.id, (VersionStatus.TRAINING_IN_PROGRESS,), VersionStatus.TRAINING_FAILED, DIED):
        return False
    versions.end_making(db, version.id, now_ms, {})
    versions.release(db, version.id)
    discard_job(layout, version.id)
    # It may have been killed between saving its model and saying so.
    shutil.rmtree(layout.model(version.id), ignore_errors=True)
    return True


def settle_copy(db: sqlite3.Connection, layout: Layout, version: Version) -> bool:
    """Fail a version whose copier is gone; true if it changed."""
    worker = versions.worker_of(db, version.id)
    if worker is not None and worker.identity.is_alive(layout.lock(version.id)):
        return False
    return end_copy(db, layout, version.id, COPY_DIED)


def end_copy(db: sqlite3.Connection, layout: Layout, version_id: int, message: str) -> bool:
    """Fail a copy and remove what there is of it; false if it was none."""
    if not versions.move(db, version_id, (VersionStatus.COPYING_IN_PROGRESS,), VersionStatus.COPYING_FAILED, message):
        return False
    versions.release(db, version_id)
    discard_job(layout, version_id)
    # It may have been killed between saving its model and saying so.
    shutil.rmtree(layout.model(version_id), ignore_errors=True)
    return True


def discard_job(layout: Layout, version_id: int) -> None:
    """Remove a training's working files; its log stays."""
    shutil.rmtree(layout.job(version_id), ignore_errors=True)
    shutil.rmtree(layout.model(version_id).with_suffix(".part"), ignore_errors=True)


def discard_version(layout: Layout, version_id: int) -> None:
    """Remove everything that a version has on disk."""
    discard_job(layout, version_id)
    layout.lock(version_id).unlink(missing_ok=True)
    shutil.rmtree(layout.model(version_id), ignore_errors=True)
    shutil.rmtree(layout.host(version_id), ignore_errors=True)
    layout.training_log(version_id).unlink(missing_ok=True)


def terminate(pid: int) -> None:
    """Ask a process to end."""
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
