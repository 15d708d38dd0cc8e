"""Models that are trained once a test run, and that every test finds as they were."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.conftest import Home
from tests.functional.browser import BROWSER
from tests.functional.models import Trained, copied
from tests.functional.pages import FLAGS
from tools.npm import NoPackagesError, node_with_packages


@pytest.fixture(scope="session")
def installed() -> str:
    """The path of a node that has the packages of tests/javascript."""
    try:
        return node_with_packages()
    except NoPackagesError as error:
        pytest.skip(str(error))


def running(factory: pytest.TempPathFactory, name: str, *, boxes: bool) -> Iterator[Trained]:
    """A trained model that runs, and is stopped at the end.

    Args:
        name: of the folder of its home.
    """
    made = copied(place_of(factory), factory.mktemp(name) / "home", boxes=boxes)
    made.home.call("StartProjectVersion", ProjectVersionArn=made.version, MinInferenceUnits=1)
    assert made.home.wait(made.project, "v", leaving="STARTING")[0] == "RUNNING"
    yield made
    made.home.call("StopProjectVersion", ProjectVersionArn=made.version)
    assert made.home.wait(made.project, "v", leaving="STOPPING")[0] == "STOPPED"
    made.home.context.database.close()


def place_of(factory: pytest.TempPathFactory) -> Path:
    """Where models are kept that all of a test run copy."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def everything(home: Home) -> Any:
    """What a home has, as the API tells it, and what models are made of."""
    found = {}
    for project in home.call("DescribeProjects")["ProjectDescriptions"]:
        arn = project["ProjectArn"]
        versions = home.call("DescribeProjectVersions", ProjectArn=arn)["ProjectVersionDescriptions"]
        arns = [arn, *(one["ProjectVersionArn"] for one in versions)]
        tags = [home.call("ListTagsForResource", ResourceArn=one)["Tags"] for one in arns]
        found[arn] = (project, versions, tags, home.call("ListProjectPolicies", ProjectArn=arn)["ProjectPolicies"])
    files = {
        str(path.relative_to(home.path)): path.read_bytes() if path.suffix == ".json" else path.stat().st_size
        for path in sorted((home.path / "models").rglob("*"))
        if path.is_file()
    }
    buckets = sorted(str(path.relative_to(home.buckets)) for path in home.buckets.rglob("*") if path.is_file())
    return found, files, buckets, (home.path / "config.yaml").exists()


def unchanged(made: Trained) -> Iterator[Trained]:
    """A model that tests share: one that changes it and does not change it back spoils what others find."""
    before = everything(made.home)
    yield made
    assert everything(made.home) == before, "the test left a shared model other than it found it"


@pytest.fixture(scope="session")
def shared_classifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    yield from running(tmp_path_factory, "classifier", boxes=False)


@pytest.fixture(scope="session")
def shared_detector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    yield from running(tmp_path_factory, "detector", boxes=True)


@pytest.fixture
def classifier(shared_classifier: Trained) -> Iterator[Trained]:
    yield from unchanged(shared_classifier)


@pytest.fixture
def detector(shared_detector: Trained) -> Iterator[Trained]:
    yield from unchanged(shared_detector)


@pytest.fixture
def own_detector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    """A detector that a test may do with what it likes; it does not run."""
    made = copied(place_of(tmp_path_factory), tmp_path_factory.mktemp("own") / "home", boxes=True)
    yield made
    for project in made.home.call("DescribeProjects")["ProjectDescriptions"]:
        found = made.home.call("DescribeProjectVersions", ProjectArn=project["ProjectArn"])
        for version in found["ProjectVersionDescriptions"]:
            if version["Status"] == "RUNNING":
                made.home.call("StopProjectVersion", ProjectVersionArn=version["ProjectVersionArn"])
    made.home.context.database.close()


@pytest.fixture(scope="module", params=["classifier", "detector"])
def two(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    """A project with the versions v and w."""
    for found in running(tmp_path_factory, "two", boxes=request.param == "detector"):
        found.home.train(found.project, "w", tags={"rcl:epochs": "3"})
        assert found.home.wait(found.project, "w")[0] == "TRAINING_COMPLETED"
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield opened
        opened.close()
