"""`rcl detect`: many images, from everywhere, in two forms, through failures and kills."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from rcl_cli.compute.places import host_of
from rcl_cli.errors import InternalServerError
from rcl_cli.local.detecting.asking import detect_all
from rcl_cli.local.detecting.detectors import OwnDetector
from tests.conftest import Home, noisy, wait_until
from tests.functional.models import Trained


def detect(home: Home, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rcl_cli", "detect", "p/v", *words]
    environment = home.environment(PYTHONPATH=str(Path(__file__).resolve().parents[2]))
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, cwd=cwd)


def complaints(stderr: str) -> list[str]:
    """What was said, but that nothing was found: a model of one epoch may find nothing."""
    return [line for line in stderr.splitlines() if not line.startswith("Nothing was found")]


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def folder(detector: Trained, tmp_path: Path) -> Path:
    """Images with an odd name among them, below each other."""
    made = tmp_path / "ph otos"
    (made / "deep").mkdir(parents=True)
    for number, name in enumerate(["a.jpg", "b ü%20.JPEG", "deep/c.png", "deep/ignored.txt"]):
        if name.endswith(".txt"):
            (made / name).write_text("no image")
        else:
            noisy((200, 40, 40), (128, 96), number).save(made / name)
    return made


def test_a_folder(detector: Trained, folder: Path) -> None:
    done = detect(detector.home, str(folder), "--min-confidence", "0", "--max-results", "3")
    assert (done.returncode, complaints(done.stderr)) == (0, [])
    lines = lines_of(done.stdout)
    paths = [folder / "a.jpg", folder / "b ü%20.JPEG", folder / "deep/c.png"]
    assert [line["source-ref"] for line in lines] == [path.as_uri() for path in paths]
    for line, path in zip(lines, paths, strict=True):
        assert line["CustomLabels"] == detector.detect(path.read_bytes(), MinConfidence=0.0, MaxResults=3)
        assert line["CustomLabels"]


def test_all_kinds_of_sources_each_image_once(detector: Trained, folder: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.jsonl"
    listed.write_text('{"source-ref": "s3://data/box-3.jpg"}\n\n{"source-ref": "s3://data/box-1.jpg", "x": 1}\n')
    sources = [str(listed), "s3://data/box-1", str(folder / "*.jpg"), str(folder / "a.jpg"), f"{folder}/**/*.png"]
    done = detect(detector.home, *sources)
    assert (done.returncode, complaints(done.stderr)) == (0, [])
    refs = [line["source-ref"] for line in lines_of(done.stdout)]
    keys = sorted(path.name for path in (detector.home.buckets / "data").glob("box-1*.jpg"))
    expected = [
        "s3://data/box-3.jpg",
        "s3://data/box-1.jpg",
        *(f"s3://data/{key}" for key in keys if key != "box-1.jpg"),
    ]
    assert refs == [*expected, (folder / "a.jpg").as_uri(), (folder / "deep/c.png").as_uri()]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nothing/here", "is no file, folder, pattern with a match, s3:// URL or list"),
        ("s3://none/at/all", "out of reach"),
        ("s3://data/nothing-like-this", "There are no images in s3://data/nothing-like-this"),
        ("broken.jsonl", "line 2: needs a JSON object with a source-ref"),
        ("empty", "There are no images in empty"),
    ],
)
def test_sources_that_are_none(detector: Trained, tmp_path: Path, source: str, message: str) -> None:
    (tmp_path / "broken.jsonl").write_text('{"source-ref": "s3://data/0.jpg"}\n["no"]\n')
    (tmp_path / "empty").mkdir()
    done = detect(detector.home, source, "-o", "out.jsonl", cwd=tmp_path)
    assert done.returncode == 252
    assert message in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "out.jsonl").exists()


def test_broken_images_are_counted_and_the_others_answered(detector: Trained, folder: Path) -> None:
    (folder / "a-broken.jpg").write_bytes((folder / "a.jpg").read_bytes()[:300])
    done = detect(detector.home, str(folder), str(folder / "gone.jsonl"))
    assert done.returncode == 252
    (folder / "gone.jsonl").write_text('{"source-ref": "s3://data/gone.jpg"}\n')
    done = detect(detector.home, str(folder), str(folder / "gone.jsonl"))
    assert done.returncode == 255
    assert "2 of 5 images failed" in done.stderr
    errors = {line["source-ref"]: line["Error"]["Code"] for line in lines_of(done.stdout) if "Error" in line}
    assert errors == {
        (folder / "a-broken.jpg").as_uri(): "InvalidImageFormatException",
        "s3://data/gone.jpg": "InvalidS3ObjectException",
    }
    assert sum("CustomLabels" in line for line in lines_of(done.stdout)) == 3


@pytest.mark.parametrize("kind", ["detector", "classifier"])
def test_manifest_lines_go_into_a_dataset(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    model: Trained = request.getfixturevalue(kind)
    out = tmp_path / "found.manifest"
    prefix = "s3://data/box-" if kind == "detector" else "s3://data/1"
    done = detect(model.home, prefix, "--format", "manifest", "-o", str(out), "--min-confidence", "0")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    project = model.home.project(f"again-{kind}")
    dataset = model.home.call("CreateDataset", ProjectArn=project, DatasetType="TRAIN")["DatasetArn"]
    model.home.call("UpdateDatasetEntries", DatasetArn=dataset, Changes={"GroundTruth": out.read_bytes()})
    described = model.home.describe(dataset)
    assert described["Status"] == "UPDATE_COMPLETE", described
    stats = described["DatasetStats"]
    lines = lines_of(out.read_text())
    assert stats["TotalEntries"] == len(lines) > 5
    assert stats["LabeledEntries"] == sum(len(line) > 1 for line in lines) > 0
    assert stats["ErrorEntries"] == 0
    model.home.call("DeleteDataset", DatasetArn=dataset)
    model.home.call("DeleteProject", ProjectArn=project)
    for line in lines[:3]:
        key = line["source-ref"].removeprefix("s3://data/")
        found = model.detect((model.home.buckets / "data" / key).read_bytes(), MinConfidence=0.0)
        names = [label["Name"] for label in found]
        metadata = [value for name, value in line.items() if name.endswith("-metadata")]
        if kind == "detector":
            classes = metadata[0]["class-map"] if metadata else {}
            boxes = line["detected"]["annotations"] if metadata else []
            assert [classes[str(box["class_id"])] for box in boxes] == names[:50]
        else:
            assert [one["class-name"] for one in metadata] == names


@pytest.fixture
def many(tmp_path: Path) -> Iterator[Path]:
    """Enough images to kill something in the middle of them."""
    made = tmp_path / "many"
    made.mkdir()
    noisy((40, 200, 40), (128, 96), 1).save(made / "0000.jpg")
    for number in range(1, 600):
        shutil.copyfile(made / "0000.jpg", made / f"{number:04d}.jpg")
    yield made
    shutil.rmtree(made)


def test_a_killed_run_goes_on_where_it_was(detector: Trained, many: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.jsonl"
    command = [
        sys.executable,
        "-m",
        "rcl_cli",
        "detect",
        "p/v",
        str(many),
        "-o",
        str(out),
        "--resume",
        "--threads",
        "2",
    ]
    for goal in (50, 300):
        with subprocess.Popen(command, env=detector.home.environment(), stderr=subprocess.PIPE) as process:
            wait_until(lambda at_least=goal: out.exists() and out.read_text().count("\n") > at_least, 60)
            process.kill()
    kept = out.read_text().splitlines()[:-1]
    # A line that was not written to its end, and one of an image that failed.
    with out.open("a") as file:
        file.write(json.dumps({"source-ref": (many / "0599.jpg").as_uri(), "Error": {"Code": "x", "Message": "y"}}))
        file.write('\n{"source-ref": "file:///half')
    refused = detect(detector.home, str(many), "-o", str(out))
    assert refused.returncode == 252
    assert "--resume" in refused.stderr
    done = detect(detector.home, str(many), "-o", str(out), "--resume")
    assert (done.returncode, complaints(done.stderr)) == (0, [])
    lines = out.read_text().splitlines()
    assert lines[: len(kept)] == kept
    refs = [json.loads(line)["source-ref"] for line in lines]
    assert sorted(refs) == [path.as_uri() for path in sorted(many.iterdir())]
    assert all("CustomLabels" in json.loads(line) for line in lines)


def test_once_needs_no_host_and_says_the_same(detector: Trained, classifier: Trained, folder: Path) -> None:
    for model in (detector, classifier):
        running = detect(model.home, str(folder), "--min-confidence", "0")
        model.home.call("StopProjectVersion", ProjectVersionArn=model.version)
        assert model.home.wait(model.project, "v", leaving="STOPPING")[0] == "STOPPED"
        try:
            alone = detect(model.home, str(folder), "--min-confidence", "0", "--once")
            refused = detect(model.home, str(folder))
        finally:
            model.home.call("StartProjectVersion", ProjectVersionArn=model.version, MinInferenceUnits=1)
            assert model.home.wait(model.project, "v", leaving="STARTING")[0] == "RUNNING"
        assert alone.returncode == 0, alone.stderr
        for mine, theirs in zip(lines_of(alone.stdout), lines_of(running.stdout), strict=True):
            assert mine["source-ref"] == theirs["source-ref"]
            assert len(mine["CustomLabels"]) == len(theirs["CustomLabels"])
            for a, b in zip(mine["CustomLabels"], theirs["CustomLabels"], strict=True):
                assert a["Name"] == b["Name"]
                assert a["Confidence"] == pytest.approx(b["Confidence"], abs=0.01)
        assert refused.returncode == 254
        assert "Add --once to load it for this run, or start it: rcl start" in refused.stderr


def test_a_model_that_stops_ends_the_run(detector: Trained, many: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.jsonl"
    command = [sys.executable, "-m", "rcl_cli", "detect", "p/v", str(many), "-o", str(out), "--threads", "2"]
    with subprocess.Popen(command, env=detector.home.environment(), stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: out.exists() and out.read_text().count("\n") > 20, 60)
        detector.home.call("StopProjectVersion", ProjectVersionArn=detector.version)
        _, stderr = process.communicate(timeout=60)
    assert detector.home.wait(detector.project, "v", leaving="STOPPING")[0] == "STOPPED"
    detector.home.call("StartProjectVersion", ProjectVersionArn=detector.version, MinInferenceUnits=1)
    assert detector.home.wait(detector.project, "v", leaving="STARTING")[0] == "RUNNING"
    # It may have been done by then.
    if process.returncode:
        assert process.returncode == 254
        assert "host has gone" in stderr


def test_a_busy_model_gets_more_workers(detector: Trained, many: Path) -> None:
    home = detector.home
    home.call("StopProjectVersion", ProjectVersionArn=detector.version)
    assert home.wait(detector.project, "v", leaving="STOPPING")[0] == "STOPPED"
    home.call("StartProjectVersion", ProjectVersionArn=detector.version, MinInferenceUnits=1, MaxInferenceUnits=2)
    assert home.wait(detector.project, "v", leaving="STARTING")[0] == "RUNNING"
    log = home.context.layout.host(1) / "host.log"
    began = time.monotonic()
    while "one worker more" not in log.read_text() and time.monotonic() - began < 120:
        assert detect(home, str(many), "--threads", "32").returncode == 0
    text = log.read_text()
    home.call("StopProjectVersion", ProjectVersionArn=detector.version)
    assert home.wait(detector.project, "v", leaving="STOPPING")[0] == "STOPPED"
    home.call("StartProjectVersion", ProjectVersionArn=detector.version, MinInferenceUnits=1)
    assert home.wait(detector.project, "v", leaving="STARTING")[0] == "RUNNING"
    assert "running with 1 to 2 worker(s)" in text
    assert text.count("one worker more") == 1


def test_a_worker_that_dies_costs_no_answer(detector: Trained, many: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.jsonl"
    pid, _ = json.loads(host_of(detector.home.context.layout, 1).handle or "")
    command = [sys.executable, "-m", "rcl_cli", "detect", "p/v", str(many), "-o", str(out), "--threads", "4"]
    with subprocess.Popen(command, env=detector.home.environment(), stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: out.exists() and out.read_text().count("\n") > 20, 60)
        for child in psutil.Process(pid).children():
            child.kill()
        _, stderr = process.communicate(timeout=120)
    assert (process.returncode, complaints(stderr)) == (0, [])
    assert len(out.read_text().splitlines()) == 600


def test_names_and_lists_that_make_no_sense(detector: Trained, tmp_path: Path) -> None:
    refs = ["file:///tmp/%00x.jpg", "s3://[my]/x.jpg", "file://[x/y.jpg", "file:///dev/zero", "nonsense"]
    listed = tmp_path / "odd.jsonl"
    listed.write_text("\ufeff" + "".join(json.dumps({"source-ref": ref}) + "\n" for ref in refs))
    done = detect(detector.home, str(listed))
    assert done.returncode == 255
    lines = lines_of(done.stdout)
    assert [line["source-ref"] for line in lines] == refs
    assert {line["Error"]["Code"] for line in lines} == {"InvalidS3ObjectException"}
    for data in (b'{"source-ref": "file:///\xff.jpg"}\n', b'{"source-ref": "\\ud800"}\n'):
        listed.write_bytes(data)
        done = detect(detector.home, str(listed))
        assert done.returncode == 252
        assert "Traceback" not in done.stderr
    assert detect(detector.home, "x" * 300).returncode == 252


def test_a_bucket_that_leads_into_itself(detector: Trained) -> None:
    folder = detector.home.buckets / "round" / "sub"
    folder.mkdir(parents=True)
    shutil.copyfile(detector.home.buckets / "data" / "box-1.jpg", folder / "a.jpg")
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "up").symlink_to(folder.parent, target_is_directory=True)
    # Two that lead to each other.
    (folder.parent / "other").mkdir()
    (folder.parent / "other" / "there").symlink_to(folder, target_is_directory=True)
    (folder / "there").symlink_to(folder.parent / "other", target_is_directory=True)
    done = detect(detector.home, "s3://round/")
    assert (done.returncode, complaints(done.stderr)) == (0, [])
    shutil.rmtree(folder.parent)
    assert [line["source-ref"] for line in lines_of(done.stdout)] == ["s3://round/sub/a.jpg"]


def test_files_that_are_not_its_own_stay_as_they_are(detector: Trained, folder: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("dear diary\n")
    done = detect(detector.home, str(folder), "-o", str(notes), "--resume")
    assert done.returncode == 252
    assert "no answer of rcl detect" in done.stderr
    assert notes.read_text() == "dear diary\n"
    assert detect(detector.home, str(folder), "-o", "/dev/null", "--resume").returncode == 252
    target, link = tmp_path / "target.jsonl", tmp_path / "link.jsonl"
    target.touch(0o600)
    link.symlink_to(target)
    assert detect(detector.home, str(folder), "-o", str(link), "--resume").returncode == 0
    assert link.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o600
    assert len(target.read_text().splitlines()) == 3


def test_two_runs_do_not_share_a_file(detector: Trained, many: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.jsonl"
    command = [sys.executable, "-m", "rcl_cli", "detect", "p/v", str(many), "-o", str(out), "--threads", "1"]
    with subprocess.Popen(command, env=detector.home.environment()) as process:
        wait_until(lambda: out.exists() and out.read_text().count("\n") > 5, 60)
        done = detect(detector.home, str(many), "-o", str(out), "--resume")
        assert process.wait(120) == 0
    assert done.returncode == 252
    assert "another run" in done.stderr
    assert len(out.read_text().splitlines()) == 600


@pytest.mark.parametrize("name", ["source-ref", "cl-metadata", "errors", ""])
def test_attributes_that_mean_something_else(detector: Trained, folder: Path, name: str) -> None:
    done = detect(detector.home, str(folder), "--format", "manifest", "--attribute", name)
    assert done.returncode == 252
    assert "choose another name" in done.stderr


def test_a_reader_that_leaves_ends_it_quietly(detector: Trained, many: Path) -> None:
    command = f"{sys.executable} -m rcl_cli detect p/v '{many}' | head -n 1"
    done = subprocess.run(
        ["bash", "-c", command], env=detector.home.environment(), capture_output=True, text=True, timeout=120
    )
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("target", ["taken/inside", "taken/inside/one.png"])
def test_a_place_for_drawings_that_cannot_be_made_leaves_no_file(
    detector: Trained, folder: Path, tmp_path: Path, target: str
) -> None:
    (tmp_path / "taken").write_text("a file")
    out, source = tmp_path / "out.jsonl", str(folder / "a.jpg")
    done = detect(detector.home, source, "-o", str(out), "--draw", str(tmp_path / target))
    assert (done.returncode, "can't be made" in done.stderr, out.exists()) == (252, True, False)
    assert detect(detector.home, source, "-o", str(out), "--draw", str(tmp_path / "one.png")).returncode == 0


def test_a_model_that_cannot_be_loaded_here_is_one_line(own_detector: Trained, folder: Path) -> None:
    (own_detector.home.context.layout.model(1) / "model.onnx").write_bytes(b"no model")
    done = detect(own_detector.home, str(folder), "--once")
    assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (253, "", False)
    assert "can't be loaded" in done.stderr


def test_an_image_that_breaks_a_model_here_does_not_end_the_others(
    detector: Trained, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = OwnDetector(detector.home.context.layout.model(1))
    whole, calls = found._model.detect, iter([MemoryError(), RuntimeError("forward")])

    def breaking(*given: Any) -> Any:
        for error in calls:
            raise error
        return whole(*given)

    monkeypatch.setattr(found._model, "detect", breaking)
    refs = [path.as_uri() for path in sorted(folder.rglob("*.[jJp]*"))]
    answers = list(detect_all(detector.home.context, found, refs, None, None, 1))
    assert [type(one.error) for one in answers] == [InternalServerError, InternalServerError, type(None)]
