"""Buckets that are folders: where they lie, and what stays inside."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rcl_cli.buckets.base import Bucket, BucketWriteError, NoSuchObjectError
from rcl_cli.buckets.local import LocalBucket
from rcl_cli.buckets.resolve import Buckets, local_file
from rcl_cli.context import make_context
from rcl_cli.formats.files import ImageFinder
from rcl_cli.local.detecting.sources import find_images


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


# --- folders that link to each other ----------------------------------------------------------------------------------

FOLDERS = ["", "a", "b", "a/c", "a/c/d", "b/e"]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(FOLDERS), st.sampled_from(FOLDERS)), max_size=24), st.sampled_from(FOLDERS))
def test_each_object_is_listed_once_however_folders_link(links: list[tuple[str, str]], start: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place, "bucket")
        for folder in FOLDERS:
            (root / folder).mkdir(parents=True, exist_ok=True)
            (root / folder / "x.jpg").touch()
        for number, (source, target) in enumerate(links):
            (root / source / f"0to-{number}").symlink_to(root / target)
        (root / "itself").symlink_to(root / "itself")
        (root / "out").symlink_to(root.parent)
        prefix = f"{start}/" if start else ""
        found = [key for key in LocalBucket(root).keys(prefix) if key.endswith(".jpg")]
        assert found == sorted(found)
        files = [os.path.realpath(root / key) for key in found]
        assert len(files) == len(set(files))
        # What lies below has its own name, whatever else leads there.
        own = {f"{folder}/x.jpg".lstrip("/") for folder in FOLDERS if f"{folder}/".startswith(prefix) or not prefix}
        assert own <= set(found)
        images = [key for key in own if (root / key).is_file()]
        with in_folder(root / start):
            for pattern in ("**/*.jpg", "**", str(root / start / "**" / "x.jpg")):
                refs = list(find_images(make_context(Path(place, "home")), [pattern]))
                assert refs == sorted((root / key).as_uri() for key in images)


@contextmanager
def in_folder(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def test_many_links_are_no_many_ways(tmp_path: Path) -> None:
    """Twenty folders that all link to all others: more ways than there is time."""
    for one in range(20):
        (tmp_path / f"{one}").mkdir()
        (tmp_path / f"{one}" / "x.jpg").touch()
        for other in range(20):
            (tmp_path / f"{one}" / f"to-{other}").symlink_to(tmp_path / f"{other}")
    started = time.process_time()
    assert list(LocalBucket(tmp_path).keys("")) == sorted(f"{one}/x.jpg" for one in range(20))
    refs = find_images(make_context(tmp_path / "home"), [f"{tmp_path}/**/*.jpg"])
    assert len(list(refs)) == 20
    assert time.process_time() - started < 5


# --- file:// URLs -----------------------------------------------------------------------------------------------------

NAMES = st.binary(min_size=1, max_size=30).filter(lambda name: not {0, 47} & set(name) and name not in (b".", b".."))


@given(st.lists(NAMES, min_size=1, max_size=3))
@example([b"a#1.jpg"])
@example([b"a?b=c;d", b"100%", b"%00", b"a\nb", b"\xff"])
def test_paths_come_back_from_their_urls(names: list[bytes]) -> None:
    path = Path("/", *map(os.fsdecode, names))
    assert local_file(path.as_uri()) == path
    plain = "file://" + str(path).replace("%", "%25")
    assert local_file(plain) == path, "as people write them"


@pytest.mark.parametrize(
    "url", ["s3://bucket/a", "file://host/a", "file:a", "/a", "", "file:///a%00b", "file:///a\0b", "file:///\ud800"]
)
def test_urls_of_no_file(url: str) -> None:
    assert local_file(url) is None


def test_images_are_found_by_any_name(tmp_path: Path) -> None:
    for name in ("a#1.jpg", "a?b.jpg", "100%.jpg", "a;b=c.jpg"):
        (tmp_path / name).touch()
        for url in ((tmp_path / name).as_uri(), f"file://{tmp_path}/{name}", f"s3://bucket/deep/{name}", name):
            assert ImageFinder(tmp_path).find(url) == tmp_path / name
