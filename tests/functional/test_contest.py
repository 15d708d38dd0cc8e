"""Recipes that compete for real, in processes of their own."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from rcl_cli.backends import registry
from rcl_cli.compute.places import making_of
from rcl_cli.local.models.report import write_report
from rcl_cli.local.models.watching import log_of, named_version
from tests.conftest import Home, box_images, wait_until


@pytest.fixture
def project(home: Home) -> str:
    arn = home.project()
    training, testing = box_images(home)
    home.dataset(arn, "TRAIN", training)
    home.dataset(arn, "TEST", testing)
    return arn


TAGS = {"rcl:quality": "best", "rcl:epochs": "4", "rcl:candidates": "2"}


def card_of(home: Home) -> tuple[object, dict[str, object]]:
    (path,) = (home.path / "models").glob("*/model.json")
    return registry.read_card(path.parent)


def test_the_best_of_two_trains_to_the_end(home: Home, project: str, tmp_path: Path) -> None:
    version = home.train(project, "v", tags=TAGS)
    assert home.wait(project, "v") == ("TRAINING_COMPLETED", "The model is ready to run.")
    card, extra = card_of(home)
    rows = extra["contest"]
    assert len(rows) == 2
    assert [row["is_chosen"] for row in rows] == [True, False]
    assert card.model == rows[0]["model"]
    assert all(row["milliseconds"] > 0 and 0 <= row["accuracy"] <= 1 and row["epochs"] == 2 for row in rows)
    assert not list(home.path.rglob("round-1")), "what candidates left goes with the job"
    said = "".join(log_of(home.context, "p/v", host=False))
    assert "round-1: 2 of 2" in said
    page = tmp_path / "report.html"
    write_report(home.context, named_version(home.context, version), page)
    assert "Recipes that competed" in page.read_text("utf-8")


def test_a_contest_that_dies_goes_on_with_what_is_done(home: Home, project: str) -> None:
    arn = home.train(project, "v", tags=TAGS)
    folder = making_of(home.context.layout, named_version(home.context, arn).id)
    wait_until(lambda: (folder.path / "contest" / "round-1" / "as-planned" / "result.json").exists())
    pid, _ = json.loads(folder.handle or "")
    os.kill(pid, signal.SIGKILL)
    assert home.wait(project, "v")[0] == "TRAINING_COMPLETED"
    said = "".join(log_of(home.context, "p/v", host=False))
    _, again = said.split("start 2")
    assert "round-1: 2 of 2" in again
    assert "round-1: 1 of 2" not in again
