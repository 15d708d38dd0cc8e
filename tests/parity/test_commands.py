"""The command lines of commands.txt, through the real aws CLI against `rcl serve` and through rcl on the same store.

Documented differences between the aws CLI 1, which the registry has, and 2, which rcl mirrors:
exit codes (EXIT_CODES), prefixes of error messages, timestamps (made ISO 8601 by a setting of version 1), and the
formats yaml, yaml-stream and off, which version 1 lacks: what it prints as JSON is written in them here.
"""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.conftest import Home, colour_images, image_line, make_home, write_manifest
from tests.functional.serving import serving

HERE = Path(__file__).parent
# Of rcl and the aws CLI 2, to those of the aws CLI 1.
EXIT_CODES = {0: {0}, 252: {2, 255}, 254: {255}, 255: {255}}
# Two names of one length, so that tables keep their shape.
SIDES = ("alpha", "bravo")
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "rekognition:CopyProjectVersion", "Resource": "*"}],
}


def rows() -> list[tuple[int, str]]:
    lines = (HERE / "commands.txt").read_text("utf-8").splitlines()
    return [(int(line[:4]), line[4:]) for line in lines if line and not line.startswith("#")]


@dataclass
class Stage:
    """Both command lines on one store."""

    home: Home
    url: str
    folder: Path
    worker: subprocess.Popen[str]
    words: dict[str, dict[str, str]]

    def aws(self, words: list[str]) -> tuple[int, str, str]:
        assert self.worker.stdin is not None
        assert self.worker.stdout is not None
        self.worker.stdin.write(json.dumps([*words, "--endpoint-url", self.url]) + "\n")
        self.worker.stdin.flush()
        code, out, err = json.loads(self.worker.stdout.readline())
        return code, out, err

    def rcl(self, words: list[str]) -> subprocess.Popen[str]:
        """Started only: it runs beside the aws CLI."""
        command = [sys.executable, "-m", "rcl_cli", *words]
        environment = self.home.environment(TZ="UTC", PYTHONPATH=str(HERE.parents[1]))
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=environment, cwd=self.folder, **pipes)


def files(folder: Path, home: Home) -> None:
    """What command lines name as file:// and fileb://."""
    shutil.copy(home.buckets / "data" / "0.jpg", folder / "red.jpg")
    shutil.copy(home.buckets / "data" / "0.jpg", home.buckets / "data" / "red.jpg")
    write_manifest(
        folder / "changes.jsonl", [image_line("data", "0.jpg", "bird"), image_line("data", "new.jpg", "cat")]
    )
    (folder / "garbage.jsonl").write_text("this is\nno manifest\n")
    (folder / "large.bin").write_bytes(b"\xff" * (4 * 2**20 + 1))
    (folder / "policy.json").write_text(json.dumps(POLICY))
    (folder / "request.json").write_text('{"ProjectNames": ["main"]}')


def own_things(home: Home, main: dict[str, str], side: str) -> dict[str, str]:
    """What this side's command lines change or delete."""
    full = home.project(f"full-{side}")
    lines = [image_line("data", f"{n}.jpg", ("cat", "dog")[n % 2]) for n in range(10)]
    words = {
        "own": side,
        "own_empty": home.project(f"void-{side}"),
        "own_project": home.project(f"some-{side}"),
        "own_dataset": home.dataset(home.project(f"gone-{side}"), "TRAIN", lines),
        "own_dataset2": home.dataset(home.project(f"more-{side}"), "TRAIN", lines),
        "own_train": home.dataset(full, "TRAIN", lines),
        "own_test": home.call("CreateDataset", ProjectArn=full, DatasetType="TEST")["DatasetArn"],
    }
    copied = home.project(f"copy-{side}")
    words["own_version"] = copy(home, main, copied, side)
    return words


def copy(home: Home, main: dict[str, str], destination: str, name: str) -> str:
    made = home.call(
        "CopyProjectVersion",
        SourceProjectArn=main["project"],
        SourceProjectVersionArn=main["version"],
        DestinationProjectArn=destination,
        VersionName=name,
        OutputConfig={"S3Bucket": "out", "S3KeyPrefix": name},
    )
    assert home.wait(destination, name, leaving="COPYING_IN_PROGRESS")[0] == "COPYING_COMPLETED"
    return str(made["ProjectVersionArn"])


def common_things(home: Home) -> dict[str, str]:
    """A trained and running model in a project with datasets, and what is missing or broken."""
    training, testing = colour_images(home)
    project = home.project("main")
    home.dataset(project, "TRAIN", training)
    home.dataset(project, "TEST", testing)
    version = home.train(project, "v")
    assert home.wait(project, "v")[0] == "TRAINING_COMPLETED"
    home.call("StartProjectVersion", ProjectVersionArn=version, MinInferenceUnits=1)
    assert home.wait(project, "v", leaving="STARTING")[0] == "RUNNING"
    lists = home.project("lists")
    many = [image_line("data", f"{n}.jpg", *[("cat",), ("dog",), ("cat", "dog"), ()][n % 4]) for n in range(120)]
    broken = image_line("data", "broken.jpg", "cat") | {"label-0-metadata": {"type": "fish"}}
    write_manifest(home.buckets / "data" / "small.manifest", many[:5])
    account = "arn:aws:rekognition:us-east-1:123456789012"
    words = {
        "project": project,
        "version": version,
        "empty": home.project("empty"),
        "train": home.dataset(lists, "TRAIN", [*many, broken]),
        "test": home.call("CreateDataset", ProjectArn=lists, DatasetType="TEST")["DatasetArn"],
        "failed": home.dataset(home.project("failed"), "TRAIN", b""),
        "gone": f"{account}:project/gone/1690000000000",
        "gone_dataset": f"{account}:project/gone/dataset/train/1690000000000",
        "gone_version": f"{account}:project/gone/version/v/1690000000000",
    }
    words["stopped"] = copy(home, words, home.project("stopped"), "copied")
    home.call("TagResource", ResourceArn=project, Tags={"Dept": "Eng", "1": "A", "ü": "ö ä"})
    for name in ("one", "two"):
        home.call("PutProjectPolicy", ProjectArn=project, PolicyName=name, PolicyDocument=json.dumps(POLICY))
    return words


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("parity")
    home = make_home(folder / "home")
    common = common_things(home)
    files(folder, home)
    words = {side: {**common, **own_things(home, common, side)} for side in SIDES}
    (folder / "config").write_text("[default]\ncli_timestamp_format = iso8601\nmax_attempts = 1\n")
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    environment = home.environment(TZ="UTC", AWS_CONFIG_FILE=str(folder / "config"), **keys)
    command = [sys.executable, str(HERE / "aws_worker.py")]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with serving(home) as (url, _), subprocess.Popen(command, cwd=folder, env=environment, **pipes) as worker:
        yield Stage(home, url, folder, worker, words)
        assert worker.stdin is not None
        worker.stdin.close()
    home.call("StopProjectVersion", ProjectVersionArn=common["version"])
    home.wait(common["project"], "v", leaving="STOPPING")
    home.context.database.close()


def without_own(text: str) -> str:
    """A text without what differs between things of both sides: names, times of creation, revisions."""
    text = text.replace(SIDES[1], SIDES[0])
    text = re.sub(r"\b\d{13}\b", "0" * 13, text)
    return re.sub(r"\b[0-9a-f]{32}\b", "0" * 32, text)


def yaml_text(document: Any) -> str:
    """As the aws CLI 2 writes YAML."""
    if not isinstance(document, (dict, list)):
        return json.dumps(document, ensure_ascii=False) + "\n"
    yaml, stream = YAML(typ="safe", pure=True), io.StringIO()
    yaml.representer.default_flow_style = False
    yaml.dump(document, stream)
    return stream.getvalue()


def in_format(kind: str, text: str) -> str:
    """JSON output of the aws CLI 1 in a format that only version 2 has."""
    if kind == "off" or not text:
        return ""
    document = json.loads(text)
    return yaml_text([document] if kind == "yaml-stream" else document)


def message(stderr: str) -> str:
    """An error without the prefixes and the usage that each version has around it."""
    text = re.sub(
        r"^usage: .*?\n(?=\n*(?:aws: error|rcl: \[ERROR\]|Unknown options)|\Z)",
        "",
        stderr.strip("\n") + "\n",
        flags=re.S | re.M,
    )
    text = re.sub(r"^(?:rcl: \[ERROR\]|aws: error): ", "", text.strip("\n"), flags=re.M)
    return re.sub(r"An error occurred \(ParamValidation\): |Error during pagination: |^ ", "", text, flags=re.M).strip(
        "\n"
    )


# Version 2 words these anew.
REWORDED = (
    "Found invalid choice",
    "too few arguments",
    "Invalid JSON received",
    "Invalid type: expecting map",
)


def run_aws(stage: Stage, line: str) -> tuple[int, str, str]:
    words = shlex.split(line.format(**stage.words[SIDES[0]]))
    kind = words[words.index("--output") + 1] if "--output" in words else "json"
    if kind not in ("yaml", "yaml-stream", "off"):
        return stage.aws(words)
    words[words.index("--output") + 1] = "json"
    code, out, err = stage.aws(words)
    return code, in_format(kind, out), err


@pytest.mark.parametrize(("code", "line"), rows(), ids=[line for _, line in rows()])
def test_same_as_the_aws_cli(stage: Stage, code: int, line: str) -> None:
    with stage.rcl(shlex.split(line.format(**stage.words[SIDES[1]]))) as rcl:
        aws_code, aws_out, aws_err = run_aws(stage, line)
        rcl_out, rcl_err = rcl.communicate(timeout=120)
    assert rcl.returncode == code, rcl_err
    assert aws_code in EXIT_CODES[code], aws_err
    assert without_own(rcl_out) == without_own(aws_out)
    if code:
        assert rcl_out == ""
        if not any(text in rcl_err for text in REWORDED):
            assert without_own(message(rcl_err)) == without_own(message(aws_err))


def test_at_least_one_hundred_and_fifty_lines_and_every_operation() -> None:
    from rcl_cli.api.model import load
    from rcl_cli.api.names import kebab

    commands = [line.split()[0] for _, line in rows()]
    assert len(commands) >= 150
    assert set(commands) == {kebab(name) for name in load().operations} | {"wait"}
