"""A detector that looks at images tile by tile, from training to what an export says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rcl_cli.backends import registry
from tests.conftest import noisy
from tests.functional.models import Trained

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def tiled(own_detector: Trained) -> Trained:
    """The version t of p: of images of 128 by 96 pixels, in tiles of 96."""
    home = own_detector.home
    version = home.train(
        own_detector.project, "t", tags={"rcl:tiling": "96", "rcl:epochs": "20", "rcl:image_size": "96"}
    )
    assert home.wait(own_detector.project, "t")[0] == "TRAINING_COMPLETED"
    return Trained(home, own_detector.project, version)


def folder_of(made: Trained) -> Path:
    (found,) = [path for path in (made.home.path / "models").rglob("model.json") if '"tiling"' in path.read_text()]
    return found.parent


def test_a_model_of_tiles_is_trained_served_and_exported(tiled: Trained, rcl: Run, tmp_path: Path) -> None:
    card, extra = registry.read_card(folder_of(tiled))
    assert card.preprocessing["tiling"]["tile_px"] == 96
    assert extra["data"]["training_images"] < 100, "images, not tiles"
    assert not list(tiled.home.path.rglob("tiles/*.jpg")), "they go with the job"
    tiled.home.call("StartProjectVersion", ProjectVersionArn=tiled.version, MinInferenceUnits=1)
    assert tiled.home.wait(tiled.project, "t", leaving="STARTING")[0] == "RUNNING"
    paths = [next((tiled.home.buckets / "data").glob("*3.jpg")), tmp_path / "large.png"]
    noisy((200, 40, 40), (500, 300), 5).save(paths[1])
    out = tmp_path / "out"
    done = rcl("export", "p/t", "--format", "onnx", "-o", str(out), RCL_HOME=str(tiled.home.path))
    assert done.returncode == 0, done.stderr
    asked = [sys.executable, "-I", out / "run.py", "--min-confidence", "0.02", *map(str, paths)]
    told = subprocess.run(asked, capture_output=True, text=True, cwd="/", check=True).stdout
    for path, line in zip(paths, told.splitlines(), strict=True):
        ours = tiled.detect(path.read_bytes(), MinConfidence=2.0)
        theirs = json.loads(line)["found"]
        assert len(ours) == len(theirs)
        for label, other in zip(ours, theirs, strict=True):
            assert other["label"] == label["Name"]
            assert other["confidence"] * 100 == pytest.approx(label["Confidence"], abs=0.1)
            box = label["Geometry"]["BoundingBox"]
            corners = [box["Left"], box["Top"], box["Left"] + box["Width"], box["Top"] + box["Height"]]
            assert other["box"] == pytest.approx(corners, abs=0.005)
    assert tiled.detect(paths[0].read_bytes(), MinConfidence=2.0), "it learned something"
    tiled.home.call("StopProjectVersion", ProjectVersionArn=tiled.version)


def test_a_tile_size_that_cannot_be_is_refused(rcl: Run, tmp_path: Path) -> None:
    done = rcl("train", "p", "--set", "tiling=10", RCL_HOME=str(tmp_path))
    assert done.returncode != 0
    assert "The training option tiling can't be '10': it is Auto, none or a whole number of pixels" in done.stderr
