"""Models that are trained once a test run, and left running as they were found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.models import Trained, trained


def running(folder: Path, *, boxes: bool) -> Iterator[Trained]:
    """A trained model that is stopped at the end."""
    made = trained(folder, boxes=boxes)
    yield made
    made.home.call("StopProjectVersion", ProjectVersionArn=made.version)
    assert made.home.wait(made.project, "v", leaving="STOPPING")[0] == "STOPPED"
    made.home.context.database.close()


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    yield from running(tmp_path_factory.mktemp("classifier") / "home", boxes=False)


@pytest.fixture(scope="session")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    yield from running(tmp_path_factory.mktemp("detector") / "home", boxes=True)
