"""What a trainer or copier is asked to do, as its job folder has it: all that it needs, so that it needs no store."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rcl_cli.buckets.resolve import Buckets
from rcl_cli.limits import Kept
from rcl_cli.training.options import TrainingOptions

TRAINING_MANIFEST = "training.manifest"
TESTING_MANIFEST = "testing.manifest"
# Holds the message of a training that is over before it begins.
TERMINAL = "terminal"
# In the job folder: what will be the version's model.
MODEL = "model"


@dataclass(frozen=True, slots=True)
class Making:
    """What every making of a model needs to know.

    Args:
        arn, project, version: the version's ARN, and both names.
        output: OutputConfig of the request.
        work_dir: for what libraries keep.
    """

    arn: str
    project: str
    version: str
    output: Mapping[str, str]
    buckets: Buckets
    work_dir: Path


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """A training.

    Args:
        request: the input of CreateProjectVersion.
        weights_cache: pretrained weights that were fetched before.
        offline: never open a network connection for weights.
        slots: folder in which trainings that share a device wait for each other.
        takes_files: images may be files, and not only objects in buckets.
        limits: which ones hold, whoever starts it again.
    """

    making: Making
    request: Mapping[str, Any]
    options: TrainingOptions
    weights_cache: Path
    offline: bool
    slots: Path
    takes_files: bool = True
    limits: Kept = "service"

    def as_json(self) -> dict[str, Any]:
        return {
            "making": _making_as_json(self.making), "request": dict(self.request), "options": asdict(self.options),
            "weights_cache": str(self.weights_cache), "offline": self.offline, "slots": str(self.slots),
            "takes_files": self.takes_files, "limits": self.limits,
        }  # fmt: skip

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> TrainingJob:
        return cls(
            _making(document["making"]), document["request"], TrainingOptions(**document["options"]),
            Path(document["weights_cache"]), document["offline"], Path(document["slots"]),
            document.get("takes_files", True), document.get("limits", "service"),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class CopyJob:
    """A copy of a trained version.

    Args:
        model: the source's folder.
        result: what the source's training found, as its description has it.
        ended_ms: when that training ended.
    """

    making: Making
    model: Path
    result: Mapping[str, Any]
    ended_ms: int | None

    def as_json(self) -> dict[str, Any]:
        return {
            "making": _making_as_json(self.making), "model": str(self.model), "result": dict(self.result),
            "ended_ms": self.ended_ms,
        }  # fmt: skip

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> CopyJob:
        return cls(_making(document["making"]), Path(document["model"]), document["result"], document["ended_ms"])


def _making_as_json(making: Making) -> dict[str, Any]:
    buckets = making.buckets
    return {
        "arn": making.arn, "project": making.project, "version": making.version, "output": dict(making.output),
        "work_dir": str(making.work_dir),
        "buckets": {
            "home": str(buckets.home), "folders": [str(folder) for folder in buckets.folders],
            "region": buckets.region, "mapped": dict(buckets.mapped), "s3_fallback": buckets.s3_fallback,
            "s3_endpoint_url": buckets.s3_endpoint_url,
        },
    }  # fmt: skip


def _making(document: Mapping[str, Any]) -> Making:
    raw = dict(document["buckets"])
    raw |= {"home": Path(raw["home"]), "folders": tuple(Path(folder) for folder in raw["folders"])}
    return Making(**{**document, "buckets": Buckets(**raw), "work_dir": Path(document["work_dir"])})


def write_snapshot(path: Path, lines: Iterable[str]) -> None:
    """Keep the manifest as it is now; later changes of the dataset do not reach a training that was started before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(line + "\n" for line in lines)
        file.flush()
        os.fsync(file.fileno())
