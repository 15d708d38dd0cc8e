"""Writes rcl_cli/api/model.json: botocore's Rekognition model cut down to the Custom Labels operations.

Keeps facts (shapes, constraints, paginators, waiters) and drops every sentence of documentation.
`--check` changes nothing and exits 1 when the file is not what botocore's current model gives.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from botocore.loaders import Loader

TARGET = Path(__file__).resolve().parent.parent / "rcl_cli" / "api" / "model.json"
OPERATIONS = (
    "CopyProjectVersion", "CreateDataset", "CreateProject", "CreateProjectVersion", "DeleteDataset", "DeleteProject",
    "DeleteProjectPolicy", "DeleteProjectVersion", "DescribeDataset", "DescribeProjectVersions", "DescribeProjects",
    "DetectCustomLabels", "DistributeDatasetEntries", "ListDatasetEntries", "ListDatasetLabels", "ListProjectPolicies",
    "ListTagsForResource", "PutProjectPolicy", "StartProjectVersion", "StopProjectVersion", "TagResource",
    "UntagResource", "UpdateDatasetEntries",
)  # fmt: skip
WAITERS = ("ProjectVersionTrainingCompleted", "ProjectVersionRunning")
_PROSE = frozenset({"documentation", "documentationUrl", "deprecatedMessage", "description"})


def _without_prose(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_prose(value) for key, value in node.items() if key not in _PROSE}
    if isinstance(node, list):
        return [_without_prose(item) for item in node]
    return node


def _reach(name: str, shapes: dict[str, Any], seen: set[str]) -> None:
    if name in seen:
        return
    seen.add(name)
    shape = shapes[name]
    members = [m["shape"] for m in shape.get("members", {}).values()]
    members += [shape[part]["shape"] for part in ("member", "key", "value") if part in shape]
    for member in members:
        _reach(member, shapes, seen)


def trimmed() -> dict[str, Any]:
    """The model as rcl ships it."""
    loader = Loader()
    service = loader.load_service_model("rekognition", "service-2")
    operations = {name: _without_prose(service["operations"][name]) for name in OPERATIONS}
    seen: set[str] = set()
    for operation in operations.values():
        roots = [operation["input"]["shape"], operation["output"]["shape"]]
        for root in roots + [error["shape"] for error in operation["errors"]]:
            _reach(root, service["shapes"], seen)
    pagination = loader.load_service_model("rekognition", "paginators-1")["pagination"]
    waiters = loader.load_service_model("rekognition", "waiters-2")["waiters"]
    return {
        "metadata": {key: service["metadata"][key] for key in ("apiVersion", "targetPrefix", "jsonVersion")},
        "operations": operations,
        "shapes": {name: _without_prose(service["shapes"][name]) for name in sorted(seen)},
        "pagination": {name: pagination[name] for name in OPERATIONS if name in pagination},
        "waiters": {name: _without_prose(waiters[name]) for name in WAITERS},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only")
    text = json.dumps(trimmed(), indent=1) + "\n"
    if parser.parse_args().check:
        current = TARGET.read_text() if TARGET.exists() else ""
        if current != text:
            print("rcl_cli/api/model.json is not botocore's current model: run `make gen`.", file=sys.stderr)
            return 1
        return 0
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
