"""The background copier: `python -m rcl_cli.training.copier`, started detached, one process a copied model."""

from __future__ import annotations

import copy
import shutil
import sqlite3
import sys
import traceback
from collections.abc import Iterator
from typing import Any

from rcl_cli.buckets.base import BucketWriteError, NoSuchObjectError
from rcl_cli.compute import background, job
from rcl_cli.context import Context, make_context
from rcl_cli.errors import TrainingFailed
from rcl_cli.status import VersionStatus
from rcl_cli.store import projects, versions
from rcl_cli.store.versions import Version
from rcl_cli.training import results

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


def copy_results(context: Context, source: Version, target: Version) -> dict[str, Any]:
    """Copy the result files; returns the description's part that names the copies.

    Raises:
        TrainingFailed: one can't be read or written.
    """
    output = target.request["OutputConfig"]
    with context.database.read() as db:
        keys = results.Keys(output.get("S3KeyPrefix", ""), projects.by_id(db, target.project_id).name, target.name)
    result = copy.deepcopy(source.result)
    for kind, s3_object in result_objects(result):
        place = f"s3://{s3_object['Bucket']}/{s3_object['Name']}"
        try:
            with context.buckets.get(s3_object["Bucket"]).open(s3_object["Name"]) as stream:
                data = stream.read()
        except NoSuchObjectError as error:
            raise TrainingFailed(f"The result file {place} of the source can't be read.") from error
        try:
            context.buckets.for_output(output["S3Bucket"]).write(keys.key(kind), data)
        except (BucketWriteError, NoSuchObjectError) as error:
            print(f"can't write s3://{output['S3Bucket']}/{keys.key(kind)}: {error}", flush=True)
            raise TrainingFailed("Unable to write to output S3 bucket.") from error
        s3_object.clear()
        s3_object.update(Bucket=output["S3Bucket"], Name=keys.key(kind))
    return result


def copy_model(context: Context, source: Version, target: Version) -> None:
    """Copy the model's folder, under its final name only when it is whole.

    Raises:
        TrainingFailed: it can't be.
    """
    final = context.layout.model(target.id)
    partial = final.with_suffix(".part")
    try:
        shutil.copytree(context.layout.model(source.id), partial, dirs_exist_ok=True)
        partial.replace(final)
    except OSError as error:
        raise TrainingFailed(f"The model's files can't be copied: {error.strerror or error}.") from error


def run_copy(context: Context, target: Version) -> int:
    """Make a copy and write its outcome; returns the exit status."""
    try:
        with context.database.read() as db:
            source = versions.by_arn(db, target.request["SourceProjectVersionArn"])
        if source is None:
            raise TrainingFailed(SOURCE_GONE)
        result = copy_results(context, source, target)
        copy_model(context, source, target)
        # Its row goes before its files do: while it is there, all of them were.
        with context.database.read() as db:
            if versions.by_id(db, source.id) is None:
                raise TrainingFailed(SOURCE_GONE)
    except Exception as error:  # noqa: BLE001 - whatever ends a copy must end up in its status
        traceback.print_exc()
        known = isinstance(error, TrainingFailed)
        message = str(error) if known else f"An internal error ended the copy ({type(error).__name__})."
        with context.database.write() as db:
            job.end_copy(db, context.layout, target.id, message)
        return 1
    with context.database.write() as db:
        _complete(db, target.id, source.ended_ms, result)
    return 0


def _complete(db: sqlite3.Connection, version_id: int, ended_ms: int | None, result: dict[str, Any]) -> None:
    if versions.move(db, version_id, (VersionStatus.COPYING_IN_PROGRESS,), VersionStatus.COPYING_COMPLETED, COPIED):
        versions.end_making(db, version_id, ended_ms, result)
    versions.release(db, version_id)


def main() -> int:
    asked = background.arguments()
    context = make_context(asked.home)
    target = background.take_over(context, asked, VersionStatus.COPYING_IN_PROGRESS)
    if target is None:
        print("this copy was given up before it began", flush=True)
        return 1
    return run_copy(context, target)


if __name__ == "__main__":
    sys.exit(main())
