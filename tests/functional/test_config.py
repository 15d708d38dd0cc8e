"""`rcl config`: what is set, where it comes from, and changes that keep what people wrote."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rcl_cli.config import load_config
from rcl_cli.local.home.settings import settings_of
from tests.conftest import Home

Run = Callable[..., subprocess.CompletedProcess[str]]
WRITTEN = """\
# my settings
account: "012345678901"   # ours

training:
  Epochs: 40  # enough
buckets:
  archive: s3
"""


def shown(rcl: Run, **more: str) -> dict[str, tuple[str, str]]:
    done = rcl("config", "show", "--json", **more)
    assert done.returncode == 0, done.stderr
    rows = map(json.loads, done.stdout.splitlines())
    return {row["setting"]: (row["value"], row["from"]) for row in rows}


def test_all_settings_and_where_they_come_from(home: Home, rcl: Run) -> None:
    file = home.path / "config.yaml"
    assert {place for _, place in shown(rcl).values()} == {"RCL_HOME", "RCL_OFFLINE", "default"}
    file.write_text(WRITTEN)
    found = shown(rcl, AWS_DEFAULT_REGION="eu-west-1", RCL_TRAINING_SEED="3")
    assert found["account"] == ("012345678901", str(file))
    assert found["region"] == ("eu-west-1", "AWS_DEFAULT_REGION")
    assert found["training.epochs"] == ("40", str(file))
    assert found["training.seed"] == ("3", "RCL_TRAINING_SEED")
    assert found["training.batch"] == ("planned from the data", "default")
    assert found["buckets.archive"] == ("s3", str(file))
    table = rcl("config", "show").stdout
    assert "training.epochs" in table
    assert "AWS_REGION" not in table


def test_explanations_name_everything_that_has_a_say(home: Home, rcl: Run) -> None:
    (home.path / "config.yaml").write_text(WRITTEN)
    said = rcl("config", "explain", "training.epochs", RCL_TRAINING_EPOCHS="7").stdout
    assert said.splitlines() == [
        "training.epochs is 7: training option: a whole number from 1 to 10000",
        "  RCL_TRAINING_EPOCHS: 7  ← this counts",
        f"  {home.path / 'config.yaml'}: 40",
        "  default: planned from the data",
        "  Tags rcl:epochs of a project, and then of a version, count before all of these.",
    ]
    done = rcl("config", "explain", "nothing")
    assert (done.returncode, "There is no setting nothing" in done.stderr) == (252, True)


@pytest.mark.parametrize("which", list(itertools.product([False, True], repeat=4)))
def test_what_is_said_to_count_does_count(home: Home, which: tuple[bool, ...]) -> None:
    """The explanation agrees with what commands use, whatever is set where."""
    in_file, in_variables, in_aws, is_offline = which
    environment = {"RCL_HOME": str(home.path), "AWS_CONFIG_FILE": str(home.path / "aws")}
    if in_file:
        text = "account: '111111111111'\ntraining: {EPOCHS: 9, model: yolo11s}\n"
        text += "s3: {fallback: true, endpoint_url: http://localhost:1}\n"
        (home.path / "config.yaml").write_text(text + f"offline: {str(is_offline).lower()}\nbuckets: {{a: /tmp}}\n")
    if in_variables:
        environment |= {
            "AWS_REGION": "ap-south-1",
            "AWS_DEFAULT_REGION": "x",
            "RCL_TRAINING_epochs": "3",
            "RCL_OFFLINE": "0",
        }
    if in_aws:
        (home.path / "aws").write_text("[default]\nregion = eu-north-1\n")
    used = load_config(home.path, environment)
    said = {setting.key: setting.winner.value for setting in settings_of(environment)}
    assert (said["account"], said["region"]) == (used.account, used.region)
    assert (said["offline"], said["s3.fallback"]) == (str(used.offline).lower(), str(used.s3_fallback).lower())
    assert said["s3.endpoint_url"] == (used.s3_endpoint_url or "Amazon's")
    assert {key: said[f"training.{key}"] for key in used.training} == dict(used.training)
    assert {key: said[f"buckets.{key}"] for key in used.buckets} == dict(used.buckets)


def test_changes_keep_what_people_wrote(home: Home, rcl: Run, tmp_path: Path) -> None:
    file = home.path / "config.yaml"
    file.write_text(WRITTEN)
    for key, value in (
        ("training.image_size", "320"), ("offline", "false"), ("buckets.photos", str(tmp_path)),
        ("account", "000000000001"), ("s3.endpoint_url", "http://localhost:9000"),
    ):  # fmt: skip
        done = rcl("config", "set", key, value)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
    text = file.read_text()
    for line in ("# my settings", "# ours", "Epochs: 40  # enough", "archive: s3"):
        assert line in text
    config = load_config(home.path, {})
    assert (config.account, config.offline, config.s3_endpoint_url) == ("000000000001", False, "http://localhost:9000")
    assert config.training == {"epochs": "40", "image_size": "320"}
    assert config.buckets == {"archive": "s3", "photos": str(tmp_path)}
    assert rcl("config", "unset", "buckets.photos").returncode == 0
    assert load_config(home.path, {}).buckets == {"archive": "s3"}
    assert rcl("describe-projects").returncode == 0


@pytest.mark.parametrize(
    ("before", "words", "after"),
    [
        ("# only words\n", "set offline true", "# only words\noffline: true\n"),
        ("# only words", "set offline true", "# only words\noffline: true\n"),
        ("offline: true  # said so\n# end\n", "unset offline", "# end\n"),
        ("training:\n  # why\n  epochs: 4\n  seed: 1\n\n# next\ns3:\n  fallback: true\n", "unset training.seed",
         "training:\n  # why\n  epochs: 4\n\n# next\ns3:\n  fallback: true\n"),
        ("training:\n  epochs: 4\n# next\noffline: true\n", "unset training.epochs", "# next\noffline: true\n"),
        ("training: {Epochs: 4, seed: 1}\n", "unset training.epochs", "training: {seed: 1}\n"),
        ("training: {seed: 1, Epochs: 4}\n", "unset training.epochs", "training: {seed: 1}\n"),
        ("training: {seed: 1}\n", "set training.epochs 4", "training: {epochs: 4, seed: 1}\n"),
        ("training: {}\n", "set training.epochs 4", "training: {epochs: 4}\n"),
        ("training:\noffline: true\n", "set training.epochs 4", "training:\n  epochs: 4\noffline: true\n"),
        ("training:\n    Epochs: 3 # three\n", "set training.epochs 4", "training:\n    Epochs: 4 # three\n"),
        ("training:\n    seed: 3", "set training.epochs 4", "training:\n    epochs: 4\n    seed: 3"),
        ("offline: true\n", "unset training.epochs", "offline: true\n"),
        ("{offline: true}\n", "set account 000000000001", "{account: '000000000001', offline: true}\n"),
        ("offline: true\r\n# end", "set training.seed 1", "offline: true\r\n# end\r\ntraining:\r\n  seed: 1\r\n"),
        ("buckets:\n  x: s3\n  My Photos: s3\n", "unset buckets.My Photos", "buckets:\n  x: s3\n"),
        ("", "set buckets.off s3", "buckets:\n  'off': s3\n"),
    ],
)  # fmt: skip
def test_nothing_but_the_one_key_changes(home: Home, rcl: Run, before: str, words: str, after: str) -> None:
    file = home.path / "config.yaml"
    file.write_bytes(before.encode())
    verb, rest = words.split(" ", 1)
    done = rcl("config", verb, *(rest.split(" ", 1) if verb == "set" else [rest]))
    assert (done.returncode, file.read_bytes().decode()) == (0, after), done.stderr


def test_what_cannot_be_changed_safely_is_left(home: Home, rcl: Run) -> None:
    text = "account: &a '111111111111'\ns3:\n  endpoint_url: *a\n"
    (home.path / "config.yaml").write_text(text)
    done = rcl("config", "set", "s3.endpoint_url", "http://localhost")
    assert (done.returncode, (home.path / "config.yaml").read_text()) == (253, text)
    assert "do it by hand: s3: endpoint_url: http://localhost" in " ".join(done.stderr.split())


def test_links_to_another_place_stay_links(home: Home, rcl: Run, tmp_path: Path) -> None:
    elsewhere = tmp_path / "dotfiles"
    elsewhere.mkdir()
    (elsewhere / "rcl.yaml").write_text("offline: true\n")
    (elsewhere / "rcl.yaml").chmod(0o640)
    (home.path / "config.yaml").symlink_to(elsewhere / "rcl.yaml")
    assert rcl("config", "set", "training.epochs", "4").returncode == 0
    assert (home.path / "config.yaml").is_symlink()
    assert (elsewhere / "rcl.yaml").read_text() == "offline: true\ntraining:\n  epochs: 4\n"
    assert (elsewhere / "rcl.yaml").stat().st_mode & 0o777 == 0o640


def test_changes_at_once_lose_none(home: Home) -> None:
    commands = [
        [sys.executable, "-m", "rcl_cli", "config", "set", f"training.{name}", "5"]
        for name in ("epochs", "batch", "seed", "patience")
    ]
    running = [subprocess.Popen(words, env=home.environment(), stderr=subprocess.DEVNULL) for words in commands]
    assert [process.wait(60) for process in running] == [0] * 4
    assert load_config(home.path, {}).training == dict.fromkeys(("epochs", "batch", "seed", "patience"), "5")


def test_a_first_setting_makes_the_file(home: Home, rcl: Run) -> None:
    done = rcl("config", "set", "training.epochs", "5", RCL_TRAINING_EPOCHS="9")
    assert done.returncode == 0
    assert "RCL_TRAINING_EPOCHS=9 counts before it" in " ".join(done.stderr.split())
    assert (home.path / "config.yaml").read_text() == "training:\n  epochs: 5\n"
    assert (home.path / "config.yaml").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("training.epochs", "many", "whole number"),
        ("training.speed", "9", "There is no setting training.speed"),
        ("account", "12", "12 digits"),
        ("offline", "perhaps", "true or false"),
        ("buckets.photos", "/no/such/folder", "there is no such folder"),
        ("home", "/tmp", "by the variable RCL_HOME"),
        ("region", "eu-west-1", "by the variable AWS_REGION"),
        ("buckets", "x", "There is no setting buckets"),
        ("buckets.a", "s3", "'a' is no name of a bucket"),
        ("training.weights", "nofile.pt", "there is no such file"),
        ("s3.endpoint_url", "notaurl", "it is a URL"),
        ("", "x", "There is no setting"),
    ],
)
def test_what_makes_no_sense_changes_nothing(home: Home, rcl: Run, key: str, value: str, says: str) -> None:
    file = home.path / "config.yaml"
    file.write_text(WRITTEN)
    done = rcl("config", "set", key, value)
    assert (done.returncode, done.stdout) == (252, "")
    assert says in " ".join(done.stderr.split())
    assert str(home.path / ".config") not in done.stderr
    assert file.read_text() == WRITTEN
    assert list(home.path.glob(".rcl-*")) == []


def test_a_broken_file_is_named_and_left(home: Home, rcl: Run) -> None:
    file = home.path / "config.yaml"
    for text in ("training: [", "[" * 3000, "a: 1\n---\nb: 2\n", "- a\n", "training: 5\n", "unknown: 1\n"):
        file.write_text(text)
        for words in (["show"], ["set", "training.epochs", "5"], ["explain", "offline"]):
            done = rcl("config", *words)
            assert done.returncode == 253, (text, words, done.stderr)
            assert "config.yaml" in done.stderr
            assert "Traceback" not in done.stderr
            assert len(done.stderr.strip().splitlines()) == 1
        assert file.read_text() == text
    file.unlink()
    file.symlink_to(file)
    done = rcl("config", "set", "training.epochs", "5")
    assert (done.returncode, "leads to itself" in done.stderr) == (253, True)
