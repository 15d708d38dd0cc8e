"""The loop of film.py in a real browser, with a training that takes seconds."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser

from tests.conftest import Home
from tests.functional.browser import needs_browser
from tests.functional.film import boards, film
from tests.functional.pages import at_console

pytestmark = needs_browser
QUICK = {"RCL_TRAINING_EPOCHS": "1", "RCL_TRAINING_IMAGE_SIZE": "64", "RCL_TRAINING_WEIGHTS": "none"}


def test_from_pictures_to_a_model_and_to_a_second_one(browser: Browser, home: Home, tmp_path: Path) -> None:
    training, later = boards(tmp_path / "new", 0, 6), boards(tmp_path / "later", 20, 1)
    shots: list[str] = []
    with at_console(browser, home, **QUICK) as (page, _):
        film(page, training, later, shots.append)
    assert len(shots) == 12
    versions = home.call(
        "DescribeProjectVersions", ProjectArn=home.call("DescribeProjects")["ProjectDescriptions"][0]["ProjectArn"]
    )
    running = [one["ProjectVersionArn"] for one in versions["ProjectVersionDescriptions"] if one["Status"] == "RUNNING"]
    for arn in running:
        home.call("StopProjectVersion", ProjectVersionArn=arn)
    assert len(running) == 1
    datasets = home.call("DescribeProjects")["ProjectDescriptions"][0]["Datasets"]
    lines = {one["DatasetType"]: home.entries(one["DatasetArn"]) for one in datasets}
    names = [line["source-ref"].rpartition("/")[2] for line in (*lines["TRAIN"], *lines["TEST"])]
    assert sorted(names) == [board.path.name for board in (*training, *later)]
    drawn = {board.path.name: board.parts for board in (*training, *later)}
    for line in (*lines["TRAIN"], *lines["TEST"]):
        boxes = line["bounding-box"]["annotations"]
        assert len(boxes) == len(drawn[line["source-ref"].rpartition("/")[2]])
    fed = [line["rcl-feedback"]["verdict"] for line in lines["TRAIN"] if "rcl-feedback" in line]
    assert fed == ["CORRECTED"] * len(later)
