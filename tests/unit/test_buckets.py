"""Buckets that are folders: where they lie, and what stays inside."""

from __future__ import annotations

from pathlib import Path

import pytest

from rcl_cli.buckets.base import Bucket, BucketWriteError, NoSuchObjectError
from rcl_cli.buckets.local import LocalBucket
from rcl_cli.buckets.resolve import Buckets


def content(bucket: Bucket, key: str) -> bytes:
    with bucket.open(key) as stream:
        return stream.read()


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    (tmp_path / "secret").write_text("secret")
    root = tmp_path / "bucket"
    (root / "deep").mkdir(parents=True)
    (root / "deep" / "a b.txt").write_text("inside")
    (root / "out").symlink_to(tmp_path)
    (root / "in").symlink_to(root / "deep")
    return LocalBucket(root)


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
