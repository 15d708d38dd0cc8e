"""The aws CLI's own files, read as botocore reads them, and without it, which would be most of a command's time."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from rcl_cli.errors import ProfileError

Environment = Mapping[str, str]
Sections = Mapping[str, Mapping[str, str]]


def setting(name: str, environment: Environment | None = None, profile: str | None = None) -> str | None:
    """A setting of the profile in use; None where nothing says it.

    Args:
        profile: what `--profile` says.
    """
    environment = os.environ if environment is None else environment
    named = _named(environment, profile)
    return _profiles(environment).get("default" if named is None else named, {}).get(name)


def demand(environment: Environment, profile: str | None) -> None:
    """Make sure that the profile that was asked for is there.

    Raises:
        ProfileError: it is not.
    """
    name = _named(environment, profile)
    if name is not None and name not in _profiles(environment):
        raise ProfileError(f"The config profile ({name}) could not be found")


def region(environment: Environment, profile: str | None = None) -> str | None:
    """Where requests go, and new resources are made, if no option says it."""
    said = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    return said or setting("region", environment, profile)


def endpoint_url(environment: Environment, profile: str | None = None) -> str | None:
    """The endpoint that the environment or the profile has for Rekognition; None for the local store.

    Raises:
        ProfileError: the profile's services section is not there.
    """
    ignored = environment.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") or setting(
        "ignore_configured_endpoint_urls", environment, profile
    )
    if ignored is not None and ignored.lower() == "true":
        return None
    said = environment.get("AWS_ENDPOINT_URL_REKOGNITION") or environment.get("AWS_ENDPOINT_URL")
    return said or _of_services(environment, profile) or setting("endpoint_url", environment, profile)


def _named(environment: Environment, profile: str | None) -> str | None:
    """The profile that somebody asked for; None if nobody did."""
    # Of no profile's name the aws CLI says that it could not be found; an option without one it passes over.
    return profile or environment.get("AWS_DEFAULT_PROFILE", environment.get("AWS_PROFILE"))


def _of_services(environment: Environment, profile: str | None) -> str | None:
    """What the services section that the profile names has for this service."""
    name = setting("services", environment, profile)
    if name is None:
        return None
    section = _of_kind("services", _sections(_config_file(environment))).get(name)
    if section is None:
        raise ProfileError(
            f'The profile is configured to use the services section but the "{name}" services configuration does not '
            "exist."
        )
    # Indented lines below a service's name.
    nested = (line.partition("=") for line in section.get("rekognition", "").splitlines())
    return {key.strip(): value.strip() for key, _, value in nested}.get("endpoint_url")


# --- files ------------------------------------------------------------------------------------------------------------


def _config_file(environment: Environment) -> Path:
    return _of_user(environment.get("AWS_CONFIG_FILE") or "~/.aws/config")


def _of_user(path: str) -> Path:
    """As it stands where there is no home folder; `Path.expanduser` would raise."""
    return Path(os.path.expanduser(path))  # noqa: PTH111


def _profiles(environment: Environment) -> Sections:
    """Profiles by name, of both files; credentials win."""
    config = _sections(_config_file(environment))
    found = {"default": config["default"]} if "default" in config else {}
    found |= _of_kind("profile", config)
    path = environment.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials"
    for name, section in _sections(_of_user(path)).items():
        found[name] = {**found.get(name, {}), **section}
    return found


def _of_kind(kind: str, sections: Sections) -> dict[str, Mapping[str, str]]:
    """Sections such as `[profile NAME]`, by the name in them, which may be quoted."""
    found = {}
    for title, section in sections.items():
        first, _, name = title.partition(" ")
        if first == kind and name.strip():
            found[name.strip().strip("\"'")] = section
    return found


def _sections(path: Path) -> Sections:
    """A file's sections; nothing where it can't be read."""
    try:
        written = path.stat()
    except OSError:
        return {}
    return _read(path, (written.st_mtime_ns, written.st_size, written.st_ino))


@cache
def _read(path: Path, _version: tuple[int, int, int]) -> Sections:
    import configparser

    parser = configparser.RawConfigParser(default_section="")
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return {}
    return {title: dict(parser.items(title)) for title in parser.sections()}
