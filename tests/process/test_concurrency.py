"""32 threads of boto3 on one server and 8 rcl processes on its store, at once: nothing is lost, nothing locked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from tests.conftest import Home, image_line, in_threads
from tests.functional.serving import client, serving

THREADS, PROCESSES = 32, 8
ROUNDS = int(os.environ.get("RCL_CONCURRENCY_ROUNDS", "3"))
TAGGED = min(ROUNDS, 3)


def changes(*lines: dict[str, Any]) -> dict[str, bytes]:
    return {"GroundTruth": "\n".join(json.dumps(line) for line in lines).encode()}


def busy_client(url: str, dataset: str, shared: str, number: int) -> None:
    """Creates, updates, lists and tags: things of its own, and things that all others change too."""
    boto = client(url)
    for turn in range(ROUNDS):
        own = boto.create_project(ProjectName=f"thread-{number}-{turn}")["ProjectArn"]
        boto.create_dataset(ProjectArn=own, DatasetType="TRAIN")
        line = image_line("data", f"thread-{number}-{turn}.jpg", f"label-{number}")
        boto.update_dataset_entries(DatasetArn=dataset, Changes=changes(line))
        boto.tag_resource(
            ResourceArn=shared, Tags={f"thread-{number}-{turn}": "x"} if turn < TAGGED else {"counter": "y"}
        )
        found = boto.list_dataset_entries(DatasetArn=dataset, SourceRefContains=f"thread-{number}-")["DatasetEntries"]
        assert len(found) == turn + 1
        names = [f"thread-{number}-{turn}"]
        assert len(boto.describe_projects(ProjectNames=names)["ProjectDescriptions"]) == 1


def busy_process(home: Home, dataset: str, shared: str, number: int) -> None:
    """The same by the command, a process each time."""
    for turn in range(ROUNDS):
        name = f"process-{number}-{turn}"
        line = json.dumps(image_line("data", f"{name}.jpg", "cat"))
        raw = ("--cli-binary-format", "raw-in-base64-out")
        for words in (
            ("create-project", "--project-name", name),
            ("update-dataset-entries", "--dataset-arn", dataset, *raw, "--changes", json.dumps({"GroundTruth": line})),
            ("tag-resource", "--resource-arn", shared, "--tags", f"{name}=x"),
            ("list-dataset-labels", "--dataset-arn", dataset),
        ):
            command = [sys.executable, "-m", "rcl_cli", *words]
            done = subprocess.run(command, env=home.environment(), capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, done.stderr


def test_everybody_at_once(home: Home) -> None:
    shared = home.project("shared")
    dataset = home.call("CreateDataset", ProjectArn=shared, DatasetType="TRAIN")["DatasetArn"]
    with serving(home) as (url, _):
        with (
            in_threads(THREADS, lambda number: busy_client(url, dataset, shared, number)) as in_clients,
            in_threads(PROCESSES, lambda number: busy_process(home, dataset, shared, number)) as in_processes,
        ):
            pass
        assert in_clients + in_processes == []
        boto = client(url)
        pages = boto.get_paginator("list_dataset_entries").paginate(DatasetArn=dataset)
        entries = [json.loads(line)["source-ref"] for page in pages for line in page["DatasetEntries"]]
        assert len(set(entries)) == len(entries) == (THREADS + PROCESSES) * ROUNDS
        pages = boto.get_paginator("describe_projects").paginate()
        arns = [project["ProjectArn"] for page in pages for project in page["ProjectDescriptions"]]
        assert len(set(arns)) == len(arns) == (THREADS + PROCESSES) * ROUNDS + 1
        # What ARNs end in tells them apart as well.
        assert len({arn.rpartition("/")[2] for arn in arns}) == len(arns)
        tags = boto.list_tags_for_resource(ResourceArn=shared)["Tags"]
        assert len(tags) == THREADS * TAGGED + (ROUNDS > TAGGED) + PROCESSES * ROUNDS
        stats = boto.describe_dataset(DatasetArn=dataset)["DatasetDescription"]["DatasetStats"]
        assert (stats["TotalEntries"], stats["TotalLabels"]) == (len(entries), THREADS + 1)
    assert home.context.database.connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
