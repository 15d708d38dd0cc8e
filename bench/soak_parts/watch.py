"""What must stay level while others work: memory, descriptors, threads, files, and the write-ahead log."""

from __future__ import annotations

import contextlib
import statistics
import time
from pathlib import Path

import psutil

_EVERY_S = 10.0
# How far the last quarter may be above the second: what the noise of a busy machine is, relative and absolute.
_LIMITS = {
    "server_mb": (0.15, 20.0), "hosts_mb": (0.25, 60.0), "descriptors": (0.2, 20.0), "threads": (0.2, 10.0),
    "files": (0.2, 60.0), "wal_mb": (0.5, 16.0),
}  # fmt: skip


def look(home: Path, server: int) -> dict[str, float]:
    """Of the server, of hosts, and of a home, without its buckets."""
    process = psutil.Process(server)
    hosts = []
    for handle in (home / "hosts").glob("*/handle"):
        with contextlib.suppress(psutil.Error, OSError, ValueError):
            host = psutil.Process(int(handle.read_text().strip("[]").split(",")[0]))
            hosts += [host, *host.children(recursive=True)]
    wal = home / "rcl.db-wal"
    return {
        "time": time.time(),
        "server_mb": process.memory_info().rss / 2**20,
        "hosts_mb": sum(_rss(one) for one in hosts) / 2**20,
        "descriptors": float(process.num_fds()),
        "threads": float(process.num_threads()),
        "files": float(sum(1 for path in home.rglob("*") if "buckets" not in path.parts)),
        "wal_mb": wal.stat().st_size / 2**20 if wal.exists() else 0.0,
    }


def _rss(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        return float(process.memory_info().rss)
    return 0.0


def sample(home: Path, server: int, until: float, series: list[dict[str, float]]) -> None:
    """Look every ten seconds."""
    while time.time() < until:
        with contextlib.suppress(FileNotFoundError):
            series.append(look(home, server))
        time.sleep(_EVERY_S)


def is_level(series: list[dict[str, float]]) -> dict[str, bool]:
    """For each figure, whether its median in the last quarter of the time is that of the second, or below."""
    quarter = max(1, len(series) // 4)
    early, late = series[quarter : 2 * quarter], series[-quarter:]
    found = {}
    for name, (relative, absolute) in _LIMITS.items():
        before, after = (statistics.median(one[name] for one in part) for part in (early, late))
        found[name] = after <= before * (1 + relative) + absolute
    return found


def left_over(home: Path, temporary: Path) -> list[str]:
    """Files that belong to nothing, and processes, once everything has ended."""
    processes = [one for one in psutil.process_iter(["cmdline"]) if str(home) in " ".join(one.info["cmdline"] or ())]
    jobs = [path for path in (home / "jobs").iterdir() if path.is_dir()] if (home / "jobs").is_dir() else []
    parts = [path for path in home.rglob("*") if path.name.startswith((".new-", ".rcl-"))]
    ours = [path for path in temporary.iterdir() if path.name.startswith("rcl-")]
    return [str(path) for path in (*jobs, *parts, *ours, *processes)]
