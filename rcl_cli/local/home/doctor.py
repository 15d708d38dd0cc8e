"""Looking for what keeps rcl from working on this machine, and what to do about it. Changes nothing, sends nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from rcl_cli import child
from rcl_cli.backends.libraries import installed
from rcl_cli.backends.weights.choice import sha256_of
from rcl_cli.config import Config, cpu_cores, home_folder, load_config
from rcl_cli.durable import abandoned_files
from rcl_cli.errors import ConfigError, RclError
from rcl_cli.local.home.check import Check
from rcl_cli.local.home.stored import store_checks
from rcl_cli.scratch import left_behind
from rcl_cli.store.connections import NETWORK_FILE_SYSTEMS, file_system
from rcl_cli.store.layout import Layout

_LEAST_PYTHON = (3, 11)
_LEAST_DISK_BYTES = 2**30
_USUAL_DISK_BYTES = 5 * 2**30
_IMPORT_TIMEOUT_S = 180


def examine(environment: Mapping[str, str], *, imports: bool, network: bool) -> Iterator[Check]:
    """All checks, one by one.

    Args:
        imports: try to import the libraries that train, and read models' files whole, which takes some seconds.
        network: try to reach the host of the weights, and S3 where it is configured.
    """
    layout = Layout(home_folder(environment))
    yield _python()
    yield from _packages()
    if imports:
        yield from _libraries()
    yield _home(layout)
    yield _disk(layout)
    yield _mount(layout)
    yield _temporary(layout)
    config = None
    try:
        config = load_config(layout.home, environment)
        yield Check("config", "ok", str(layout.config) if layout.config.exists() else "none, so all defaults")
    except ConfigError as error:
        yield Check("config", "fault", str(error), f"Mend {layout.config}, or the variable that it names.")
    except RclError as error:
        yield Check("config", "fault", str(error), "Set AWS_REGION to a region's name, such as us-east-1.")
    if config is not None:
        yield from _options(config)
        yield from _buckets(layout, config)
        yield from _weights(layout, config)
    yield from store_checks(layout, hashed=imports)
    if network and config is not None:
        yield from _network(config)


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < _LEAST_PYTHON:
        return Check("python", "fault", version, "Install Python 3.11 or newer, and rcl for it.")
    return Check("python", "ok", f"{version}, {cpu_cores()} CPU cores")


def _packages() -> Iterator[Check]:
    for name, found in installed().items():
        if found is None:
            yield Check(name, "fault", "not installed", f"{sys.executable} -m pip install {name}")
        else:
            yield Check(name, "ok", found)


def _libraries() -> Iterator[Check]:
    """Whether what is installed can be loaded, and what it can run on."""
    try:
        done = subprocess.run(
            child.command("rcl_cli.backends.trial"),
            env=child.environment(),
            capture_output=True,
            text=True,
            timeout=_IMPORT_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        yield Check("libraries", "fault", f"not loaded after {_IMPORT_TIMEOUT_S} s", "Look at the disk and the memory.")
        return
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
        fix = f"{sys.executable} -m pip install --force-reinstall torch torchvision ultralytics onnxruntime"
        if "libGL" in last:
            fix = "Install your system's OpenGL library: apt-get install libgl1"
        yield Check("libraries", "fault", last, fix)
        return
    found = json.loads(done.stdout.strip().splitlines()[-1])
    if found["usable"]:
        cards = f"CUDA {found['cuda']}: {'; '.join(found['names'])}"
        if "trouble" in found:
            fix = "Install a torch for this card (its build decides which ones), or end what fills its memory."
            yield Check("gpu", "fault", f"{cards}, but computing on it fails: {found['trouble']}", fix)
        else:
            yield Check("gpu", "ok", cards)
    elif found["mps"]:
        yield Check("gpu", "ok", "Apple's, through MPS")
    elif Path("/proc/driver/nvidia/version").exists():
        built = f"torch is built for CUDA {found['cuda']}" if found["cuda"] else "torch is built without CUDA"
        yield Check(
            "gpu", "warning", f"there is an NVIDIA driver, but {built} and can't use it",
            "Update the driver, or install a torch for its CUDA version.",
        )  # fmt: skip
    else:
        yield Check("gpu", "ok", "none, so the CPU trains and serves")


# --- the home ---------------------------------------------------------------------------------------------------------


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _home(layout: Layout) -> Check:
    home = layout.home
    if not home.exists():
        above = _existing(home)
        if not os.access(above, os.W_OK | os.X_OK):
            return Check("home", "fault", f"{home} can't be made in {above}", "Set RCL_HOME to a folder of your own.")
        return Check("home", "ok", f"{home} will be made")
    if not home.is_dir():
        return Check("home", "fault", f"{home} is no folder", "Move it away, or set RCL_HOME to another folder.")
    if not os.access(home, os.W_OK | os.X_OK) or home.stat().st_uid not in (os.getuid(), 0):
        return Check("home", "fault", f"{home} can't be written", f"chown -R $(id -u) {home}, or set RCL_HOME.")
    if home.stat().st_mode & 0o077:
        mode = oct(home.stat().st_mode & 0o777)[2:]
        return Check("home", "warning", f"others may look into {home} (mode {mode})", f"chmod 700 {home}")
    return Check("home", "ok", str(home))


def _disk(layout: Layout) -> Check:
    place = _existing(layout.home)
    free = shutil.disk_usage(place).free
    detail = f"{free / 2**30:.1f} GiB free at {place}"
    if free < _LEAST_DISK_BYTES:
        return Check("disk", "fault", detail, "Make room, or set RCL_HOME to another disk: a training needs some GiB.")
    if free < _USUAL_DISK_BYTES:
        return Check("disk", "warning", detail, "Make room before you train on many images.")
    return Check("disk", "ok", detail)


def _mount(layout: Layout) -> Check:
    kind = file_system(_existing(layout.home).resolve())
    if kind in NETWORK_FILE_SYSTEMS:
        return Check(
            "file system", "warning", f"{kind}: slow, and model hosts can't listen on all of them",
            "Set RCL_HOME to a folder on a disk of this machine.",
        )  # fmt: skip
    return Check("file system", "ok", kind or "local")


def _temporary(layout: Layout) -> Check:
    left = left_behind(layout.cache) + abandoned_files(layout.home) + abandoned_files(layout.weights_cache)
    if not left:
        return Check("temporary files", "ok", tempfile.gettempdir())
    detail = f"killed processes left {len(left)} folder(s) and file(s), {left[0]} first"
    return Check("temporary files", "warning", detail, "None: the next command that needs such a one removes them.")


def _options(config: Config) -> Iterator[Check]:
    from rcl_cli.training.options import resolve_options

    try:
        resolve_options(config.training)
    except RclError as error:
        yield Check(
            "training options",
            "fault",
            str(error),
            "Mend it under `training` in config.yaml, or the RCL_TRAINING_ variable.",
        )


def _buckets(layout: Layout, config: Config) -> Iterator[Check]:
    for name, target in config.buckets.items():
        if target != "s3" and not (layout.home / target).is_dir():
            yield Check(
                "buckets",
                "fault",
                f"{name} is mapped to {target}, which is no folder",
                "Mend `buckets` in config.yaml.",
            )
    for folder in config.bucket_folders[:-1]:
        if not folder.is_dir():
            yield Check(
                "buckets",
                "warning",
                f"RCL_BUCKETS_DIR is {folder}, which is no folder",
                "Make it, or unset the variable.",
            )


def _weights(layout: Layout, config: Config) -> Iterator[Check]:
    """Whether the files in the cache are what was downloaded."""
    cache = layout.weights_cache
    sound = 0
    for record in sorted(cache.glob("*.json")) if cache.is_dir() else []:
        path = record.with_suffix("")
        try:
            expected = json.loads(record.read_text("utf-8"))["sha256"]
            is_sound = path.is_file() and sha256_of(path) == expected
        except (OSError, ValueError, KeyError, TypeError):
            is_sound = False
        sound += is_sound
        if not is_sound:
            yield Check("weights", "fault", f"{path} is not what was downloaded", f"rm {path} {record}")
    if sound:
        yield Check("weights", "ok", f"{sound} file(s) in {cache}")
    elif config.offline:
        yield Check(
            "weights", "warning", "none in the cache, and rcl is offline: models are trained from scratch",
            "Unset offline for one training, or set `weights` to a file.",
        )  # fmt: skip
    else:
        yield Check("weights", "ok", "none yet: fetched by the first training")


# --- the network ------------------------------------------------------------------------------------------------------


def _network(config: Config) -> Iterator[Check]:
    if config.offline:
        yield Check("network", "ok", "not tried: rcl is offline")
    else:
        yield _tried("network", "github.com", _reach_github, "Models are trained from scratch without it; see weights.")
    if config.s3_fallback or "s3" in config.buckets.values():
        yield _tried(
            "s3", config.s3_endpoint_url or "S3", lambda: _reach_s3(config),
            "Look at your AWS credentials (aws sts get-caller-identity), and at `s3` in config.yaml.",
        )  # fmt: skip


def _tried(name: str, what: str, reach: Callable[[], None], fix: str) -> Check:
    try:
        reach()
    except Exception as error:  # noqa: BLE001 - whatever keeps it away
        return Check(name, "warning", f"{what} can't be reached: {error}", fix)
    return Check(name, "ok", f"{what} answers")


def _reach_github() -> None:
    import urllib.request

    request = urllib.request.Request("https://github.com", method="HEAD", headers={"User-Agent": "rcl"})
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310


def _reach_s3(config: Config) -> None:
    import boto3

    client = boto3.client("s3", region_name=config.region, endpoint_url=config.s3_endpoint_url)
    mapped = [name for name, target in config.buckets.items() if target == "s3"]
    for name in mapped:
        client.head_bucket(Bucket=name)
    if not mapped:
        client.list_buckets()
