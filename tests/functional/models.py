"""Small models, really trained, that several tests share."""

from __future__ import annotations

import fcntl
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Home, box_images, box_line, colour_images, image_line, make_home


@dataclass
class Trained:
    home: Home
    project: str
    version: str

    def describe(self) -> dict[str, Any]:
        found = self.home.call("DescribeProjectVersions", ProjectArn=self.project)["ProjectVersionDescriptions"]
        described: dict[str, Any] = found[0]
        return described

    def text(self, name: str) -> str:
        return (self.home.buckets / "out" / "models" / "a" / f"{name}-p-v.json").read_text("utf-8")

    def lines(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text(name).splitlines()]

    def detect(self, data: bytes, **more: Any) -> list[dict[str, Any]]:
        found = self.home.call("DetectCustomLabels", ProjectVersionArn=self.version, Image={"Bytes": data}, **more)
        labels: list[dict[str, Any]] = found["CustomLabels"]
        return labels


def trained(folder: Path, *, boxes: bool) -> Trained:
    """A model that was trained, on all cores, and does not run."""
    home = make_home(folder)
    project = home.project()
    training, testing = box_images(home) if boxes else colour_images(home)
    (home.buckets / "data" / "text.jpg").write_text("I am no picture")
    bad = [
        box_line("data", "text.jpg", (99, 99), ("red", 1, 1, 9, 9)) if boxes else image_line("data", "text.jpg", "red")
    ]
    bare = [{"source-ref": "s3://data/0.jpg" if boxes else "s3://data/bare.jpg"}]
    home.dataset(project, "TRAIN", [*training, *bad, *bare])
    home.dataset(project, "TEST", testing)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OMP_NUM_THREADS", raising=False)
        version = home.train(project, "v")
    status, message = home.wait(project, "v")
    log = home.context.layout.training_log(1).read_text()
    assert (status, message) == ("TRAINING_COMPLETED", "The model is ready to run."), log
    return Trained(home, project, version)


def copied(place: Path, folder: Path, *, boxes: bool) -> Trained:
    """Such a model in a home of one's own; whoever needs one first trains it for all.

    Args:
        place: where those that are copied are kept.
    """
    source = place / ("detector" if boxes else "classifier")
    with (place / f"{source.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not source.exists():
            made = trained(place / f"{source.name}.new", boxes=boxes)
            made.home.context.database.close()
            made.home.path.rename(source)
    shutil.copytree(source, folder)
    home = make_home(folder)
    project = home.call("DescribeProjects")["ProjectDescriptions"][0]["ProjectArn"]
    version = home.call("DescribeProjectVersions", ProjectArn=project)["ProjectVersionDescriptions"][0]
    return Trained(home, project, version["ProjectVersionArn"])
