"""Names that hold escape sequences, wherever a name can come from, and all that people are shown of them."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rcl_cli.cli.local.texts import LOCAL
from tests.conftest import COLOURS, Home, colour_images, make_home, noisy, write_manifest
from tests.functional.serving import serving

# The terminal's title, a bell, red letters by C1, text from right to left.
EVIL = "\x1b]0;pwned\x07\x9b31m\u202e"
SHOWN = r"\x1b]0;pwned\x07\x9b31m\u202e"
# All command lines in one process: most of each would be its start.
PROGRAM = """
import json, sys
from rcl_cli.cli.app import run
for words in json.loads(sys.argv[1]):
    run(words)
    for stream in (sys.stdout, sys.stderr):
        stream.write("\\n=====\\n")
        stream.flush()
"""
# What rich writes on a terminal: colours, and the cursor's way about its bars.
_OWN = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


@dataclass
class Planted:
    """A home, and a folder of images, with such names everywhere.

    Args:
        training: what `rcl train` showed on a terminal.
    """

    home: Home
    folder: Path
    training: str


def on_pipes(home: Home, folder: Path, lines: list[list[str]], **more: str) -> tuple[str, str]:
    command = [sys.executable, "-c", PROGRAM, json.dumps(lines)]
    environment = home.environment(PYTHONPATH=str(Path(__file__).parents[2]), **more)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def on_a_terminal(home: Home, folder: Path, lines: list[list[str]], **more: str) -> tuple[str, str]:
    command = [sys.executable, "-c", PROGRAM, json.dumps(lines)]
    environment = home.environment(PYTHONPATH=str(Path(__file__).parents[2]), TERM="xterm", COLUMNS="200", **more)
    main, terminal = pty.openpty()
    read: list[bytes] = []

    def drain() -> None:
        # Linux says EIO where nobody holds the other end any more.
        with contextlib.suppress(OSError):
            while data := os.read(main, 65536):
                read.append(data)

    reader = threading.Thread(target=drain)
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=terminal, stdout=terminal, stderr=terminal
    ) as process:
        os.close(terminal)
        reader.start()
        code = process.wait(300)
    reader.join()
    os.close(main)
    text = b"".join(read).decode()
    assert code == 0, text
    return _OWN.sub("", text), ""


Watch = Callable[..., tuple[str, str]]
WATCHES = {"pipes": on_pipes, "terminal": on_a_terminal}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    folder = tmp_path_factory.mktemp("escapes")
    home = make_home(folder / f"home{EVIL}")
    lines = colour_images(home)
    for line in [*lines[0], *lines[1]]:
        name = line["source-ref"].rpartition("/")[2]
        (home.buckets / "data" / name).rename(home.buckets / "data" / f"{EVIL}{name}")
        line["source-ref"] = f"s3://data/{EVIL}{name}"
        about = line["label-0-metadata"]
        about["class-name"] = about["class-name"].replace("red", f"{EVIL}red")
    home.project("empty")
    project = home.project("p")
    home.dataset(project, "TRAIN", lines[0])
    home.dataset(project, "TEST", lines[1])
    options = [word for one in ("epochs=1", "image_size=64", "weights=none") for word in ("--set", one)]
    shown, _ = on_a_terminal(home, folder, [["train", "--name", "p", *options, "--no-start"]])
    with home.context.layout.training_log(1).open("a") as log:
        log.write(f"{EVIL} in the log\n")
    images = folder / f"images{EVIL}"
    for number in range(12):
        name = ("red", f"green{EVIL}", "blue")[number % 3]
        (images / name).mkdir(parents=True, exist_ok=True)
        noisy(COLOURS[name.removesuffix(EVIL)], (72, 72), number).save(images / name / f"{number}{EVIL}.png")
    (images / "red" / f"broken{EVIL}.jpg").write_text("no image")
    (images / "red" / f"other{EVIL}.webp").write_text("no image")
    write_manifest(folder / f"labels{EVIL}.manifest", lines[1])
    (home.path / "config.yaml").write_text(f'buckets: {{"b{EVIL!a}": "/x{EVIL!a}"}}\n'.replace("'", ""))
    yield Planted(home, folder, shown)
    home.context.database.close()


def command_lines(planted: Planted, url: str) -> list[list[str]]:
    """Every local command, with what it is asked in names or finds in files, and errors of all kinds."""
    images, home = str(planted.folder / f"images{EVIL}"), planted.home
    manifest, picture = str(planted.folder / f"labels{EVIL}.manifest"), f"{images}/blue/2{EVIL}.png"
    answer = planted.folder / f"answer{EVIL}.json"
    answer.write_text(json.dumps({"CustomLabels": [{"Name": f"{EVIL}red", "Confidence": 50.0}]}))
    empty = str(home.call("DescribeProjects", ProjectNames=["empty"])["ProjectDescriptions"][0]["ProjectArn"])
    source = f"GroundTruthManifest={{S3Object={{Bucket=data,Name={EVIL}}}}}"
    there = ["--endpoint-url", url, "--no-sign-request"]
    return [
        ["compare", "p", "p", "--out", f"compare{EVIL}.html"],
        ["config", "show"],
        ["config", "explain", f"training.{EVIL}"],
        ["config", "set", "training.epochs", EVIL],
        ["config", "set", f"buckets.c{EVIL}", f"/y{EVIL}"],
        ["config", "unset", f"buckets.c{EVIL}"],
        ["dataset", "import", images, "--out", f"imported{EVIL}"],
        ["dataset", "import", manifest, "--project", "again"],
        ["dataset", "import", f"{images}/nothing"],
        ["dataset", "check", images, "--all"],
        ["dataset", "check", "p"],
        ["dataset", "show", images, "--out", f"sheet{EVIL}.html"],
        ["dataset", "show", "p", "--label", f"nobody{EVIL}"],
        ["dataset", "export", "p", "--format", "csv", "--out", f"csv{EVIL}"],
        ["dataset", "export", "p", "--format", "csv", "--out", f"csv{EVIL}"],
        ["detect", "p", images, "--once", "--out", f"found{EVIL}.jsonl"],
        ["detect", "p", f"{images}/nothing", "--once"],
        ["detect", f"nobody{EVIL}", picture],
        ["doctor", "--quick"],
        ["draw", picture, "--labels", str(answer), "--out", f"drawn{EVIL}.png"],
        ["draw", picture, "--labels", manifest, "--out", f"drawn{EVIL}.png"],
        ["example", "rooms", f"rooms{EVIL}", "--train", "6", "--test", "3"],
        ["export", "p", "--format", "onnx", "--out", f"onnx{EVIL}"],
        ["export", "p", "--format", EVIL, "--out", "x"],
        ["feedback", "add", "p", f"found{EVIL}.jsonl"],
        ["feedback", "add", "p", manifest, "--version", EVIL],
        ["feedback", "add", f"nobody{EVIL}", images],
        ["feedback", "status", "p"],
        ["logs", "p"],
        ["logs", f"p/{EVIL}"],
        ["pull", "p", "--to", "pulled", "--no-images", *there],
        ["pull", f"p{EVIL}", *there],
        ["push", "p", "--bucket", f"b{EVIL}", "--to", "pushed", *there],
        ["report", "p", "--out", f"report{EVIL}.html"],
        ["report", "p", "--out", f"{manifest}/x.html"],
        ["serve", "--host", EVIL],
        ["console", "--host", EVIL, "--no-browser"],
        ["serve", "--access-key-file", manifest],
        ["status"],
        ["thresholds", "p"],
        ["thresholds", "p", "--set", f"{EVIL}red=0.5"],
        ["thresholds", "p", "--set", f"nobody{EVIL}=0.5"],
        ["thresholds", "p", "--reset"],
        ["train", images, "--name", EVIL],
        ["train", "--name", "p", "--set", f"{EVIL}=1"],
        ["train", "--name", "p", "--set", f"epochs={EVIL}"],
        ["versions", "p"],
        ["versions", f"p{EVIL}"],
        [EVIL],
        ["describe-projects", "--project-names", EVIL],
        ["describe-projects", f"--{EVIL}"],
        ["describe-projects", "--debug", "--project-names", EVIL],
        ["describe-projects", "--debug", "--project-names", EVIL, *there],
        ["describe-projects", "--output", EVIL],
        ["describe-projects", "--query", EVIL],
        ["describe-projects", "--cli-input-json", f"file://{EVIL}"],
        ["create-dataset", "--project-arn", empty, "--dataset-type", "TRAIN", "--dataset-source", source],
        ["detect-custom-labels", "--project-version-arn", "p", "--image-bytes", f"fileb://{EVIL}"],
        ["wait", EVIL],
    ]  # fmt: skip


@pytest.mark.parametrize("watch", WATCHES.values(), ids=WATCHES)
def test_people_see_no_control_characters(planted: Planted, watch: Watch, tmp_path: Path) -> None:
    with serving(planted.home, stderr=tmp_path / "log") as (url, _):
        lines = command_lines(planted, url)
        assert LOCAL.keys() <= {words[0] for words in lines}
        told = "".join(watch(planted.home, tmp_path, lines, RCL_BUCKETS_DIR=f"/none{EVIL}"))
    # Neither sent on nor, as rich does with bells, dropped in silence.
    wrong = [line for line in told.split("\n") if not line.isprintable() or r"pwned\x9b" in line]
    assert wrong == []
    assert told.count(SHOWN) > len(lines)


def test_training_on_a_terminal(planted: Planted) -> None:
    assert [line for line in planted.training.split("\n") if not line.isprintable()] == []
    assert f"{SHOWN}red" in planted.training


def test_a_configuration_that_makes_no_sense(home: Home, tmp_path: Path) -> None:
    text = f'"k{EVIL!a}": 1\n'.replace("'", "")
    (home.path / "config.yaml").write_text(text)
    out, err = on_pipes(home, tmp_path, [["status"], ["config", "show"], ["doctor", "--quick"]])
    assert [line for line in (out + err).split("\n") if not line.isprintable()] == []
    out, err = on_pipes(home, tmp_path, [["describe-projects"]], AWS_REGION=EVIL, AWS_PAGER=EVIL)
    assert [line for line in (out + err).split("\n") if not line.isprintable()] == []


def test_programs_get_names_as_they_are(planted: Planted, tmp_path: Path) -> None:
    dataset = planted.home.call("DescribeProjects", ProjectNames=["p"])["ProjectDescriptions"][0]["Datasets"][0]
    labels = ["list-dataset-labels", "--dataset-arn", str(dataset["DatasetArn"])]
    wrong = ["describe-projects", "--project-names", EVIL, "--cli-error-format", "json"]
    lines = [["thresholds", "p", "--json"], labels, [*labels, "--output", "table"], wrong]
    out, err = on_pipes(planted.home, tmp_path, lines)
    thresholds, listed, table, _, *_ = out.split("\n=====\n")
    assert f"{EVIL}red" in {json.loads(line)["label"] for line in thresholds.splitlines()}
    assert f"{EVIL}red" in {one["LabelName"] for one in json.loads(listed)["DatasetLabelDescriptions"]}
    assert f"{EVIL}red" in table
    assert EVIL in json.loads(err.split("\n=====\n")[3])["Message"]
