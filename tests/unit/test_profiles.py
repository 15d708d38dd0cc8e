"""Profiles and endpoints of the AWS config: what botocore makes of them is what rcl does."""

from __future__ import annotations

import itertools
from pathlib import Path

import botocore.session
import pytest
from botocore.exceptions import InvalidConfigError, ProfileNotFound

from rcl_cli import profiles
from rcl_cli.errors import ProfileError

CONFIG = """
[default]
endpoint_url = http://default
output = text
[profile svc]
services = local
endpoint_url = http://svc
region = eu-west-1
[profile "two words"]
output = yaml
services = onlys3
[profile lost]
services = nowhere
[profile off]
services = local
ignore_configured_endpoint_urls = True
[plain]
output = table
[services local]
s3 =
  endpoint_url = http://s3
rekognition =
  endpoint_url = http://services
[services onlys3]
s3 =
  endpoint_url = http://s3
"""
CREDENTIALS = """
[keys]
aws_access_key_id = a
aws_secret_access_key = b
region = us-west-1
[svc]
region = eu-central-1
"""
NAMES = (None, "svc", "two words", "lost", "off", "plain", "keys", "nobody", "default")
VARIABLES = (
    {},
    {"AWS_ENDPOINT_URL_REKOGNITION": "http://own"},
    {"AWS_ENDPOINT_URL": "http://all"},
    {"AWS_ENDPOINT_URL_REKOGNITION": "http://own", "AWS_ENDPOINT_URL": "http://all"},
    {"AWS_ENDPOINT_URL_REKOGNITION": "", "AWS_ENDPOINT_URL": ""},
    {"AWS_ENDPOINT_URL_S3": "http://s3"},
    {"AWS_ENDPOINT_URL": "http://all", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "TRUE"},
    {"AWS_ENDPOINT_URL": "http://all", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "1"},
    {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false"},
)
AMAZONS = "https://rekognition.us-east-1.amazonaws.com"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "config").write_text(CONFIG)
    (tmp_path / "credentials").write_text(CREDENTIALS)
    return {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}


def theirs(name: str | None) -> tuple[str | None, str | None, str | None] | str:
    """(endpoint, output, region) that botocore has, or what it says is wrong."""
    session = botocore.session.Session(profile=name)
    try:
        scoped = session.get_scoped_config()
        client = session.create_client(
            "rekognition", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
    except (ProfileNotFound, InvalidConfigError) as error:
        return str(error)
    endpoint = client.meta.endpoint_url
    return None if endpoint == AMAZONS else endpoint, scoped.get("output"), scoped.get("region")


def ours(environment: dict[str, str], name: str | None) -> tuple[str | None, str | None, str | None] | str:
    try:
        profiles.demand(environment, name)
        endpoint = profiles.endpoint_url(environment, name)
    except ProfileError as error:
        return str(error)
    return endpoint, *(profiles.setting(key, environment, name) for key in ("output", "region"))


@pytest.mark.parametrize(("name", "variables"), list(itertools.product(NAMES, VARIABLES)))
def test_as_botocore_has_it(
    files: dict[str, str], monkeypatch: pytest.MonkeyPatch, name: str | None, variables: dict[str, str]
) -> None:
    for key, value in {**files, **variables}.items():
        monkeypatch.setenv(key, value)
    assert ours({**files, **variables}, name) == theirs(name)


@pytest.mark.parametrize("variables", [{"AWS_PROFILE": "svc"}, {"AWS_DEFAULT_PROFILE": "svc"},
                                       {"AWS_PROFILE": "off", "AWS_DEFAULT_PROFILE": "svc"}, {"AWS_PROFILE": "nobody"},
                                       {"AWS_DEFAULT_PROFILE": ""}])  # fmt: skip
@pytest.mark.parametrize("name", [None, "keys"])
def test_variables_that_name_a_profile(
    files: dict[str, str], monkeypatch: pytest.MonkeyPatch, name: str | None, variables: dict[str, str]
) -> None:
    for key, value in {**files, **variables}.items():
        monkeypatch.setenv(key, value)
    assert ours({**files, **variables}, name) == theirs(name)


def test_an_empty_name_is_none_and_files_may_be_missing(tmp_path: Path, files: dict[str, str]) -> None:
    assert profiles.setting("output", files, "") == "text"
    profiles.demand(files, "")
    nowhere = {key: str(tmp_path / "none") for key in files}
    assert profiles.endpoint_url(nowhere) is None
    profiles.demand(nowhere, None)
    with pytest.raises(ProfileError, match=r"The config profile \(default\) could not be found"):
        profiles.demand(nowhere, "default")


def test_variables_come_before_a_profiles_region(files: dict[str, str]) -> None:
    assert profiles.region(files, "svc") == "eu-central-1"
    assert profiles.region({**files, "AWS_DEFAULT_REGION": "us-west-2"}, "svc") == "us-west-2"
    assert profiles.region({**files, "AWS_DEFAULT_REGION": "x", "AWS_REGION": "us-west-1"}, "svc") == "us-west-1"


@pytest.mark.parametrize("text", ["[default", "no section\n", "[a]\n[a]\n", "\xff"])
def test_files_that_make_no_sense_say_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_bytes(text.encode("latin-1"))
    assert profiles.setting("region", {"AWS_CONFIG_FILE": str(tmp_path / "config")}) is None


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "config"
    for region in ("eu-west-1", "us-gov-west-1"):
        file.write_text(f"[default]\nregion = {region}\n")
        assert profiles.region({"AWS_CONFIG_FILE": str(file)}) == region
