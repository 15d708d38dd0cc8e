"""Trainings that start and end: some are killed and go on, some are stopped, one is started and asked."""

from __future__ import annotations

import contextlib
import random
import time
from typing import Any

import psutil
from botocore.exceptions import BotoCoreError, ClientError

from rcl_cli.compute.places import making_of
from soak_parts.common import Tally, client
from soak_parts.faults import Disk, process_of
from tests.conftest import Home

_LONGEST_S = 600.0
_TAGS = {"rcl:epochs": "2", "rcl:image_size": "64", "rcl:weights": "none"}


def go(url: str, home: Home, until: float, tally: Tally, disk: Disk) -> None:
    """One after the other, of the detector's images and of the classifier's."""
    boto, chance, number = client(url), random.Random(3), 0
    found = boto.describe_projects(ProjectNames=["p", "classifier"])["ProjectDescriptions"]
    projects = [one["ProjectArn"] for one in found]
    while time.time() < until - 60:
        number += 1
        name, project = f"load{number}", chance.choice(projects)
        was_full = disk.is_full
        try:
            status = one(boto, home, project, name, chance, tally)
        except ClientError as error:
            tally.error("trains", error)
            time.sleep(2)
            continue
        except BotoCoreError as error:
            tally.fail("trains: no answer", repr(error)[:300])
            continue
        tally.count(f"training: {status}")
        if not status.startswith("TRAINING_COMPLETED") and not (was_full or disk.is_full):
            tally.fail("a training", status)


def one(boto: Any, home: Home, project: str, name: str, chance: random.Random, tally: Tally) -> str:
    """Train, perhaps kill the trainer, and use and delete what was made; returns how it ended."""
    output = {"S3Bucket": "out", "S3KeyPrefix": "load"}
    arn = boto.create_project_version(ProjectArn=project, VersionName=name, OutputConfig=output, Tags=_TAGS)[
        "ProjectVersionArn"
    ]
    deadline, kill_at = time.time() + _LONGEST_S, time.time() + chance.uniform(1, 40)
    kills = chance.random() < 0.4
    while (found := described(boto, project, name))["Status"] == "TRAINING_IN_PROGRESS" and time.time() < deadline:
        if kills and time.time() > kill_at:
            kills = False
            folders = sorted((home.path / "jobs").glob("[0-9]*"))
            running = [process_of(making_of(home.context.layout, int(f.name))) for f in folders if f.name.isdigit()]
            for process in filter(None, running):
                with contextlib.suppress(psutil.Error):
                    process.kill()
                    tally.count("killed: trainer")
        time.sleep(0.5)
    status = f"{found['Status']} {found['StatusMessage']}"
    if found["Status"] == "TRAINING_COMPLETED":
        boto.start_project_version(ProjectVersionArn=arn, MinInferenceUnits=1)
        while described(boto, project, name)["Status"] == "STARTING" and time.time() < deadline:
            time.sleep(0.5)
        if described(boto, project, name)["Status"] == "RUNNING":
            image = next((home.buckets / "data").glob("*.jpg")).read_bytes()
            boto.detect_custom_labels(ProjectVersionArn=arn, Image={"Bytes": image})
            tally.count("a new model answered")
            boto.stop_project_version(ProjectVersionArn=arn)
            while described(boto, project, name)["Status"] == "STOPPING" and time.time() < deadline:
                time.sleep(0.5)
    boto.delete_project_version(ProjectVersionArn=arn)
    return status


def described(boto: Any, project: str, name: str) -> dict[str, Any]:
    found = boto.describe_project_versions(ProjectArn=project, VersionNames=[name])["ProjectVersionDescriptions"]
    one: dict[str, Any] = found[0]
    return one
