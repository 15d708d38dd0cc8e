"""The command lines of commands.txt, through the real aws CLI against `rcl serve` and through rcl on the same store.

Both versions of it are asked. Version 2, which rcl mirrors, is Debian's package, where it is installed: 2.9, given the
model of today; NEWER lists what only later ones do. Version 1 is the registry's. What it does otherwise is documented:
exit codes (EXIT_CODES), prefixes of error messages, timestamps (made ISO 8601 by a setting of version 1), and the
formats yaml, yaml-stream and off, which it lacks: what it prints as JSON is written in them here.
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
from typing import Any, NamedTuple

import botocore.session
import pytest
from ruamel.yaml import YAML

from tests.conftest import Home, colour_images, image_line, make_home, write_manifest
from tests.functional.serving import serving

HERE = Path(__file__).parent
# Of rcl and the aws CLI 2, to those of the aws CLI 1.
EXIT_CODES = {0: {0}, 252: {2, 255}, 254: {255}, 255: {255}}
# Of version 1, of rcl, of version 2: names of one length, so that tables keep their shape.
SIDES = ("alpha", "bravo", "carol")
# Rows that the aws CLI does as rcl does only since some version after 2.9, by what is in them.
NEWER = {
    "--output off": "2.9 has no format off",
    "GroundTruth@=": "2.9 reads no files that shorthand names",
    "{own_dataset2} --query": "2.9 reads no files that shorthand names, so its dataset was not updated",
    "--min-inference-units 65": "2.9 tries it three times, and says so",
}
# Debian's package.
SYSTEM_PYTHON = "/usr/bin/python3"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "rekognition:CopyProjectVersion", "Resource": "*"}],
}


class Row(NamedTuple):
    """A command line and how it must end; some are there twice, before and after others."""

    number: int
    code: int
    line: str


def rows() -> list[Row]:
    lines = (HERE / "commands.txt").read_text("utf-8").splitlines()
    kept = [line for line in lines if line and not line.startswith("#")]
    return [Row(number, int(line[:4]), line[4:]) for number, line in enumerate(kept)]


Said = tuple[int, str, str]


class Aws:
    """An aws CLI in a process of its own: aws_worker.py.

    Args:
        environment: besides RCL's none, as the aws CLI wants it.
    """

    def __init__(self, python: str, folder: Path, environment: dict[str, str]) -> None:
        command = [python, str(HERE / "aws_worker.py")]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._process = subprocess.Popen(command, cwd=folder, env=environment, **pipes)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin, self._process.stdout

    def __call__(self, words: list[str]) -> Said:
        self._to.write(json.dumps(words) + "\n")
        self._to.flush()
        code, out, err = json.loads(self._from.readline())
        return code, out, err

    def close(self) -> None:
        self._to.close()
        self._from.close()
        self._process.wait(60)


@dataclass
class Stage:
    """All command lines on one store.

    Args:
        version_2: None where it is not installed.
        heard: what each has said to a row of the table, in the order of SIDES.
    """

    home: Home
    url: str
    folder: Path
    version_1: Aws
    version_2: Aws | None
    words: dict[str, dict[str, str]]
    heard: dict[int, tuple[Said, Said, Said | None]]

    def say(self, row: Row) -> tuple[Said, Said, Said | None]:
        """Have all of them run a row, once."""
        if row.number not in self.heard:
            by_side = [shlex.split(row.line.format(**self.words[side])) for side in SIDES]
            # It runs beside the others.
            with self._rcl(by_side[1]) as rcl:
                first = self._one(by_side[0])
                second = self.version_2 and self.version_2([*by_side[2], "--endpoint-url", self.url])
                out, err = rcl.communicate(timeout=120)
            self.heard[row.number] = (first, (rcl.returncode, out, err), second)
        return self.heard[row.number]

    def _rcl(self, words: list[str]) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "rcl_cli", *words]
        environment = self.home.environment(TZ="UTC", PYTHONPATH=str(HERE.parents[1]))
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=environment, cwd=self.folder, **pipes)

    def _one(self, words: list[str]) -> Said:
        """What version 1 says, in a format of version 2 if need be."""
        kind = words[words.index("--output") + 1] if "--output" in words else "json"
        of_both = kind not in ("yaml", "yaml-stream", "off")
        if not of_both:
            words[words.index("--output") + 1] = "json"
        code, out, err = self.version_1([*words, "--endpoint-url", self.url])
        return code, out if of_both else in_format(kind, out), err


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
    with serving(home) as (url, _):
        first = Aws(sys.executable, folder, environment)
        second = version_2(folder, home.environment(TZ="UTC", AWS_CONFIG_FILE=str(folder / "none"), **keys))
        yield Stage(home, url, folder, first, second, words, {})
        for one in filter(None, (first, second)):
            one.close()
    home.call("StopProjectVersion", ProjectVersionArn=common["version"])
    home.wait(common["project"], "v", leaving="STOPPING")
    home.context.database.close()


def version_2(folder: Path, environment: dict[str, str]) -> Aws | None:
    """The aws CLI 2 with the model of rcl's botocore, if there is one."""
    command = [SYSTEM_PYTHON, "-c", "import awscli; print(awscli.__version__)"]
    environment = {name: value for name, value in environment.items() if name != "PYTHONPATH"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        return None
    if not done.stdout.startswith("2."):
        return None
    models = folder / "models" / "rekognition" / "2016-06-27"
    models.mkdir(parents=True)
    for kind in ("service-2", "paginators-1", "waiters-2"):
        document = botocore.session.Session().get_component("data_loader").load_service_model("rekognition", kind)
        (models / f"{kind}.json").write_text(json.dumps(document))
    return Aws(SYSTEM_PYTHON, folder, {**environment, "AWS_DATA_PATH": str(folder / "models")})


def without_own(text: str) -> str:
    """A text without what differs between things of both sides: names, times of creation, revisions."""
    for side in SIDES[1:]:
        text = text.replace(side, SIDES[0])
    text = re.sub(r"\b\d{13}\b", "0" * 13, text)
    return re.sub(r"\b[0-9a-f]{32}\b", "0" * 32, text)


def yaml_text(document: Any) -> str:
    """As the aws CLI 2 writes YAML."""
    if not isinstance(document, (dict, list)):
        return json.dumps(document, ensure_ascii=False) + "\n"
    yaml, stream = YAML(typ="safe"), io.StringIO()
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


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.line)
def test_same_as_the_aws_cli(stage: Stage, row: Row) -> None:
    aws, rcl, _ = stage.say(row)
    assert rcl[0] == row.code, rcl[2]
    assert aws[0] in EXIT_CODES[row.code], aws[2]
    compare(rcl, aws)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.line)
def test_same_as_the_aws_cli_2(stage: Stage, row: Row) -> None:
    _, rcl, aws = stage.say(row)
    if aws is None:
        pytest.skip(f"{SYSTEM_PYTHON} has no aws CLI 2: Debian's package awscli is not installed")
    for text, reason in NEWER.items():
        if text in row.line:
            pytest.skip(reason)
    assert rcl[0] == aws[0] == row.code, (rcl[2], aws[2])
    compare(rcl, aws)


def compare(rcl: Said, aws: Said) -> None:
    assert without_own(rcl[1]) == without_own(aws[1])
    if rcl[0]:
        assert rcl[1] == ""
        if not any(text in rcl[2] for text in REWORDED):
            assert without_own(message(rcl[2])) == without_own(message(aws[2]))


def test_at_least_one_hundred_and_fifty_lines_and_every_operation() -> None:
    from rcl_cli.api.model import load
    from rcl_cli.api.names import kebab

    commands = [row.line.split()[0] for row in rows()]
    assert len(commands) >= 150
    assert set(commands) == {kebab(name) for name in load().operations} | {"wait"}
