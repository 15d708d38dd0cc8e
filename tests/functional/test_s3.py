"""Buckets of a real S3 API: manifests, images and output."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
from moto.server import ThreadedMotoServer

from rcl_cli.buckets.base import BucketOutOfReachError
from rcl_cli.buckets.fetch import ImageFetcher
from rcl_cli.buckets.resolve import Buckets
from rcl_cli.errors import InvalidS3Object
from rcl_cli.local.detecting.sources import read_image
from tests.conftest import Home, colour_images, image_line, make_home, wait_until


@pytest.fixture
def s3_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Home, Any]]:
    """A home whose bucket `remote` is S3's, and a client of that S3."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.yaml").write_text(
        f"buckets:\n  remote: s3\n  gone: s3\n  short-lived: s3\ns3:\n  endpoint_url: http://{host}:{port}\n"
    )
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
    client.create_bucket(Bucket="remote")
    home = make_home(tmp_path / "home")
    yield home, client
    check_callers_after(client, b"inf")
    home.context.database.close()
    client.close()
    server.stop()


def check_callers_after(client: Any, calls: bytes) -> None:
    """Let so many calls through before credentials are checked; the setting is the server process's."""
    url = f"{client.meta.endpoint_url}/moto-api/reset-auth"
    with urlopen(Request(url, calls, {"Content-Type": "text/plain"})) as answer:
        assert answer.status == 200


def upload(home: Home, client: Any, lines: list[dict[str, Any]], key: str) -> None:
    moved = [{**line, "source-ref": line["source-ref"].replace("s3://data/", "s3://remote/images/")} for line in lines]
    client.put_object(Bucket="remote", Key=key, Body="\n".join(json.dumps(line) for line in moved).encode())
    for line in lines:
        name = line["source-ref"].removeprefix("s3://data/")
        client.put_object(Bucket="remote", Key=f"images/{name}", Body=(home.buckets / "data" / name).read_bytes())


def dataset(home: Home, project: str, kind: str, bucket: str, key: str) -> str:
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": bucket, "Name": key}}}
    made = home.call("CreateDataset", ProjectArn=project, DatasetType=kind, DatasetSource=source)
    return str(made["DatasetArn"])


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_training_from_and_to_s3(s3_home: tuple[Home, Any]) -> None:
    home, client = s3_home
    training, testing = colour_images(home, train=18, test=6)
    upload(home, client, training, "train.manifest")
    upload(home, client, testing, "test.manifest")
    project = home.project()
    for kind in ("TRAIN", "TEST"):
        dataset(home, project, kind, "remote", f"{kind.lower()}.manifest")
    version = home.train(project, "v", OutputConfig={"S3Bucket": "remote", "S3KeyPrefix": "out"})
    status, message = home.wait(project, "v")
    assert status == "TRAINING_COMPLETED", message
    keys = [one["Key"] for one in client.list_objects_v2(Bucket="remote", Prefix="out/")["Contents"]]
    assert len(keys) == 6
    home.call("StartProjectVersion", ProjectVersionArn=version, MinInferenceUnits=1)
    assert home.wait(project, "v", leaving="STARTING")[0] == "RUNNING"
    image = {"S3Object": {"Bucket": "remote", "Name": "images/0.jpg"}}
    found = home.call("DetectCustomLabels", ProjectVersionArn=version, Image=image, MinConfidence=0.0)
    assert len(found["CustomLabels"]) == 3
    missing = {"S3Object": {"Bucket": "remote", "Name": "images/none.jpg"}}
    with pytest.raises(InvalidS3Object):
        home.call("DetectCustomLabels", ProjectVersionArn=version, Image=missing)
    home.call("StopProjectVersion", ProjectVersionArn=version)
    assert home.wait(project, "v", leaving="STOPPING")[0] == "STOPPED"


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize(("bucket", "key"), [("remote", "none"), ("gone", "train.manifest")])
def test_what_is_not_there_changes_nothing(s3_home: tuple[Home, Any], bucket: str, key: str) -> None:
    home, _ = s3_home
    project = home.project()
    with pytest.raises(InvalidS3Object):
        dataset(home, project, "TRAIN", bucket, key)
    assert home.call("DescribeProjects")["ProjectDescriptions"][0]["Datasets"] == []


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_versions_of_a_manifest(s3_home: tuple[Home, Any]) -> None:
    home, client = s3_home
    client.put_bucket_versioning(Bucket="remote", VersioningConfiguration={"Status": "Enabled"})
    counts = {}
    for count in (3, 5):
        lines = [image_line("remote", f"{n}.jpg", "cat") for n in range(count)]
        body = "\n".join(json.dumps(line) for line in lines).encode()
        counts[client.put_object(Bucket="remote", Key="m", Body=body)["VersionId"]] = count
    for version, count in counts.items():
        s3_object = {"Bucket": "remote", "Name": "m", "Version": version}
        source = {"GroundTruthManifest": {"S3Object": s3_object}}
        made = home.call(
            "CreateDataset", ProjectArn=home.project(f"p{count}"), DatasetType="TRAIN", DatasetSource=source
        )
        assert home.describe(made["DatasetArn"])["DatasetStats"]["TotalEntries"] == count
    s3_object["Version"] = "no-such-version"
    with pytest.raises(InvalidS3Object):
        home.call("CreateDataset", ProjectArn=home.project(), DatasetType="TRAIN", DatasetSource=source)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_more_keys_than_a_page_has(s3_home: tuple[Home, Any]) -> None:
    home, client = s3_home
    folder = home.buckets / "mapped"
    folder.mkdir(parents=True)
    names = [f"{number:04}.jpg" for number in range(1050)]
    for name in names:
        client.put_object(Bucket="remote", Key=f"many/{name}", Body=b"")
    (folder / "many").mkdir()
    for name in names[:3]:
        (folder / "many" / name).touch()
    remote, mapped = home.context.buckets.get("remote"), home.context.buckets.get("mapped")
    assert list(remote.children("many/")) == [f"many/{name}" for name in names]
    assert list(remote.children("ma")) == list(mapped.children("ma")) == ["many/"]
    assert list(remote.children("many/0001")) == list(mapped.children("many/0001")) == ["many/0001.jpg"]
    assert list(remote.children("none/")) == list(mapped.children("none/")) == []
    with pytest.raises(BucketOutOfReachError):
        list(home.context.buckets.get("gone").children(""))


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_many_threads_fetch_the_same_image(
    s3_home: tuple[Home, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, client = s3_home
    client.put_object(Bucket="remote", Key="one.jpg", Body=b"x" * 3_000_000)
    buckets = home.context.buckets
    asked, get = list[str](), Buckets.get

    def counting(self: Buckets, name: str) -> Any:
        asked.append(name)
        return get(self, name)

    monkeypatch.setattr(Buckets, "get", counting)
    fetcher = ImageFetcher(buckets, tmp_path / "cache")
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: fetcher.fetch("s3://remote/one.jpg"), range(16)))
    assert len(set(paths)) == 1
    assert paths[0].stat().st_size == 3_000_000
    assert list((tmp_path / "cache").iterdir()) == [paths[0]]
    # One client for all of them.
    assert asked == ["remote"]


def test_missing_permissions(s3_home: tuple[Home, Any]) -> None:
    """From here on the server checks who asks, and knows nobody."""
    home, client = s3_home
    training, testing = colour_images(home, train=6, test=3)
    upload(home, client, training, "train.manifest")
    upload(home, client, testing, "test.manifest")
    project = home.project()
    for kind in ("TRAIN", "TEST"):
        dataset(home, project, kind, "remote", f"{kind.lower()}.manifest")
    check_callers_after(client, b"0")
    with pytest.raises(InvalidS3Object):
        dataset(home, home.project("q"), "TRAIN", "remote", "train.manifest")
    home.train(project, "v")
    outcome = home.wait(project, "v")
    assert outcome == ("TRAINING_FAILED", "The permissions for the images S3 bucket are invalid.")
    home.train(project, "w", OutputConfig={"S3Bucket": "remote", "S3KeyPrefix": "out"})
    assert home.wait(project, "w") == ("TRAINING_FAILED", "Unable to write to output S3 bucket.")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_bucket_that_vanishes_in_the_middle(s3_home: tuple[Home, Any]) -> None:
    home, client = s3_home
    training, testing = colour_images(home)
    project = home.project()
    home.dataset(project, "TRAIN", training)
    home.dataset(project, "TEST", testing)
    client.create_bucket(Bucket="short-lived")
    home.train(project, "v", OutputConfig={"S3Bucket": "short-lived", "S3KeyPrefix": ""}, tags={"rcl:epochs": "3"})
    # The checked manifests are written before the training, the evaluation behind it.
    wait_until(lambda: client.list_objects_v2(Bucket="short-lived")["KeyCount"] == 3)
    for one in client.list_objects_v2(Bucket="short-lived")["Contents"]:
        client.delete_object(Bucket="short-lived", Key=one["Key"])
    client.delete_bucket(Bucket="short-lived")
    assert home.wait(project, "v") == ("TRAINING_FAILED", "Unable to write to output S3 bucket.")


def test_one_client_serves_many_images(s3_home: tuple[Home, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    home, client = s3_home
    client.put_object(Bucket="remote", Key="a.jpg", Body=b"image")
    made: list[str] = []
    whole = boto3.Session.client

    def counted(self: Any, name: str, **more: Any) -> Any:
        made.append(name)
        return whole(self, name, **more)

    monkeypatch.setattr(boto3.Session, "client", counted)
    with ThreadPoolExecutor(4) as pool:
        images = list(pool.map(lambda _: read_image(home.context, "s3://remote/a.jpg"), range(12)))
    assert (images, made) == ([b"image"] * 12, ["s3"])
