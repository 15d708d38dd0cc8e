"""What goes wrong in the hour of load: killed and frozen processes, and a disk that fills."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from pathlib import Path
from typing import Any

import psutil
from botocore.exceptions import BotoCoreError, ClientError

from rcl_cli.compute.folder import WorkFolder
from rcl_cli.compute.launcher import launcher
from rcl_cli.compute.places import host_of
from soak_parts.common import Tally, client
from tests.conftest import Home
from tests.process.full_disk import empty, fill

# Seconds between two kills, and that the disk stays full.
_EVERY_S, _FULL_S = 30.0, 60.0


class Disk:
    """The disk that everything is on."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.is_full = False

    def fill_twice(self, until: float, tally: Tally) -> None:
        """After a third and two thirds of the time: what others delete meanwhile is filled again."""
        began = time.time()
        for part in (1 / 3, 2 / 3):
            time.sleep(max(0.0, began + part * (until - began) - time.time()))
            self.is_full = True
            full_until = time.time() + min(_FULL_S, (until - began) / 10)
            while time.time() < full_until:
                fill(self.place)
                time.sleep(0.2)
            empty(self.place)
            tally.count("the disk was full, and emptied again")
            # Whoever was refused may still be saying so.
            time.sleep(5)
            self.is_full = False


def status_of(boto: Any, arn: str) -> str:
    """Of a version."""
    # `project/NAME/version/VERSION/TIME`, and others' projects are on many pages.
    name, version = arn.split("/")[1], arn.split("/")[3]
    for project in boto.describe_projects(ProjectNames=[name])["ProjectDescriptions"]:
        found = boto.describe_project_versions(ProjectArn=project["ProjectArn"], VersionNames=[version])
        for one in found["ProjectVersionDescriptions"]:
            return str(one["Status"])
    return "GONE"


def process_of(folder: WorkFolder) -> psutil.Process | None:
    """What works in a folder."""
    usage = launcher().usage(folder)
    with contextlib.suppress(psutil.Error):
        return psutil.Process(int(usage.where.split()[-1])) if usage else None
    return None


def kill_hosts(url: str, home: Home, arns: dict[str, str], until: float, tally: Tally) -> None:
    """Now and then end a host or a worker of one, or freeze a worker, and see to it that the model runs again."""
    chance, boto = random.Random(1), client(url)
    while time.time() < until - 20:
        time.sleep(_EVERY_S * chance.uniform(0.5, 1.5))
        number, arn = chance.choice([(1, arns["detector"]), (2, arns["classifier"])])
        host = process_of(host_of(home.context.layout, number))
        if host is not None:
            what = chance.choice(["host", "worker", "frozen worker"])
            victims = [host] if what == "host" else host.children()
            with contextlib.suppress(psutil.Error, IndexError):
                chance.choice(victims).send_signal(signal.SIGSTOP if what == "frozen worker" else signal.SIGKILL)
                tally.count(f"killed: {what}")
        time.sleep(2)
        revive(boto, arn)


def revive(boto: Any, arn: str, seconds: float = 240) -> None:
    """Start a version until it runs; the disk may be full for a while.

    Raises:
        TimeoutError: it does not run.
    """
    deadline = time.time() + seconds
    while time.time() < deadline:
        with contextlib.suppress(ClientError, BotoCoreError):
            status = status_of(boto, arn)
            if status == "RUNNING":
                return
            if status != "STARTING":
                boto.start_project_version(ProjectVersionArn=arn, MinInferenceUnits=1)
        time.sleep(1)
    raise TimeoutError(f"{arn} does not run again")
