"""`rcl example`: each kind of project, drawn, flawless, and trained by the commands that it prints."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rcl_cli.local.datasets.examples import EXAMPLES
from tests.conftest import Home

Run = Callable[..., subprocess.CompletedProcess[str]]
KINDS = {"rooms": (6, False), "flowers": (6, False), "logos": (4, True), "circuits": (5, True)}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_as_large_as_it_comes_is_flawless(rcl: Run, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    assert rcl("example", name, str(folder), "--train", "60").returncode == 0
    words = [str(folder / "train.manifest"), str(folder / "test.manifest"), "--images", str(folder)]
    check = rcl("dataset", "check", *words, "--json")
    assert check.returncode == 0, check.stdout
    kinds = {json.loads(line)["kind"] for line in check.stdout.splitlines()}
    # Logos alone on plain grounds are like each other.
    assert kinds <= ({"near-duplicate"} if name == "logos" else {"few-images"})


# The docs' own commands train the other two.
@pytest.mark.parametrize("name", ["flowers", "logos"])
def test_an_example_is_flawless_and_trains_as_it_says(home: Home, tmp_path: Path, name: str) -> None:
    (tmp_path / "rcl").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rcl_cli "$@"\n')
    (tmp_path / "rcl").chmod(0o755)
    quick = {"RCL_TRAINING_EPOCHS": "1", "RCL_TRAINING_IMAGE_SIZE": "64", "RCL_TRAINING_WEIGHTS": "none"}
    environment = home.environment(**quick, PYTHONPATH=str(Path(__file__).resolve().parents[2]))
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"

    def shell(script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-euc", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )

    # Brand detection composes forty scenes of each logo image.
    images = 8 if name == "logos" else 24
    made = shell(f"rcl example {name} 'my buckets/pictures' --train {images} --test 12")
    assert (made.returncode, made.stdout) == (0, ""), made.stderr
    commands = made.stderr.partition("Next:\n")[2]
    assert commands.count("\n") == 4
    done = shell(commands)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "found.png").stat().st_size > 10_000
    assert (tmp_path / "pictures-images.html").exists()
    setting = commands.splitlines()[0]
    check = shell(f"{setting}; rcl dataset check pictures --json --fail-on never")
    labels, has_boxes = KINDS[name]
    kinds = {json.loads(line)["kind"] for line in check.stdout.splitlines()}
    # So few images for a label are too few for AWS's own advice.
    assert kinds <= {"few-images", "imbalance", *(["near-duplicate"] if name == "logos" else [])}, check.stdout
    entries = shell("rcl list-dataset-labels --dataset-arn pictures/test --query 'length(DatasetLabelDescriptions)'")
    assert int(entries.stdout) == labels
    found = shell(f"{setting}; rcl detect pictures 'my buckets/pictures/new' --min-confidence 0")
    answers = [json.loads(line) for line in found.stdout.splitlines()]
    assert len(answers) == 4
    if not has_boxes:
        assert all(len(answer["CustomLabels"]) == labels for answer in answers)
    assert shell("rcl stop-project-version --project-version-arn pictures/latest").returncode == 0


def test_seeds_and_places(home: Home, rcl: Run, tmp_path: Path) -> None:
    for folder, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        words = ("example", "rooms", str(tmp_path / folder / "rooms"), "--train", "2", "--test", "1", "--seed", seed)
        assert rcl(*words).returncode == 0
    first, again, other = ((tmp_path / name / "rooms/train/room-001.jpg").read_bytes() for name in "abc")
    assert first == again != other
    # Where the bucket is found anyway, nothing has to be set.
    done = rcl("example", "rooms", str(home.path / "buckets" / "rooms"), "--train", "2", "--test", "1")
    assert "RCL_BUCKETS_DIR" not in done.stderr
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "train.manifest").write_text("MINE")
    for words, says in (
        ([str(mine)], "is not an empty folder"),
        ([str(tmp_path / "ab")], "can't be one"),
        ([str(tmp_path / "my rooms")], "can't be one"),
        (["/"], "can't be one"),
        ([str(tmp_path / "new-one"), "--seed", "-5"], "--seed"),
    ):
        refused = rcl("example", "rooms", *words)
        assert (refused.returncode, says in " ".join(refused.stderr.split())) == (252, True), refused.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c", "home", "mine"]
    assert [path.read_text() for path in mine.iterdir()] == ["MINE"]
    (tmp_path / "file").write_text("")
    refused = rcl("example", "rooms", str(tmp_path / "file" / "rooms"))
    assert (refused.returncode, "can't be written" in refused.stderr) == (255, True)


def test_buckets_that_are_not_there_are_named_before_anything_is_made(rcl: Run, home: Home, tmp_path: Path) -> None:
    assert rcl("example", "rooms", str(tmp_path / "rooms"), "--train", "12", "--test", "6").returncode == 0
    refused = rcl("train", str(tmp_path / "rooms"))
    assert refused.returncode == 255
    assert "buckets that are not there: rooms. RCL_BUCKETS_DIR" in " ".join(refused.stderr.split())
    assert home.call("DescribeProjects")["ProjectDescriptions"] == []
    # A dataset may be made before its images are there.
    done = rcl("dataset", "import", str(tmp_path / "rooms"), "--project", "p")
    assert done.returncode == 0
    assert "1 buckets are not there (RCL_BUCKETS_DIR" in " ".join(done.stderr.split())
    found = rcl("dataset", "import", str(tmp_path / "rooms"), "--images", str(tmp_path / "rooms"), "--project", "q")
    assert (found.returncode, "not there" in found.stderr) == (0, False)
