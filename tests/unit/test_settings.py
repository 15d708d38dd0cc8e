"""Config, options, buckets, homes, processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rcl_cli.buckets.base import Bucket, BucketWriteError, NoSuchObjectError
from rcl_cli.buckets.local import LocalBucket
from rcl_cli.buckets.resolve import Buckets
from rcl_cli.compute.liveness import ProcessIdentity, identify, is_locked, take_lock, this_process
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


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    (tmp_path / "secret").write_text("secret")
    root = tmp_path / "bucket"
    (root / "deep").mkdir(parents=True)
    (root / "deep" / "a b.txt").write_text("inside")
    (root / "out").symlink_to(tmp_path)
    (root / "in").symlink_to(root / "deep")
    return LocalBucket(root)


def content(bucket: Bucket, key: str) -> bytes:
    with bucket.open(key) as stream:
        return stream.read()


@pytest.mark.parametrize(
    "key", ["../secret", "/etc/passwd", "out/secret", "deep/../../secret", "a\0b", "", ".", "deep", "x" * 5000]
)
def test_keys_stay_in_their_bucket(bucket: LocalBucket, key: str) -> None:
    with pytest.raises(NoSuchObjectError):
        bucket.open(key)
    with pytest.raises(BucketWriteError):
        bucket.write(key, b"x")


def test_links_inside_are_fine(bucket: LocalBucket) -> None:
    assert content(bucket, "in/a b.txt") == b"inside"
    assert bucket.size("deep/a b.txt") == 6


def test_writes_are_whole_or_not_at_all(bucket: LocalBucket, tmp_path: Path) -> None:
    bucket.write("new/folder/x.json", b"{}")
    assert content(bucket, "new/folder/x.json") == b"{}"
    with pytest.raises(BucketWriteError):
        bucket.write("deep/a b.txt/under-a-file", b"x")
    assert list((tmp_path / "bucket").rglob(".rcl-*")) == []


def test_bucket_ladder(tmp_path: Path) -> None:
    for folder in ("first/shared", "second/shared", "second/only", "mapped"):
        (tmp_path / folder).mkdir(parents=True)
    buckets = Buckets(tmp_path, (tmp_path / "first", tmp_path / "second"), "us-east-1", {"named": "mapped"})
    (tmp_path / "first/shared/x").write_text("first")
    assert content(buckets.get("shared"), "x") == b"first"
    (tmp_path / "mapped" / "y").write_text("mapped")
    assert content(buckets.get("named"), "y") == b"mapped"
    for name in ("none", "..", "a", "a/b"):
        with pytest.raises(NoSuchObjectError):
            buckets.get(name)
    buckets.for_output("made").write("x", b"1")
    assert (tmp_path / "first" / "made" / "x").exists()


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


def test_a_process_is_known_by_when_it_started() -> None:
    assert this_process().is_alive()
    assert not ProcessIdentity(os.getpid(), this_process().started + "0").is_alive()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = identify(child.pid)
    assert identity.is_alive()
    child.kill()
    child.wait()
    assert not identity.is_alive()
    child.communicate()


@pytest.mark.skipif(not Path("/proc/self/ns/pid").exists(), reason="PID namespaces are Linux's")
def test_a_process_of_another_container_is_told_apart() -> None:
    boot, _, ticks = this_process().started.split("|")
    assert ProcessIdentity(os.getpid(), f"{boot}|pid:[1]|{ticks}").is_foreign
    assert not this_process().is_foreign


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    lock = tmp_path / "folder" / "lock"
    assert not is_locked(lock)
    holder = take_lock(lock)
    assert holder is not None
    assert is_locked(lock)
    assert take_lock(lock) is None
    os.close(holder)
    assert not is_locked(lock)
