"""Where each setting comes from, and how config.yaml is changed without losing what people wrote into it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from rcl_cli import profiles
from rcl_cli.buckets.resolve import is_bucket_name
from rcl_cli.config import (
    DEFAULT_ACCOUNT,
    DEFAULT_REGION,
    TRAINING_PREFIX,
    home_folder,
    is_true,
    load_config,
    read_document,
)
from rcl_cli.durable import alone, new_file, replace_durably
from rcl_cli.errors import ConfigError, InvalidParameter, RclError, UsageError
from rcl_cli.limits import VARIABLE
from rcl_cli.local.home.yaml_edit import edited
from rcl_cli.regular import read_bytes
from rcl_cli.scratch import scratch
from rcl_cli.store.layout import Layout
from rcl_cli.training.options import TRAINING_OPTIONS, resolve_options

_DEFAULT = "default"
_PLANNED = "planned from the data"
_TRAINING_DEFAULTS = {
    "model": "auto", "device": "auto", "weights": "auto", "seed": "0", "time_budget_s": "none", "license": "any",
}  # fmt: skip
_MEANINGS = {
    "home": "where projects, models and logs are kept",
    "account": "the account in ARNs, 12 digits",
    "region": "the region in ARNs",
    "buckets_dir": "a folder with a folder for each bucket, beside the home's own",
    "offline": "true: no weights are fetched",
    "limits": "none: more boxes, labels and pixels than the service takes",
    "s3.fallback": "true: buckets that are no folders are asked for at S3",
    "s3.endpoint_url": "another S3 than Amazon's",
}


class Source(NamedTuple):
    """A place that a setting may come from.

    Args:
        place: `RCL_OFFLINE`, a file's path, `default`.
        value: what it says there; None where it says nothing.
    """

    place: str
    value: str | None


class Setting(NamedTuple):
    """A setting, and everything that has a say in it.

    Args:
        sources: the first with a value wins.
    """

    key: str
    meaning: str
    sources: tuple[Source, ...]

    @property
    def winner(self) -> Source:
        return next(source for source in self.sources if source.value is not None)

    @property
    def before_all(self) -> str:
        """What is given with a request counts before all sources; empty where nothing can be."""
        if self.key.startswith("training."):
            name = self.key.partition(".")[2]
            return f"Tags rcl:{name} of a project, and then of a version, count before all of these."
        return "The option --region counts before all of these." if self.key == "region" else ""


class Changed(NamedTuple):
    """What became of a change.

    Args:
        path: the file that was changed.
        hidden_by: a place that counts before the file, and has another say; None where the file counts.
    """

    path: Path
    hidden_by: Source | None


def settings_of(environment: Mapping[str, str]) -> list[Setting]:
    """All settings.

    Raises:
        ConfigError: config.yaml can't be read.
    """
    layout = Layout(home_folder(environment))
    path = layout.config
    document = read_document(path)
    load_config(layout.home, environment)

    def in_file(*keys: str) -> Source:
        value: Any = document
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return Source(str(path), None if value is None else _text(value))

    def in_variable(name: str) -> Source:
        return Source(name, environment.get(name) or None)

    aws_file = environment.get("AWS_CONFIG_FILE") or "~/.aws/config"
    rows: list[tuple[str, tuple[Source, ...]]] = [
        ("home", (in_variable("RCL_HOME"), Source(_DEFAULT, str(home_folder({}))))),
        ("account", (in_file("account"), Source(_DEFAULT, DEFAULT_ACCOUNT))),
        (
            "region",
            (
                in_variable("AWS_REGION"),
                in_variable("AWS_DEFAULT_REGION"),
                Source(aws_file, profiles.setting("region", environment)),
                Source(_DEFAULT, DEFAULT_REGION),
            ),
        ),
        ("buckets_dir", (in_variable("RCL_BUCKETS_DIR"), Source(_DEFAULT, str(layout.home / "buckets")))),
        *((f"buckets.{name}", (in_file("buckets", name),)) for name in _map(document, "buckets")),
        ("offline", (_if_true(in_variable("RCL_OFFLINE")), in_file("offline"), Source(_DEFAULT, "false"))),
        ("limits", (in_variable(VARIABLE), in_file("limits"), Source(_DEFAULT, "service"))),
        ("s3.fallback", (in_file("s3", "fallback"), Source(_DEFAULT, "false"))),
        ("s3.endpoint_url", (in_file("s3", "endpoint_url"), Source(_DEFAULT, "Amazon's"))),
    ]
    found = [Setting(key, _MEANINGS.get(key, "a folder, or s3 for real S3"), sources) for key, sources in rows]
    return [*found, *_training(document, in_file, environment)]


def _training(
    document: Mapping[str, Any], in_file: Callable[..., Source], environment: Mapping[str, str]
) -> Iterator[Setting]:
    """Training options: names in the file and of variables are of any case."""
    written = {name.lower(): name for name in _map(document, "training")}
    variables = {
        name.removeprefix(TRAINING_PREFIX).lower(): name for name in environment if name.startswith(TRAINING_PREFIX)
    }
    for name, meaning in TRAINING_OPTIONS.items():
        variable = variables.get(name, TRAINING_PREFIX + name.upper())
        sources = (
            Source(variable, environment.get(variable)),
            in_file("training", written.get(name, name)),
            Source(_DEFAULT, _TRAINING_DEFAULTS.get(name, _PLANNED)),
        )
        yield Setting(f"training.{name}", f"training option: {meaning}", sources)


def _map(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _if_true(source: Source) -> Source:
    """The variable can only forbid the network, not allow it."""
    return source if is_true(source.value) else source._replace(value=None)


def setting_of(key: str, environment: Mapping[str, str]) -> Setting:
    """One setting.

    Raises:
        UsageError: there is none of that name.
    """
    every = settings_of(environment)
    found = next((setting for setting in every if setting.key == key), None)
    if found is None:
        raise UsageError(f"There is no setting {key}; there are {', '.join(setting.key for setting in every)}.")
    return found


def change(key: str, value: str | None, environment: Mapping[str, str]) -> Changed:
    """Write a setting into config.yaml, or take it out; everything else in it stays as it is.

    Args:
        value: None to take it out.

    Raises:
        UsageError: there is no such setting in the file, or it can't have that value; nothing was changed.
        ConfigError: config.yaml can't be read, changed or written.
    """
    keys = _keys_in_file(key, is_new=value is not None)
    layout = Layout(home_folder(environment))
    layout.make()
    path = layout.config
    wanted = None if value is None else _scalar(key, value)
    try:
        # Two changes at once would lose one of them.
        with alone(layout.home / ".config.lock"):
            # What is wrong with it already is not this change's fault.
            load_config(layout.home, {})
            # As bytes: line ends are people's own too.
            text = read_bytes(path).decode() if path.exists() else ""
            changed = edited(text, keys, wanted)
            if changed != text:
                _check(changed, key, value)
                _replace(path, changed)
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror or error}") from error
    except RuntimeError as error:
        raise ConfigError(f"{path} can't be written: it is a link that leads to itself.") from error
    winner = None
    # Something else may be wrong with the settings; this one was changed.
    with suppress(RclError):
        winner = None if value is None else setting_of(key, environment).winner
    return Changed(path, winner if winner is not None and winner.place != str(path) else None)


def _replace(path: Path, text: str) -> None:
    """Write the file as a whole: a command may read it at any moment."""
    # Through a link, which people use to keep the file elsewhere.
    target = path.resolve()
    with new_file(target.parent) as partial:
        with partial.open("w", encoding="utf-8", newline="") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        if target.exists():
            shutil.copymode(target, partial)
        replace_durably(partial, target)


def _keys_in_file(key: str, *, is_new: bool) -> list[str]:
    """The way to a setting in config.yaml.

    Args:
        is_new: it is to be set: names that make no sense may only be taken out.

    Raises:
        UsageError: it is not set there.
    """
    first, _, rest = key.partition(".")
    if key in ("account", "offline", "limits", "s3.fallback", "s3.endpoint_url") or (
        first == "buckets" and rest and not is_new
    ):
        return [first, rest] if rest else [first]
    if first == "buckets" and rest:
        if not is_bucket_name(rest):
            raise UsageError(f"{rest!r} is no name of a bucket: 3 to 255 letters, digits, dots, - and _.")
        return [first, rest]
    if first == "training" and rest in TRAINING_OPTIONS:
        return [first, rest]
    variables = {"home": "RCL_HOME", "region": "AWS_REGION", "buckets_dir": "RCL_BUCKETS_DIR"}
    if key in variables:
        raise UsageError(f"{key} is not set in config.yaml but by the variable {variables[key]}.")
    names = ["account", "offline", "limits", "s3.fallback", "s3.endpoint_url", "buckets.NAME"]
    names += [f"training.{name}" for name in TRAINING_OPTIONS]
    raise UsageError(f"There is no setting {key} in config.yaml; there are {', '.join(names)}.")


def _scalar(key: str, value: str) -> Any:
    """A value as YAML knows it; paths are absolute, whatever folder rcl is called in later.

    Raises:
        UsageError: it is not true or false where it must be, or names no folder where it must.
    """
    if key in ("offline", "s3.fallback"):
        if value.lower() not in ("true", "false"):
            raise UsageError(f"{key} can't be {value!r}: it is true or false.")
        return value.lower() == "true"
    if key == "limits" and value not in ("service", "none"):
        raise UsageError(f"{key} can't be {value!r}: it is service or none.")
    if key.startswith("buckets.") and value != "s3":
        if not _absolute(value).is_dir():
            raise UsageError(f"{key} can't be {value!r}: there is no such folder. It is a folder, or s3.")
        return str(_absolute(value))
    if key == "training.weights" and value not in ("auto", "none"):
        if not _absolute(value).is_file():
            raise UsageError(f"{key} can't be {value!r}: there is no such file. It is auto, none, or a file.")
        return str(_absolute(value))
    if key == "s3.endpoint_url" and not re.fullmatch(r"https?://[^\s/]+\S*", value):
        raise UsageError(f"{key} can't be {value!r}: it is a URL such as http://localhost:9000")
    return int(value) if key.startswith("training.") and value.isascii() and value.isdigit() else value


def _absolute(value: str) -> Path:
    return Path(os.path.abspath(os.path.expanduser(value)))  # noqa: PTH100, PTH111 - pathlib's raises for unknown users


def _check(text: str, key: str, value: str | None) -> None:
    """Whether what is to be written makes sense.

    Raises:
        UsageError: it does not.
    """
    with scratch("config") as home:
        (home / "config.yaml").write_text(text, "utf-8")
        try:
            load_config(home, {})
            if key.startswith("training."):
                resolve_options({key.partition(".")[2]: value} if value is not None else {})
        except (ConfigError, InvalidParameter) as error:
            said = str(error).replace(f" in {home / 'config.yaml'}", "")
            raise UsageError(f"{key} can't be {value!r}: {said}") from error
