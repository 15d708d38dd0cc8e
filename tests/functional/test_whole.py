"""A model whose files are not what training wrote is called damaged: by doctor, by a copy, by a host."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rcl_cli.backends.registry import read_card
from rcl_cli.backends.whole import faults
from tests.conftest import wait_until
from tests.functional.models import Trained

Run = Callable[..., subprocess.CompletedProcess[str]]


def _missing(path: Path) -> None:
    path.unlink()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


SPOILERS = (_missing, _empty, _cut, _flipped)


def folder_of(model: Trained) -> Path:
    return model.home.context.layout.model(1)


def test_every_file_of_a_model_is_known(classifier: Trained, tmp_path: Path) -> None:
    folder = folder_of(classifier)
    files = read_card(folder)[1]["files"]
    assert set(files) == {path.name for path in folder.iterdir()} - {"model.json", "thresholds.json"}
    assert faults(folder, hashed=True) == []
    for name in files:
        for spoil in SPOILERS:
            copy = tmp_path / f"{name}{spoil.__name__}"
            shutil.copytree(folder, copy)
            spoil(copy / name)
            assert [str(copy / name) in said for said in faults(copy, hashed=True)] == [True], spoil.__name__
            # What is of the right size is seen by reading only.
            assert len(faults(copy, hashed=False)) == (spoil is not _flipped)


def test_what_owners_set_is_no_damage(classifier: Trained, tmp_path: Path) -> None:
    shutil.copytree(folder_of(classifier), tmp_path / "model")
    (tmp_path / "model" / "thresholds.json").write_text('{"red": 0.25}')
    assert faults(tmp_path / "model", hashed=True) == []


def test_of_a_model_of_an_older_rcl_the_weights_are_looked_for(classifier: Trained, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(folder_of(classifier), copy)
    document = json.loads((copy / "model.json").read_text())
    del document["files"]
    (copy / "model.json").write_text(json.dumps(document))
    assert faults(copy, hashed=True) == []
    (copy / "weights.safetensors").write_bytes(b"")
    assert len(faults(copy, hashed=False)) == 1


@pytest.mark.parametrize("spoil", [_empty, _flipped])
def test_a_damaged_model_is_neither_copied_nor_started_and_doctor_names_it(
    own_detector: Trained, rcl: Run, spoil: Callable[[Path], None]
) -> None:
    home = own_detector.home
    spoil(folder_of(own_detector) / "model.onnx")
    said = rcl("doctor", "--quick" if spoil is _empty else "--json", RCL_HOME=str(home.path))
    assert said.returncode == 1
    assert "model.onnx" in said.stdout
    target = home.project("copies")
    home.call(
        "CopyProjectVersion", SourceProjectArn=own_detector.project, SourceProjectVersionArn=own_detector.version,
        DestinationProjectArn=target, VersionName="c", OutputConfig={"S3Bucket": "out", "S3KeyPrefix": "c"},
    )  # fmt: skip
    status, message = home.wait(target, "c", leaving="COPYING_IN_PROGRESS")
    assert (status, "The source is damaged" in message, "model.onnx" in message) == ("COPYING_FAILED", True, True)
    home.call("StartProjectVersion", ProjectVersionArn=own_detector.version, MinInferenceUnits=1)
    wait_until(lambda: own_detector.describe()["Status"] != "STARTING")
    described = own_detector.describe()
    assert (described["Status"], "model.onnx" in described["StatusMessage"]) == ("FAILED", True)
