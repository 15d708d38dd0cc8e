"""What everybody in the hour of load shares: counting answers, a client, and what the models must answer."""

from __future__ import annotations

import re
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import Home
from tests.functional.serving import client as client

# What may be answered with a status of 500 and more: it says what stands in the way, and goes by itself.
DELIBERATE = re.compile(r"the disk of .* is full", re.IGNORECASE)
IMAGES = 6


class Tally:
    """What was answered, how often, and what was wrong."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []
        self._lock = threading.Lock()

    def count(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1

    def fail(self, what: str, detail: str) -> None:
        with self._lock:
            if len(self.failures) < 200:
                self.failures.append(f"{what}: {detail}")
            self.counts[f"FAILED {what}"] += 1

    def error(self, operation: str, error: Any) -> None:
        """An answer that is no success: of 500 and more it must be one of those that are meant."""
        said = error.response["Error"]
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        short = re.sub(r"[\d/]\S*", "#", said["Message"])[:90]
        self.count(f"{operation} {status} {said['Code']}: {short}")
        if status >= 500 and not DELIBERATE.search(said["Message"]):
            self.fail(f"{operation} {status}", said["Message"])

    def guard(self, work: Callable[[], None]) -> Callable[[], None]:
        """Work whose unexpected end is a failure."""

        def guarded() -> None:
            try:
                work()
            except Exception:  # noqa: BLE001 - that is what is looked for
                self.fail("a worker of the load ended", traceback.format_exc()[-1500:])

        return guarded

    def add(self, other: dict[str, Any]) -> None:
        self.counts.update(other["counts"])
        self.failures += other["failures"]


def model_answers(boto: Any, home: Home, arns: dict[str, str]) -> list[dict[str, Any]]:
    """For each model and image: {arn, path, labels}."""
    found = []
    for name, arn in arns.items():
        pattern = "box-*.jpg" if name == "detector" else "[0-9]*.jpg"
        for path in sorted((home.buckets / "data").glob(pattern))[:IMAGES]:
            found.append({"arn": arn, "path": str(path), "labels": detect(boto, arn, path)})
    return found


def detect(boto: Any, arn: str, path: Path) -> list[Any]:
    """Labels with confidences and boxes, rounded to what no order of additions changes."""
    answer = boto.detect_custom_labels(ProjectVersionArn=arn, Image={"Bytes": path.read_bytes()}, MinConfidence=1)
    return [
        [
            one["Name"],
            round(one["Confidence"], 1),
            [round(value, 3) for value in one.get("Geometry", {}).get("BoundingBox", {}).values()],
        ]
        for one in answer["CustomLabels"]
    ]
