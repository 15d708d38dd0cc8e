"""`rcl pull` and `rcl push`: a real server on the other side, and a real S3 API between."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from rcl_cli.api.names import kebab
from rcl_cli.buckets.s3 import S3Bucket
from rcl_cli.local import events
from rcl_cli.local.exchange.pulling import pull
from rcl_cli.local.exchange.pushing import Place, push
from rcl_cli.local.exchange.remote import Remote
from tests.conftest import Home, box_images, image_line, make_home, noisy, wait_until
from tests.functional.serving import client, serving

Run = Callable[..., subprocess.CompletedProcess[str]]
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


@dataclass
class Account:
    """Another account: its API, its S3, and options that lead there."""

    api: Any
    s3: Any
    words: tuple[str, ...]
    buckets: Path

    def keys_there(self) -> list[str]:
        return [one["Key"] for one in self.s3.list_objects_v2(Bucket="remote").get("Contents", [])]

    def entries(self, arn: str) -> list[dict[str, Any]]:
        pages = self.api.get_paginator("list_dataset_entries").paginate(DatasetArn=arn)
        return [json.loads(line) for page in pages for line in page["DatasetEntries"]]

    def dataset(self, project: str, kind: str) -> str:
        described = self.api.describe_projects(ProjectNames=[project])["ProjectDescriptions"][0]
        return next(one["DatasetArn"] for one in described["Datasets"] if one["DatasetType"] == kind)


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    s3_url = "http://{}:{}".format(*server.get_host_and_port())
    s3 = boto3.client("s3", endpoint_url=s3_url, region_name="us-east-1")
    s3.create_bucket(Bucket="remote")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "config.yaml").write_text(f"buckets: {{remote: s3}}\ns3: {{endpoint_url: {s3_url}}}\n")
    there = make_home(tmp_path / "there")
    with serving(there, **KEYS) as (url, _):
        api = client(url)
        yield Account(api, s3, ("--endpoint-url", url, "--s3-endpoint-url", s3_url), there.buckets)
        api.close()
    there.context.database.close()
    s3.close()
    server.stop()


def plain(entries: list[dict[str, Any]]) -> list[Any]:
    """What entries say, but for where their images lie."""
    return sorted(
        ({k: v for k, v in line.items() if k not in ("source-ref", "cl-metadata")} for line in entries), key=str
    )


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_there_and_back_again(account: Account, home: Home, rcl: Run) -> None:
    training, testing = box_images(home)
    (home.buckets / "data" / "box-0.jpg").rename(home.buckets / "data" / "böx 0+.jpg")
    training[0]["source-ref"] = "s3://data/böx 0+.jpg"
    project = home.project("boards")
    local = {"TRAIN": home.dataset(project, "TRAIN", training), "TEST": home.dataset(project, "TEST", testing)}
    done = rcl("push", "boards", "--bucket", "remote", *account.words, **KEYS)
    assert done.returncode == 0, done.stderr
    assert "Entries: 16 train, 6 test. Images: 22 uploaded, 0 there already." in done.stderr
    assert [line.split()[:4] for line in done.stderr.splitlines() if line.startswith("+")] == [
        ["+", "aws", "rekognition", "create-project"],
        ["+", "aws", "rekognition", "create-dataset"],
        ["+", "aws", "rekognition", "create-dataset"],
    ]
    there = {kind: account.dataset("boards", kind) for kind in local}
    assert done.stdout.split() == list(there.values())
    for kind, arn in local.items():
        assert plain(account.entries(there[kind])) == plain(home.entries(arn))
    assert len([key for key in account.keys_there() if "/images/" in key]) == 22
    # A second push makes another project, and moves no image.
    again = rcl("push", "boards/train", "--bucket", "remote", "--to", "more", *account.words, **KEYS)
    assert "Entries: 16 train. Images: 0 uploaded, 16 there already." in again.stderr
    taken = rcl("push", "boards", "--bucket", "remote", *account.words, **KEYS)
    assert (taken.returncode, "has a train dataset there already" in taken.stderr) == (255, True)
    # And back, into another project here.
    pulled = rcl("pull", "boards", "--to", "again", *account.words, **KEYS)
    assert pulled.returncode == 0, pulled.stderr
    assert "Images: 22 fetched, 0 there already." in pulled.stderr
    arn = pulled.stdout.split()[0]
    assert plain(home.entries(arn)) == plain(home.entries(local["TRAIN"]))
    for line in home.entries(arn):
        bucket, _, key = line["source-ref"].removeprefix("s3://").partition("/")
        original = home.buckets / "data" / Path(key).name
        assert (home.buckets / bucket / key).read_bytes() == original.read_bytes()
    once_more = rcl("pull", "boards", "--to", "third", *account.words, **KEYS)
    assert "Images: 0 fetched, 22 there already." in once_more.stderr
    clash = rcl("pull", "boards", "--to", "again", *account.words, **KEYS)
    assert (clash.returncode, "has a train dataset already" in clash.stderr) == (255, True)
    # The images there are enough to train on here.
    home.train(home.call("DescribeProjects", ProjectNames=["again"])["ProjectDescriptions"][0]["ProjectArn"], "v")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_images_that_cannot_be_had_are_counted(account: Account, home: Home, rcl: Run) -> None:
    (home.buckets / "data").mkdir(parents=True)
    noisy((1, 2, 3), (80, 80), 1).save(home.buckets / "data" / "here.jpg")
    home.dataset(home.project(), "TRAIN", [image_line("data", "here.jpg", "a"), image_line("data", "gone.jpg", "b")])
    done = rcl("push", "p", "--bucket", "remote", "--prefix", "", *account.words, **KEYS)
    assert done.returncode == 0, done.stderr
    assert "Entries: 1 train. Images: 1 uploaded" in done.stderr
    assert "1 images are missing, or larger than 15 MB; their entries were left out: s3://data/gone.jpg" in done.stderr
    image = next(key for key in account.keys_there() if key.endswith("here.jpg"))
    account.s3.delete_object(Bucket="remote", Key=image)
    pulled = rcl("pull", "p", "--to", "q", *account.words, **KEYS)
    assert (pulled.returncode, pulled.stdout) == (255, "")
    assert "None of the images can be had (1 images are not there" in " ".join(pulled.stderr.split())
    entries_only = rcl("pull", "p", "--to", "r", "--no-images", *account.words, **KEYS)
    assert "Images: 0 fetched" in entries_only.stderr
    # A key that leads out of its bucket is written nowhere.
    account.s3.put_object(Bucket="remote", Key="a/../../evil.jpg", Body=b"x")
    manifest = json.dumps(image_line("remote", "a/../../evil.jpg", "a")) + "\n"
    account.s3.put_object(Bucket="remote", Key="m", Body=manifest.encode())
    made = account.api.create_project(ProjectName="evil")["ProjectArn"]
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": "remote", "Name": "m"}}}
    account.api.create_dataset(ProjectArn=made, DatasetType="TRAIN", DatasetSource=source)
    evil = rcl("pull", made, *account.words, **KEYS)
    assert "keys that no file can have" in evil.stderr
    assert not list(home.path.rglob("evil.jpg"))


def test_what_cannot_be_done_says_so_and_makes_nothing(account: Account, home: Home, rcl: Run) -> None:
    api_only = account.words[:2]
    no_s3 = ("--s3-endpoint-url", "http://127.0.0.1:9")
    nowhere = ("--endpoint-url", "http://127.0.0.1:9", *no_s3)
    training, _ = box_images(home)
    home.dataset(home.project("mine"), "TRAIN", training)
    account.api.create_project(ProjectName="empty")
    for words, code, says in (
        (("pull", "nothing", *account.words), 254, "There is no project nothing there"),
        (("pull", "empty", *account.words), 255, "has no datasets with entries there"),
        (("pull", "x", *nowhere), 255, "Could not connect to the endpoint URL"),
        (("push", "nothing", "--bucket", "remote", *account.words), 254, "nothing is no"),
        (("push", "mine", "--bucket", "no-such-bucket", *account.words), 255, "can't be written"),
        (("push", "mine", "--bucket", "remote", *api_only, *no_s3), 255, "can't be written"),
        (("push", "mine", *account.words), 252, "--bucket"),
        (("push", "mine", "--bucket", "remote", "--to", "my boards", *account.words), 254, "projectName"),
        (("pull", "empty", "--to", "my boards", *account.words), 254, "projectName"),
        (("pull", "arn:aws:rekognition:us-east-1:1:project/empty/1", *account.words), 254, "There is no project arn:"),
    ):  # fmt: skip
        done = rcl(*words, **KEYS)
        assert (done.returncode, done.stdout) == (code, ""), (words, done.stderr)
        assert says in " ".join(done.stderr.split()), (words, done.stderr)
        assert "Traceback" not in done.stderr
    names = [one["ProjectArn"].split("/")[1] for one in account.api.describe_projects()["ProjectDescriptions"]]
    assert names == ["empty"]
    assert [one["ProjectArn"].split("/")[1] for one in home.call("DescribeProjects")["ProjectDescriptions"]] == ["mine"]
    none = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"}
    unsigned = rcl("pull", "x", *account.words, HOME=str(home.path), **none)
    assert (unsigned.returncode, "Unable to locate credentials" in unsigned.stderr) == (253, True)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_push_makes_all_or_nothing(account: Account, home: Home, rcl: Run) -> None:
    training, testing = box_images(home)
    project = home.project("boards")
    home.dataset(project, "TRAIN", training)
    home.dataset(project, "TEST", testing)
    for line in testing:
        (home.buckets / "data" / line["source-ref"].rpartition("/")[2]).unlink()
    done = rcl("push", "boards", "--bucket", "remote", *account.words, **KEYS)
    assert (done.returncode, done.stdout) == (255, "")
    assert "None of the images of the test dataset can be had" in " ".join(done.stderr.split())
    assert account.api.describe_projects()["ProjectDescriptions"] == []
    # A bucket of the same name here is another bucket: its images are not taken for those there.
    (home.buckets / "remote").mkdir()
    noisy((1, 2, 3), (80, 80), 1).save(home.buckets / "remote" / "0.jpg")
    account.s3.put_object(Bucket="remote", Key="0.jpg", Body=b"another picture")
    home.dataset(home.project("namesake"), "TRAIN", [image_line("remote", "0.jpg", "a")])
    pushed = rcl("push", "namesake", "--bucket", "remote", *account.words, **KEYS)
    assert "Images: 1 uploaded, 0 there already." in pushed.stderr
    (line,) = account.entries(account.dataset("namesake", "TRAIN"))
    key = line["source-ref"].removeprefix("s3://remote/")
    body = account.s3.get_object(Bucket="remote", Key=key)["Body"].read()
    assert body == (home.buckets / "remote" / "0.jpg").read_bytes()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_pull_goes_on_where_it_was_ended(account: Account, home: Home, rcl: Run, tmp_path: Path) -> None:
    training, _ = box_images(home, train=40)
    home.dataset(home.project("boards"), "TRAIN", training)
    assert rcl("push", "boards", "--bucket", "remote", *account.words, **KEYS).returncode == 0
    words = [sys.executable, "-m", "rcl_cli", "pull", "boards", "--to", "again", *account.words]
    folder = home.buckets / "remote"
    with subprocess.Popen(
        words, env=home.environment(**KEYS), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        wait_until(lambda: any(folder.rglob("*.jpg")) or process.poll() is not None)
        process.kill()
    fetched = {path: path.stat().st_mtime_ns for path in folder.rglob("box-*.jpg")}
    done = rcl("pull", "boards", "--to", "again", *account.words, **KEYS)
    if process.returncode == 0:  # it was quicker
        assert done.returncode == 255
        return
    assert done.returncode == 0, done.stderr
    assert f"Images: {40 - len(fetched)} fetched, {len(fetched)} there already." in done.stderr
    assert {path: path.stat().st_mtime_ns for path in fetched} == fetched
    assert len(list(folder.rglob("box-*.jpg"))) == 40


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_buckets_out_of_reach_end_it_before_anything_is_made(account: Account, home: Home, rcl: Run) -> None:
    (home.buckets / "data").mkdir(parents=True)
    noisy((1, 2, 3), (80, 80), 1).save(home.buckets / "data" / "here.jpg")
    home.dataset(home.project(), "TRAIN", [image_line("data", "here.jpg", "a")])
    assert rcl("push", "p", "--bucket", "remote", *account.words, **KEYS).returncode == 0
    nowhere = (*account.words[:2], "--s3-endpoint-url", "http://127.0.0.1:9")
    done = rcl("pull", "p", "--to", "q", *nowhere, **KEYS)
    assert (done.returncode, done.stdout) == (255, "")
    assert "The images in the bucket remote can't be read" in " ".join(done.stderr.split())
    assert len(home.call("DescribeProjects")["ProjectDescriptions"]) == 1


def test_the_flows_without_a_terminal(account: Account, home: Home) -> None:
    """Both ways, driven from Python; what is told is what a page or a list needs."""
    training, _ = box_images(home)
    home.dataset(home.project("boards"), "TRAIN", training)
    told: list[events.Event] = []
    s3_url = account.words[-1]

    def call(operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = getattr(account.api, kebab(operation).replace("-", "_"))(**params)
        return found

    there = Remote(call, lambda name: S3Bucket(name, "us-east-1", s3_url, None))
    push(home.context, there, "boards", "copied", Place("remote", "/some/prefix/"), told.append)
    called = [event for event in told if isinstance(event, events.Called)]
    assert [(one.operation, one.is_elsewhere) for one in called] == [("CreateProject", True), ("CreateDataset", True)]
    assert called[-1].result["DatasetArn"] == account.dataset("copied", "TRAIN")
    assert told[-2:] == [events.Moved({"train": len(training)}, len(training), 0, is_elsewhere=True), events.Noted(())]
    assert "some/prefix/copied/train.manifest" in account.keys_there()
    told.clear()
    # There is another account's name for the same images.
    assert pull(home.context, there, "copied", "again", with_images=True, tell=told.append) == "again"
    assert told[-2] == events.Moved({"train": len(training)}, len(training), 0, is_elsewhere=False)
    assert [event.operation for event in told if isinstance(event, events.Called)] == ["CreateProject", "CreateDataset"]
