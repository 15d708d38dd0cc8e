"""config.yaml, variables, training options, and homes."""

from __future__ import annotations

from pathlib import Path

import pytest

from rcl_cli.config import load_config
from rcl_cli.context import make_context
from rcl_cli.errors import ConfigError, InvalidParameter
from rcl_cli.training.options import from_tags, resolve_options


def test_later_sources_win() -> None:
    options = resolve_options(
        {"epochs": "5", "seed": "1"}, {"epochs": "6"}, from_tags({"rcl:epochs": "7", "team": "x"})
    )
    assert (options.epochs, options.seed) == (7, 1)


@pytest.mark.parametrize(
    ("name", "text"),
    [("epochs", "0"), ("epochs", "1.5"), ("device", "gpu"), ("time_budget_s", "-1"), ("model", "a/b"), ("nope", "1")],
)
def test_bad_options_name_what_they_may_be(name: str, text: str) -> None:
    with pytest.raises(InvalidParameter, match=name):
        resolve_options({name: text})


def test_relative_weights_become_absolute() -> None:
    assert Path(resolve_options({"weights": "w.pt"}).weights).is_absolute()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a: [", "can't be read"),
        ("bogus: 1", "bogus"),
        ("- x", "key: value"),
        ("account: 12", "12 digits"),
        ("buckets: 5", "map"),
    ],
)
def test_bad_config_files(tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError, match=word):
        load_config(tmp_path, {})


def test_region_ladder(tmp_path: Path) -> None:
    (tmp_path / "aws").write_text("[default]\nregion = eu-west-1\n[profile other]\nregion = eu-north-1\n")
    environment = {"AWS_CONFIG_FILE": str(tmp_path / "aws")}
    assert load_config(tmp_path, environment).region == "eu-west-1"
    assert load_config(tmp_path, {**environment, "AWS_PROFILE": "other"}).region == "eu-north-1"
    assert load_config(tmp_path, {**environment, "AWS_DEFAULT_REGION": "us-west-2"}).region == "us-west-2"
    assert (
        load_config(tmp_path, {**environment, "AWS_REGION": "us-west-1", "AWS_DEFAULT_REGION": "x"}).region
        == "us-west-1"
    )
    assert load_config(tmp_path, environment, "ap-south-1").region == "ap-south-1"
    assert load_config(tmp_path, {"AWS_CONFIG_FILE": str(tmp_path / "none")}).region == "us-east-1"


# --- buckets ----------------------------------------------------------------------------------------------------------


# --- homes and processes ----------------------------------------------------------------------------------------------


def test_home_is_its_owners(tmp_path: Path) -> None:
    make_context(tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / "rcl.db").stat().st_mode & 0o777 == 0o600
    (tmp_path / "old").mkdir(mode=0o755)
    make_context(tmp_path / "old")
    assert (tmp_path / "old").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "old" / "models").stat().st_mode & 0o777 == 0o700


def test_a_home_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="RCL_HOME"):
        make_context(tmp_path / "file")
