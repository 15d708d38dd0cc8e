"""The background copier: `python -m rcl_cli.training.copier FOLDER`, started detached, one process a copied model.

Like the trainer it knows its job folder and buckets only.
"""

from __future__ import annotations

import copy
import shutil
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rcl_cli.backends.whole import faults
from rcl_cli.buckets.base import BucketWriteError, NoSuchObjectError
from rcl_cli.compute.folder import WorkFolder
from rcl_cli.compute.local import begin
from rcl_cli.durable import sync_tree
from rcl_cli.errors import ConfigError, TrainingFailed
from rcl_cli.status import VersionStatus
from rcl_cli.training import results
from rcl_cli.training.job import MODEL, CopyJob

COPIED = "The model was copied and is ready to run."
SOURCE_GONE = "The source of the copy was deleted."


def result_objects(result: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(kind of file, S3Object) of the result files that a description names; what the user gave is not among them."""
    if "EvaluationResult" in result:
        yield results.SUMMARY, result["EvaluationResult"]["Summary"]["S3Object"]
    if "ManifestSummary" in result:
        yield results.MANIFEST_SUMMARY, result["ManifestSummary"]["S3Object"]
    for part, truth, validation in (
        ("TrainingDataResult", results.TRAINING_TRUTH, results.TRAINING_VALIDATION),
        ("TestingDataResult", results.TESTING_TRUTH, results.TESTING_VALIDATION),
    ):
        for side, kind in (("Output", truth), ("Validation", validation)):
            for asset in result.get(part, {}).get(side, {}).get("Assets", []):
                yield kind, asset["GroundTruthManifest"]["S3Object"]


def copy_results(job: CopyJob) -> dict[str, Any]:
    """Copy the result files; returns the description's part that names the copies.

    Raises:
        TrainingFailed: one can't be read or written.
    """
    making, output = job.making, job.making.output
    keys = results.Keys(output.get("S3KeyPrefix", ""), making.project, making.version)
    result = copy.deepcopy(dict(job.result))
    for kind, s3_object in result_objects(result):
        place = f"s3://{s3_object['Bucket']}/{s3_object['Name']}"
        try:
            with making.buckets.get(s3_object["Bucket"]).open(s3_object["Name"]) as stream:
                data = stream.read()
        except NoSuchObjectError as error:
            raise TrainingFailed(f"The result file {place} of the source can't be read.") from error
        try:
            making.buckets.for_output(output["S3Bucket"]).write(keys.key(kind), data)
        except (BucketWriteError, NoSuchObjectError) as error:
            print(f"can't write s3://{output['S3Bucket']}/{keys.key(kind)}: {error}", flush=True)
            raise TrainingFailed("Unable to write to output S3 bucket.") from error
        s3_object.clear()
        s3_object.update(Bucket=output["S3Bucket"], Name=keys.key(kind))
    return result


def copy_model(source: Path, target: Path) -> None:
    """Copy a model's folder.

    Raises:
        TrainingFailed: it can't be, or it was deleted meanwhile.
    """
    shutil.rmtree(target, ignore_errors=True)
    names = _names(source)
    try:
        shutil.copytree(source, target)
    except OSError as error:
        if _names(source) != names or not names:
            raise TrainingFailed(SOURCE_GONE) from error
        raise TrainingFailed(f"The model's files can't be copied: {error.strerror or error}.") from error
    # Deleting takes files away one by one: while all are there, all of them were when they were read.
    if not names or _names(source) != names or _names(target) != names:
        raise TrainingFailed(SOURCE_GONE)
    if said := faults(target, hashed=True):
        # Named as in the source: the copy goes.
        raise TrainingFailed(f"The source is damaged: {said[0].replace(str(target), str(source))}.")
    sync_tree(target)


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def outcome_of(job: CopyJob, folder: WorkFolder) -> dict[str, Any]:
    """Make the copy; returns the outcome: `status`, `message`, and `outputs` of the description."""
    try:
        result = copy_results(job)
        copy_model(job.model, folder.path / MODEL)
    except Exception as error:  # noqa: BLE001 - whatever ends a copy must end up in its outcome
        traceback.print_exc()
        known = isinstance(error, TrainingFailed | ConfigError)
        message = str(error) if known else f"An internal error ended the copy ({type(error).__name__})."
        return {"status": VersionStatus.COPYING_FAILED, "message": message, "outputs": {}, "ended_ms": None}
    return {
        "status": VersionStatus.COPYING_COMPLETED, "message": COPIED, "outputs": result, "ended_ms": job.ended_ms,
    }  # fmt: skip


def main() -> int:
    path = Path(sys.argv[1])
    folder = WorkFolder(path, path.with_suffix(".lock"), path.with_suffix(".log"))
    begin(folder)
    folder.finish(outcome_of(CopyJob.of(folder.request()), folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
