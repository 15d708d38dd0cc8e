"""`rcl train`: a folder becomes a running model, and what was called can be called again."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import Home, image_line, make_home, noisy

Run = Callable[..., subprocess.CompletedProcess[str]]
QUICK = ["--set", "epochs=1", "--set", "model=mobilenet_v3_small", "--set", "image_size=64"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for label, colour in (("cats", (200, 60, 40)), ("dogs", (40, 80, 200))):
        (tmp_path / "my photos!" / label).mkdir(parents=True)
        for number in range(12):
            noisy(colour, (96, 72), number).save(tmp_path / "my photos!" / label / f"{number}.jpg")
    return tmp_path / "my photos!"


def test_a_folder_becomes_a_running_model(home: Home, rcl: Run, photos: Path, tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path):
        done = rcl("train", str(photos), *QUICK)
    assert done.returncode == 0, done.stderr
    assert "A report for your browser: my-photos-v1-report.html" in " ".join(done.stderr.split())
    assert "<title>my-photos/v1</title>" in (tmp_path / "my-photos-v1-report.html").read_text("utf-8")
    arn = done.stdout.strip()
    # The project has the folder's name, as far as projects can.
    assert ":project/my-photos/version/v1/" in arn
    assert "trained from scratch" in " ".join(done.stderr.split())
    for figure in ("F1", "precision", "threshold", "cats", "dogs"):
        assert figure in done.stderr
    described = json.loads(rcl("describe-project-versions", "--project-arn", "my-photos").stdout)
    assert described["ProjectVersionDescriptions"][0]["Status"] == "RUNNING"
    drawn = tmp_path / "drawn.png"
    nothing = rcl("detect", "my-photos", str(photos / "cats" / "1.jpg"), "--min-confidence", "100")
    assert "Nothing was found" in nothing.stderr
    found = rcl("detect", "my-photos", str(photos / "cats" / "1.jpg"), "--min-confidence", "0", "--draw", str(drawn))
    assert "Nothing" not in found.stderr
    assert {label["Name"] for label in json.loads(found.stdout)["CustomLabels"]} == {"cats", "dogs"}
    with Image.open(drawn) as image:
        assert max(image.size) > 800
    photo = photos / "cats" / "1.jpg"
    before = photo.read_bytes()
    for target in (photo, photo.parent):
        refused = rcl("detect", "my-photos", str(photo), "--draw", str(target))
        assert (refused.returncode, photo.read_bytes()) == (252, before)
    assert rcl("stop-project-version", "--project-version-arn", "my-photos/latest").returncode == 0
    project = home.call("DescribeProjects")["ProjectDescriptions"][0]["ProjectArn"]
    assert home.wait(project, "v1", leaving="STOPPING")[0] == "STOPPED"
    _calls_can_be_made_again(done.stderr, home, rcl, tmp_path)


def _calls_can_be_made_again(stderr: str, home: Home, rcl: Run, tmp_path: Path) -> None:
    """In another home, what was printed makes the same project and begins the same training."""
    calls = [shlex.split(line.removeprefix("+ rcl ")) for line in stderr.splitlines() if line.startswith("+ rcl ")]
    assert [words[0] for words in calls] == [
        "create-project", "create-dataset", "create-project-version", "thresholds", "start-project-version",
    ]  # fmt: skip
    other = make_home(tmp_path / "other")
    settings = {"RCL_HOME": str(other.path), "RCL_BUCKETS_DIR": str(home.path / "buckets")}
    made = json.loads(rcl(*calls[0], **settings).stdout)["ProjectArn"]
    old = calls[1][calls[1].index("--project-arn") + 1]
    for words in calls[1:3]:
        again = rcl(*(made if word == old else word for word in words), **settings)
        assert again.returncode == 0, again.stderr
    assert other.wait(made, "v1")[0] == "TRAINING_COMPLETED"
    assert rcl(*calls[3], **settings).returncode == 0
    other.context.database.close()


def test_the_same_images_are_trained_on_again(home: Home, rcl: Run, photos: Path) -> None:
    assert rcl("train", str(photos), "--name", "pets", *QUICK, "--no-start", "--no-report").returncode == 0
    again = rcl("train", "--name", "pets", *QUICK, "--no-start", "--no-report")
    assert again.returncode == 0, again.stderr
    command = next(line for line in again.stderr.splitlines() if "rcl compare" in line).partition(": rcl ")[2]
    assert command == "compare pets/v1 pets/v2"
    assert rcl(*command.split()).returncode == 0
    assert "/version/v2/" in again.stdout
    refused = rcl("train", str(photos), "--name", "pets")
    assert refused.returncode != 0
    assert "has a train dataset already" in " ".join(refused.stderr.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Give a folder"),
        (["--name", "nobody"], "has no images to train on"),
        (["nowhere"], "is not there"),
        (["PHOTOS", "--set", "epochs"], "OPTION=VALUE"),
        (["PHOTOS", "--set", "epochs=many"], "The training option epochs can't be 'many'"),
        (["PHOTOS", "--set", "ages=3"], "There is no training option 'ages'"),
        (["PHOTOS", "--name", "not a name"], "projectName"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_made(
    words: list[str], message: str, rcl: Run, photos: Path, home: Home
) -> None:
    done = rcl("train", *(str(photos) if word == "PHOTOS" else word for word in words))
    assert done.returncode != 0
    assert message in " ".join(done.stderr.split())
    assert home.call("DescribeProjects")["ProjectDescriptions"] == []


# --- names for ARNs ---------------------------------------------------------------------------------------------------


def test_names_stand_for_arns(home: Home, rcl: Run) -> None:
    project = home.project("circuits")
    train = home.dataset(project, "TRAIN", [image_line("data", f"{n}.jpg", "ab"[n % 2]) for n in range(10)])
    home.call("CreateDataset", ProjectArn=project, DatasetType="TEST")
    version = home.train(project, "v1")
    for words, expected in (
        (["describe-dataset", "--dataset-arn", "circuits/train"], '"TotalEntries": 10'),
        (["list-dataset-labels", "--dataset-arn", "circuits/train"], '"LabelName": "a"'),
        (["describe-project-versions", "--project-arn", "circuits"], version),
        (["tag-resource", "--resource-arn", "circuits/v1", "--tags", "who=me"], ""),
        (["list-tags-for-resource", "--resource-arn", "circuits/v1"], '"who": "me"'),
        (["tag-resource", "--resource-arn", "circuits", "--tags", "what=project"], ""),
        (["distribute-dataset-entries", "--datasets", "Arn=circuits/train", "Arn=circuits/test"], ""),
        (["create-project", "--project-name", "copy"], ":project/copy/"),
        (
            ["create-dataset", "--project-arn", "copy", "--dataset-type", "TRAIN", "--dataset-source",
             "DatasetArn=circuits/test"],
            ":project/copy/dataset/train/",
        ),
        (["delete-dataset", "--dataset-arn", "circuits/test"], ""),
    ):  # fmt: skip
        done = rcl(*words)
        assert done.returncode == 0, (words, done.stderr)
        assert expected in done.stdout, words
    assert home.call("ListTagsForResource", ResourceArn=project)["Tags"] == {"what": "project"}
    assert home.describe(train)["DatasetStats"]["TotalEntries"] == 8
    assert home.wait(project, "v1")[0] == "TRAINING_FAILED"


@pytest.mark.parametrize("name", ["nothing", "nothing/at-all/that-is-there", "circuits/v9", "circuits/latest"])
def test_what_is_no_name_is_answered_as_ever(name: str, home: Home, rcl: Run) -> None:
    home.project("circuits")
    done = rcl("delete-project-version", "--project-version-arn", name)
    if len(name) < 20:
        assert done.returncode == 252
        assert "valid min length: 20" in done.stderr
    else:
        assert done.returncode == 254
        assert "projectVersionArn" in done.stderr
