"""Threads of boto3 clients, for bench/soak.py: each in projects of its own, with a ledger of what it was told.

python -m soak_parts.clients TASK.json NUMBER THREADS
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from soak_parts.common import Tally, client, detect

# How unlike two answers for one image may be: threads add up in another order. What is hardly found may not be found.
_CONFIDENCE, _BOX, _SURE = 0.5, 0.01, 5.0


def alike(first: list[Any], second: list[Any]) -> bool:
    """Whether two answers say the same."""
    return all(
        one[1] < _SURE or any(_close(one, other) for other in there)
        for here, there in ((first, second), (second, first))
        for one in here
    )


def _close(one: list[Any], other: list[Any]) -> bool:
    return (
        one[0] == other[0]
        and abs(one[1] - other[1]) <= _CONFIDENCE
        and all(abs(a - b) <= _BOX for a, b in zip(one[2], other[2], strict=True))
    )


class Client:
    """One user of the API.

    Attributes:
        projects: what it was told of its projects: name → {arn, tags, dataset, entries}.
        unsure: names of projects of which a change was refused with an error of the server's: may have happened.
    """

    def __init__(self, task: dict[str, Any], name: str, tally: Tally) -> None:
        self.task, self.name, self.tally = task, name, tally
        self.boto = client(task["url"])
        self.random = random.Random(name)
        self.lines = [json.loads(line) for line in task["manifest"].splitlines()]
        self.projects: dict[str, dict[str, Any]] = {}
        self.unsure: set[str] = set()
        self.number = 0

    def live(self) -> None:
        ways: list[tuple[Callable[[], None], int]] = [
            (self.detects, 50), (self.creates, 4), (self.deletes, 3), (self.has_dataset, 6), (self.writes, 14),
            (self.reads, 10), (self.tags, 6), (self.describes, 7),
        ]  # fmt: skip
        while time.time() < self.task["until"]:
            (way,) = self.random.choices([w for w, _ in ways], [weight for _, weight in ways])
            self.once(way)
        # What is left must be what was told.
        for name in list(self.projects):
            self.patiently(lambda name=name: self.compare(name))
            self.patiently(lambda name=name: self.delete(name))

    def once(self, way: Callable[[], None]) -> bool:
        try:
            way()
        except ClientError as error:
            self.tally.error(way.__name__, error)
            return False
        except BotoCoreError as error:
            self.tally.fail(f"{way.__name__}: no answer", repr(error)[:300])
            return False
        self.tally.count(f"{way.__name__} ok")
        return True

    def patiently(self, way: Callable[[], None]) -> None:
        for _ in range(60):
            if self.once(way):
                return
            time.sleep(1)
        self.tally.fail("the end of a client", f"{self.name} could not settle")

    def some(self) -> str | None:
        known = sorted(set(self.projects) - self.unsure)
        return self.random.choice(known) if known else None

    def changing(self, name: str, change: Callable[[], Any]) -> Any:
        """A change: where it is refused by the server's fault, what holds is not known until it is read."""
        try:
            return change()
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
                self.unsure.add(name)
            raise
        except BotoCoreError:
            self.unsure.add(name)
            raise

    # --- ways ---

    def detects(self) -> None:
        known = self.random.choice(self.task["answers"])
        found = detect(self.boto, known["arn"], Path(known["path"]))
        if not alike(found, known["labels"]):
            self.tally.fail("a wrong detection", f"{known['path']}: {found} for {known['labels']}")

    def creates(self) -> None:
        if len(self.projects) >= 6:
            return
        self.number += 1
        name = f"{self.name}-{self.number}"
        tags = {"owner": self.name}
        made = self.changing(name, lambda: self.boto.create_project(ProjectName=name, Tags=tags))
        self.projects[name] = {"arn": made["ProjectArn"], "tags": tags, "dataset": None, "entries": {}}

    def deletes(self) -> None:
        name = self.some()
        if name and len(self.projects) >= 4:
            self.delete(name)

    def delete(self, name: str) -> None:
        known = self.projects[name]
        if known["dataset"]:
            self.changing(name, lambda: self.boto.delete_dataset(DatasetArn=known["dataset"]))
            known["dataset"] = None
        deadline = time.time() + 60
        while True:
            try:
                self.changing(name, lambda: self.boto.delete_project(ProjectArn=known["arn"]))
                break
            except ClientError as error:
                # Its dataset is still going.
                if error.response["Error"]["Code"] != "ResourceInUseException" or time.time() > deadline:
                    raise
                time.sleep(0.2)
        del self.projects[name]
        if any(p["ProjectArn"] == known["arn"] and p["Status"] != "DELETING" for p in self.list_of(name)):
            self.tally.fail("a deleted project is there", name)

    def has_dataset(self) -> None:
        name = self.some()
        if name and not self.projects[name]["dataset"]:
            arn = self.projects[name]["arn"]
            made = self.changing(name, lambda: self.boto.create_dataset(ProjectArn=arn, DatasetType="TRAIN"))
            self.projects[name]["dataset"] = made["DatasetArn"]

    def writes(self) -> None:
        name = self.some()
        if not name or not self.projects[name]["dataset"]:
            return
        known = self.projects[name]
        chosen = self.random.sample(self.lines, self.random.randrange(1, 8))
        lines = []
        for line in chosen:
            changed = dict(line)
            changed[f"note-{self.name}"] = self.random.randrange(10**6)
            lines.append(changed)
        text = "\n".join(json.dumps(line) for line in lines).encode()
        self.changing(
            name, lambda: self.boto.update_dataset_entries(DatasetArn=known["dataset"], Changes={"GroundTruth": text})
        )
        for line in lines:
            known["entries"][line["source-ref"]] = line[f"note-{self.name}"]

    def reads(self) -> None:
        name = self.some()
        if name:
            self.compare(name)

    def tags(self) -> None:
        name = self.some()
        if not name:
            return
        known = self.projects[name]
        if len(known["tags"]) > 3:
            key = self.random.choice(sorted(known["tags"]))
            self.changing(name, lambda: self.boto.untag_resource(ResourceArn=known["arn"], TagKeys=[key]))
            del known["tags"][key]
        else:
            more = {f"k{self.random.randrange(9)}": str(self.random.random())}
            self.changing(name, lambda: self.boto.tag_resource(ResourceArn=known["arn"], Tags=more))
            known["tags"].update(more)

    def describes(self) -> None:
        self.boto.describe_projects(MaxResults=10)
        for name in sorted(self.unsure):
            self.settle(name)

    # --- reading back ---

    def list_of(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.boto.describe_projects(ProjectNames=[name])["ProjectDescriptions"]
        return found

    def settle(self, name: str) -> None:
        """Take what holds now as known."""
        there = self.list_of(name)
        self.projects.pop(name, None)
        if there and there[0]["Status"] == "CREATED":
            arn = there[0]["ProjectArn"]
            datasets = there[0].get("Datasets", [])
            made: dict[str, Any] = {"arn": arn, "tags": self.tags_of(arn), "dataset": None, "entries": {}}
            if datasets:
                made["dataset"] = datasets[0]["DatasetArn"]
                made["entries"] = self.entries_of(made["dataset"])
            self.projects[name] = made
        self.unsure.discard(name)

    def tags_of(self, arn: str) -> dict[str, str]:
        found: dict[str, str] = self.boto.list_tags_for_resource(ResourceArn=arn)["Tags"]
        return found

    def entries_of(self, dataset: str) -> dict[str, int]:
        found: dict[str, int] = {}
        pages = self.boto.get_paginator("list_dataset_entries").paginate(
            DatasetArn=dataset, PaginationConfig={"PageSize": self.random.choice([3, 10, 100])}
        )
        for page in pages:
            for text in page["DatasetEntries"]:
                line = json.loads(text)
                if line["source-ref"] in found:
                    self.tally.fail("an entry twice", text)
                found[line["source-ref"]] = line[f"note-{self.name}"]
        return found

    def compare(self, name: str) -> None:
        if name in self.unsure:
            self.settle(name)
            return
        known = self.projects[name]
        there = self.list_of(name)
        if [one["ProjectArn"] for one in there] != [known["arn"]]:
            self.tally.fail("an acknowledged project is gone", name)
            return
        if self.tags_of(known["arn"]) != known["tags"]:
            self.tally.fail("acknowledged tags are not there", f"{name}: {known['tags']}")
        if known["dataset"] and self.entries_of(known["dataset"]) != known["entries"]:
            self.tally.fail("acknowledged entries are not there", f"{name}: {len(known['entries'])}")


def main() -> None:
    task, number, count = json.loads(Path(sys.argv[1]).read_text()), int(sys.argv[2]), int(sys.argv[3])
    tally = Tally()
    clients = [Client(task, f"c{number}-{index}", tally) for index in range(count)]
    threads = [threading.Thread(target=tally.guard(one.live)) for one in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"counts": dict(tally.counts), "failures": tally.failures}))


if __name__ == "__main__":
    main()
