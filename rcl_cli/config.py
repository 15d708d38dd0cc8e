"""Settings from config.yaml and the environment; read once, where a Context is made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from rcl_cli import plain_yaml, profiles
from rcl_cli.errors import ConfigError, RegionError
from rcl_cli.limits import VARIABLE, Kept

DEFAULT_ACCOUNT = "123456789012"
DEFAULT_REGION = "us-east-1"
TRAINING_PREFIX = "RCL_TRAINING_"
_KEYS = {"account", "buckets", "training", "offline", "s3", "limits"}
_REGION_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Config(NamedTuple):
    """What config.yaml and the environment say.

    Args:
        training: option name to text, environment over file.
        offline: never open a network connection for weights.
        limits: `service`, or `none`: more boxes, labels and pixels than the service takes.
    """

    account: str = DEFAULT_ACCOUNT
    region: str = DEFAULT_REGION
    bucket_folders: tuple[Path, ...] = ()
    buckets: Mapping[str, str] = _NOTHING
    s3_fallback: bool = False
    s3_endpoint_url: str | None = None
    training: Mapping[str, str] = _NOTHING
    offline: bool = False
    limits: Kept = "service"


def cpu_cores() -> int:
    """Cores that this process may use: of those that the system gives it, no more than `OMP_NUM_THREADS` says."""
    given = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return min(given, int(wanted)) if wanted.isdecimal() and int(wanted) else given


def _absolute(text: str) -> Path:
    return Path(os.path.abspath(os.path.expanduser(text)))  # noqa: PTH100, PTH111 - pathlib's raises for unknown users


def home_folder(environment: Mapping[str, str]) -> Path:
    """`RCL_HOME`, else the platform's folder for user data.

    Raises:
        ConfigError: this user has no home folder.
    """
    if environment.get("RCL_HOME"):
        return _absolute(environment["RCL_HOME"])
    import platformdirs

    try:
        return Path(platformdirs.user_data_dir("rcl", appauthor=False))
    except RuntimeError as error:
        raise ConfigError("This user has no home folder: set RCL_HOME to a folder for rcl.") from error


def read_document(path: Path) -> dict[str, Any]:
    """What config.yaml says, empty where it is not there.

    Raises:
        ConfigError: it can't be read, or has keys that rcl does not know.
    """
    if not path.exists():
        return {}
    try:
        document = plain_yaml.load(path)
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror or error}") from error
    except plain_yaml.PlainYamlError as error:
        raise ConfigError(f"{path} can't be read: {error}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(f"{path} must hold `key: value` lines.")
    if unknown := set(document) - _KEYS:
        raise ConfigError(
            f"{path} has an unknown key {sorted(map(str, unknown))[0]!r}; known: {', '.join(sorted(_KEYS))}."
        )
    return document


def _mapping(document: Mapping[str, Any], key: str, path: Path) -> dict[str, str]:
    value = document.get(key) or {}
    if not isinstance(value, dict):
        raise ConfigError(f"`{key}` in {path} must be a map.")
    return {str(k): str(v) for k, v in value.items() if v is not None}


def is_true(text: str | None) -> bool:
    """Whether a text means yes."""
    return (text or "").strip().lower() in {"1", "true", "yes", "on"}


def _region(requested: str | None, environment: Mapping[str, str]) -> str:
    region = requested or profiles.region(environment) or DEFAULT_REGION
    if not _REGION_CHARACTERS.issuperset(region) or len(region) > 64:
        raise RegionError(f"Provided region_name '{region}' doesn't match a supported format.")
    return region


def _limits(text: str) -> Kept:
    if text == "none":
        return "none"
    if text == "service":
        return "service"
    raise ConfigError(f"`limits` can't be {text!r}: it is service or none.")


def load_config(home: Path, environment: Mapping[str, str] | None = None, region: str | None = None) -> Config:
    """Settings for one home.

    Raises:
        ConfigError: config.yaml or a variable makes no sense.
    """
    environment = os.environ if environment is None else environment
    path = home / "config.yaml"
    document = read_document(path)
    account = str(document.get("account", DEFAULT_ACCOUNT))
    if len(account) != 12 or not (account.isascii() and account.isdigit()):
        raise ConfigError(f"`account` in {path} must be 12 digits, in quotes where it starts with 0.")
    training = {k.lower(): v for k, v in _mapping(document, "training", path).items()}
    training.update(
        {k[len(TRAINING_PREFIX) :].lower(): v for k, v in environment.items() if k.startswith(TRAINING_PREFIX)}
    )
    folders = [_absolute(environment["RCL_BUCKETS_DIR"])] if environment.get("RCL_BUCKETS_DIR") else []
    s3 = _mapping(document, "s3", path)
    buckets = {name: os.path.expanduser(to) for name, to in _mapping(document, "buckets", path).items()}  # noqa: PTH111
    return Config(
        account=account,
        region=_region(region, environment),
        bucket_folders=(*folders, home / "buckets"),
        buckets=buckets,
        s3_fallback=is_true(s3.get("fallback")),
        s3_endpoint_url=s3.get("endpoint_url") or None,
        training=training,
        offline=is_true(environment.get("RCL_OFFLINE")) or is_true(str(document.get("offline", ""))),
        limits=_limits(environment.get(VARIABLE) or str(document.get("limits", "service"))),
    )
