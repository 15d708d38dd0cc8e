"""Buckets of a real S3 API: manifests, images and output."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from rcl_cli.errors import InvalidS3Object
from tests.conftest import Home, colour_images, make_home


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
        f"buckets:\n  remote: s3\n  gone: s3\ns3:\n  endpoint_url: http://{host}:{port}\n"
    )
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
    client.create_bucket(Bucket="remote")
    home = make_home(tmp_path / "home")
    yield home, client
    home.context.database.close()
    client.close()
    server.stop()


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
