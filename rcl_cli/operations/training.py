"""Training project versions."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

from rcl_cli.buckets.base import NoSuchObjectError
from rcl_cli.compute.places import making_of
from rcl_cli.context import Context
from rcl_cli.durable import new_folder, remove_abandoned, replace_durably, sync_tree
from rcl_cli.errors import InternalServerError, InvalidParameter, ResourceInUse
from rcl_cli.manifest import codes
from rcl_cli.manifest.reader import MAX_MANIFEST_BYTES
from rcl_cli.operations.contents import reading, settle_datasets
from rcl_cli.operations.outputs import check_output, making
from rcl_cli.operations.resources import arn, find_project, unused_ms
from rcl_cli.operations.settle import TRAINER, begin, discard_job
from rcl_cli.operations.tagging import given_tags
from rcl_cli.status import CHANGING, DatasetStatus
from rcl_cli.store import datasets, entries, projects, tags, versions
from rcl_cli.store.datasets import Dataset
from rcl_cli.store.trouble import reason
from rcl_cli.training import job as jobs
from rcl_cli.training.job import TrainingJob
from rcl_cli.training.options import TrainingOptions, from_tags, resolve_options


def create_project_version(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    """Snapshot the data, remember the version, and start its trainer, which goes on when this returns."""
    settle_datasets(context)
    with context.database.read() as db:
        project = find_project(db, params["ProjectArn"])
    _check_sources(params)
    check_output(project.name, params)
    # Copied before the store is locked: a manifest can be long, and its bucket slow.
    snapshot = context.layout.new_job(context.new_nonce())
    remove_abandoned(snapshot.parent, context.layout.new_job("").name)
    try:
        with new_folder(snapshot):
            version_arn, version_id = _create(context, params, snapshot)
    except OSError as error:
        raise InternalServerError(
            f"The training data can't be stored: {reason(error, context.layout.home)}."
        ) from error
    begin(context, version_id, TRAINER)
    return {"ProjectVersionArn": version_arn}


def _create(context: Context, params: dict[str, Any], snapshot: Path) -> tuple[str, int]:
    """A new version with its data in its job folder; returns its ARN and id."""
    with context.database.read() as db:
        project, options, sources = _checked(context, db, params)
    _write_snapshot(context, snapshot, sources, params)
    sync_tree(snapshot)
    name = params["VersionName"]
    with context.database.write() as db:
        _, _, now = _checked(context, db, params)
        if {kind: one.file for kind, one in now.items()} != {kind: one.file for kind, one in sources.items()}:
            # An image may be in both, or in neither.
            raise ResourceInUse("The project's datasets were replaced or distributed meanwhile: try again.")
        created_ms = unused_ms(context, db)
        version_arn = arn(context, f"project/{project.name}/version/{name}/{created_ms}")
        version_id = versions.insert(db, version_arn, project.id, name, created_ms, params)
        tags.put(db, version_arn, given_tags(context, params))
        job = TrainingJob(
            making(context, version_arn, project.name, params), params, options, context.layout.weights_cache,
            context.config.offline, context.layout.home / "cache" / "slots",
            # Datasets took what they might.
            takes_files=context.names_files or bool(sources),
            limits=context.config.limits,
        )  # fmt: skip
        asked = making_of(context.layout, version_id)
        asked._replace(path=snapshot).prepare(job.as_json(), asked.path)
        discard_job(context.layout, version_id)
        replace_durably(snapshot, asked.path)
    return version_arn, version_id


def _checked(
    context: Context, db: sqlite3.Connection, params: dict[str, Any]
) -> tuple[projects.Project, TrainingOptions, dict[str, Dataset]]:
    """Project, options and datasets of a request that may go ahead."""
    project = find_project(db, params["ProjectArn"])
    inherited = from_tags(tags.of(db, project.arn))
    options = resolve_options(context.config.training, inherited, from_tags(given_tags(context, params)))
    if versions.by_name(db, project.id, params["VersionName"]):
        raise ResourceInUse(f"The project {project.name} already has a version named {params['VersionName']}.")
    return project, options, _dataset_sources(db, project.id, params)


def _check_sources(params: dict[str, Any]) -> None:
    training, testing = params.get("TrainingData"), params.get("TestingData")
    if "ContentModeration" in params.get("FeatureConfig", {}):
        raise InvalidParameter("FeatureConfig ContentModeration is not available: rcl trains custom labels only.")
    if (training is None) != (testing is None):
        raise InvalidParameter("TrainingData and TestingData must be given together, or neither.")
    if training is None or testing is None:
        return
    if len(training.get("Assets", [])) != 1:
        raise InvalidParameter("TrainingData needs exactly one asset with a GroundTruthManifest.")
    if testing.get("AutoCreate") and testing.get("Assets"):
        raise InvalidParameter("TestingData can't have both Assets and AutoCreate.")
    if not testing.get("AutoCreate") and len(testing.get("Assets", [])) != 1:
        raise InvalidParameter("TestingData needs AutoCreate, or exactly one asset with a GroundTruthManifest.")
    for asset in (*training["Assets"], *testing.get("Assets", [])):
        if not {"Bucket", "Name"} <= asset.get("GroundTruthManifest", {}).get("S3Object", {}).keys():
            raise InvalidParameter("An asset needs GroundTruthManifest.S3Object with Bucket and Name.")


def _dataset_sources(db: sqlite3.Connection, project_id: int, params: dict[str, Any]) -> dict[str, Dataset]:
    """The datasets to train from, none where manifests are given."""
    found = {d.type: d for d in datasets.of_project(db, project_id)}
    if "TrainingData" in params:
        if found:
            raise InvalidParameter(
                "TrainingData can't be used: the project has datasets, which are trained on instead."
            )
        return {}
    if "TRAIN" not in found:
        raise InvalidParameter("The project has no TRAIN dataset, and the request no TrainingData.")
    for dataset in found.values():
        _check_trainable(dataset)
    return found


def _check_trainable(dataset: Dataset) -> None:
    if dataset.state.status in CHANGING:
        raise ResourceInUse(f"The dataset {dataset.arn} is in use: its status is {dataset.state.status}.")
    if dataset.state.status == DatasetStatus.CREATE_FAILED:
        raise InvalidParameter(f"The dataset {dataset.arn} can't be trained on: {dataset.state.message}")


def _write_snapshot(context: Context, folder: Path, sources: dict[str, Dataset], params: dict[str, Any]) -> None:
    """Copy the manifests into a folder."""
    for kind, file in (("TRAIN", jobs.TRAINING_MANIFEST), ("TEST", jobs.TESTING_MANIFEST)):
        if kind in sources:
            with reading(context, sources[kind].arn, _check_trainable) as (_, db):
                jobs.write_snapshot(folder / file, entries.all_lines(db))
    for part, file in (("TrainingData", jobs.TRAINING_MANIFEST), ("TestingData", jobs.TESTING_MANIFEST)):
        for asset in params.get(part, {}).get("Assets", []):
            _copy_manifest(context, asset["GroundTruthManifest"]["S3Object"], folder / file)


def _copy_manifest(context: Context, s3_object: dict[str, str], target: Path) -> None:
    bucket, key, version = s3_object["Bucket"], s3_object["Name"], s3_object.get("Version")
    try:
        place = context.buckets.get(bucket)
        if place.size(key, version) > MAX_MANIFEST_BYTES:
            terminal = codes.MANIFEST_SIZE_TOO_LARGE
        else:
            with place.open(key, version) as source, target.open("wb") as out:
                shutil.copyfileobj(source, out)
            return
    except NoSuchObjectError:
        terminal = codes.MANIFEST_INACCESSIBLE
    # What is wrong with data ends the training, not the request.
    target.with_name(jobs.TERMINAL).write_text(terminal.message)
