"""The AWS SDK for JavaScript v3 end to end against `rcl serve`: tests/javascript/flow.mjs, and signing with it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rcl_cli.api.model import load
from tests.conftest import Home, box_images, colour_images, image_line, make_home, write_manifest
from tests.functional.serving import serving
from tools.npm import FOLDER

# Overload and a broken store need a hand inside the machine: test_boto3.py has them. rcl has no rate limit.
NOT_PROVOKED = {"InternalServerError", "ProvisionedThroughputExceededException", "ThrottlingException"}

Steps = dict[str, dict[str, Any]]
Node = Callable[..., Steps]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, installed: str) -> Iterator[tuple[Home, str]]:
    home = make_home(tmp_path_factory.mktemp("javascript") / "home")
    with serving(home) as (url, _):
        yield home, url
    stop_models(home)
    home.context.database.close()


def stop_models(home: Home) -> None:
    """Stop what a flow that failed has left running."""
    for project in home.call("DescribeProjects")["ProjectDescriptions"]:
        described = home.call("DescribeProjectVersions", ProjectArn=project["ProjectArn"])
        for version in described["ProjectVersionDescriptions"]:
            if version["Status"] == "RUNNING":
                home.call("StopProjectVersion", ProjectVersionArn=version["ProjectVersionArn"])


@pytest.fixture
def run(installed: str, tmp_path: Path) -> Node:
    """Runs flow.mjs; returns its steps and what they told."""

    def run(home: Home, what: str, **settings: Any) -> Steps:
        nowhere = {name: str(tmp_path / "none") for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")}
        words = [installed, "flow.mjs", what, json.dumps(settings)]
        environment = home.environment(**nowhere)
        done = subprocess.run(words, cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        told = [json.loads(line) for line in done.stdout.splitlines()]
        return {one.pop("step"): one for one in told}

    return run


@pytest.mark.parametrize("kind", ["classification", "detection"])
def test_the_flow_of_the_guide(served: tuple[Home, str], run: Node, kind: str) -> None:
    home, url = served
    boxes = kind == "detection"
    training, testing = box_images(home) if boxes else colour_images(home)
    data = home.buckets / "data"
    write_manifest(data / "lost.manifest", [image_line("data", f"lost-{n}.jpg", "x") for n in range(4)])
    # One project gets a manifest for each of its datasets; the other's test dataset is split off.
    write_manifest(data / "train.manifest", training if boxes else [*training, *testing])
    write_manifest(data / "test.manifest", testing)
    key = "box-1.jpg" if boxes else "1.jpg"
    steps = run(
        home,
        "flow",
        url=url,
        name=kind,
        boxes=boxes,
        labels=["green", "red"] if boxes else ["blue", "green", "red"],
        training="train.manifest",
        testing="test.manifest" if boxes else None,
        image=str(data / key),
        key=key,
    )
    assert list(steps)[-1] == "deleteEverything"
    assert steps["createDatasets"]["sizes"] == ([16, 6] if boxes else [26, 7])
    for step in ("describeVersion", "copyVersion"):
        assert all((home.buckets / file["Bucket"] / file["Name"]).is_file() for file in steps[step]["files"])
    summary = steps["describeVersion"]["files"][0]
    text = (home.buckets / summary["Bucket"] / summary["Name"]).read_text("utf-8")
    assert steps["describeVersion"]["f1"] == pytest.approx(json.loads(text)["AggregatedEvaluationResults"]["F1Score"])
    modelled = {name for operation in load().operations for name in load().operation(operation).errors}
    assert set(steps["exceptions"]["caught"]) == modelled - NOT_PROVOKED
    assert home.call("DescribeProjects")["ProjectDescriptions"] == []


def test_signatures(home: Home, run: Node, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("[default]\naws_access_key_id = AKIDME\naws_secret_access_key = s3cr3t/+=\n")
    keys.chmod(0o600)
    with serving(home, "--access-key-file", str(keys)) as (url, _):
        steps = run(
            home,
            "signed",
            url=url,
            good={"accessKeyId": "AKIDME", "secretAccessKey": "s3cr3t/+="},
            wrong={"accessKeyId": "AKIDME", "secretAccessKey": "wrong"},
            unknown={"accessKeyId": "AKIDYOU", "secretAccessKey": "s3cr3t/+="},
        )
    assert steps["wrongSecret"] == {"code": "InvalidSignatureException", "status": 400, "attempts": 1}
    assert steps["unknownKey"] == {"code": "UnrecognizedClientException", "status": 400, "attempts": 1}
    (project,) = home.call("DescribeProjects")["ProjectDescriptions"]
    assert project["ProjectArn"].split("/")[1] == "signed"
