"""The background trainer: `python -m rcl_cli.training.trainer`, started detached, one process a training."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import sqlite3
import sys
import time
import traceback
from dataclasses import replace
from typing import Any

from rcl_cli.backends.base import TrainingCancelled
from rcl_cli.buckets.base import BucketWriteError, NoSuchObjectError
from rcl_cli.compute import background, job
from rcl_cli.context import Context, make_context
from rcl_cli.domain import Progress, Sample, TrainingPlan
from rcl_cli.errors import ConfigError, TrainingFailed
from rcl_cli.manifest import codes
from rcl_cli.manifest.reader import TerminalManifestError
from rcl_cli.manifest.training import TrainingCheck
from rcl_cli.status import VersionStatus
from rcl_cli.store import versions
from rcl_cli.store.projects import by_id as project_by_id
from rcl_cli.store.versions import Version
from rcl_cli.training import results
from rcl_cli.training.options import TrainingOptions

_REPORT_EVERY_S = 0.5
READY = "The model is ready to run."


class Reporter:
    """Writes progress into the store, at most twice a second, and into the log."""

    def __init__(self, context: Context, version_id: int) -> None:
        self._context, self._version_id = context, version_id
        self._last_s = 0.0
        self._stage = ""
        self._note: str | None = None

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        news = progress.stage != self._stage or progress.note != self._note or progress.stage == "training"
        if not news and now - self._last_s < _REPORT_EVERY_S and progress.step != progress.steps:
            return
        self._last_s, self._stage, self._note = now, progress.stage, progress.note
        if news:
            log(progress.sentence())
        # A busy store must not end a training: the next report comes soon.
        with contextlib.suppress(sqlite3.OperationalError), self._context.database.write() as db:
            versions.set_progress(db, self._version_id, progress.as_dict(), progress.sentence())


def log(text: str) -> None:
    print(time.strftime("%Y-%m-%dT%H:%M:%S%z"), text, flush=True)


class Training:
    """One training from snapshot to result files."""

    def __init__(self, context: Context, version: Version, options: TrainingOptions) -> None:
        self.context, self.version, self.options = context, version, options
        with context.database.read() as db:
            self.project = project_by_id(db, version.project_id)
        self.report = Reporter(context, version.id)
        self.job_dir = context.layout.job(version.id)
        output = version.request["OutputConfig"]
        self.bucket_name = output["S3Bucket"]
        self.keys = results.Keys(output.get("S3KeyPrefix", ""), self.project.name, version.name)
        self.outputs: dict[str, Any] = {}
        given = "Assets" in version.request.get("TestingData", {})
        self.auto_split = not given and not (self.job_dir / job.TESTING_MANIFEST).exists()

    # --- result files -------------------------------------------------------------------------------------------------

    def write(self, name: str, data: bytes) -> dict[str, Any]:
        """Store a result file; returns the S3Object that names it.

        Raises:
            TrainingFailed: the output bucket can't be written.
        """
        key = self.keys.key(name)
        try:
            self.context.buckets.for_output(self.bucket_name).write(key, data)
        except (BucketWriteError, NoSuchObjectError) as error:
            log(f"can't write s3://{self.bucket_name}/{key}: {error}")
            raise TrainingFailed(codes.CANNOT_WRITE_OUTPUT.message) from error
        return {"S3Object": {"Bucket": self.bucket_name, "Name": key}}

    def write_validation(self, check: TrainingCheck) -> None:
        """Validation manifests and the manifest summary: written whatever the verdict."""
        training = [line.validated() for line in check.training.lines]
        testing = [line.validated() for line in check.testing.lines]
        validation = self.write(results.TRAINING_VALIDATION, results.json_lines(training))
        self.outputs["TrainingDataResult"] = {
            "Input": self.version.request.get("TrainingData", {}),
            "Validation": {"Assets": [{"GroundTruthManifest": validation}]},
        }
        validation = self.write(results.TESTING_VALIDATION, results.json_lines(testing))
        given = {k: v for k, v in self.version.request.get("TestingData", {}).items() if k == "Assets"}
        self.outputs["TestingDataResult"] = {
            "Input": given | {"AutoCreate": self.auto_split},
            "Validation": {"Assets": [{"GroundTruthManifest": validation}]},
        }
        summary = self.write(results.MANIFEST_SUMMARY, results.json_file(check.summary()))
        self.outputs["ManifestSummary"] = summary

    # --- the stages ---------------------------------------------------------------------------------------------------

    def check(self) -> TrainingCheck:
        from rcl_cli.buckets.fetch import ImageFetcher
        from rcl_cli.training.prepare import check_manifests

        fetcher = ImageFetcher(self.context.buckets, self.job_dir / "images")
        testing = None if self.auto_split else self.job_dir / job.TESTING_MANIFEST
        training = self.job_dir / job.TRAINING_MANIFEST

        def step(done: int, total: int) -> None:
            self.report(Progress("preparing", done, total, note="looking at images"))

        terminal_file = self.job_dir / job.TERMINAL
        if terminal_file.exists():
            raise TrainingFailed(terminal_file.read_text())
        try:
            if training.stat().st_size == 0 or (testing and testing.stat().st_size == 0):
                raise TrainingFailed(codes.EMPTY_MANIFEST.message)
            check = check_manifests(fetcher, training, testing, self.options.seed, step)
        except TerminalManifestError as error:
            raise TrainingFailed(error.code.message) from error
        self.write_validation(check)
        if terminal := check.terminal:
            raise TrainingFailed(terminal.message)
        return check

    def samples(self, check: TrainingCheck) -> tuple[list[Sample], list[Sample]]:
        """(training, testing) samples of the use case."""
        from rcl_cli.training.prepare import samples_of

        if check.use_case == "IMAGE_LEVEL_LABELS":
            return samples_of(check.training.lines, "image"), samples_of(check.testing.lines, "image")
        return samples_of(check.training.lines, "image" if check.brand else "box"), samples_of(
            check.testing.lines, "box"
        )

    def run(self) -> dict[str, Any]:
        """Train and evaluate; returns what DescribeProjectVersions adds to the version.

        Raises:
            TrainingFailed, ConfigError: with the message for the user.
        """
        from rcl_cli.training.stages import evaluate_and_save, make_plan, train_model

        check = self.check()
        training, testing = self.samples(check)
        model_dir = self.context.layout.model(self.version.id).with_suffix(".part")
        model_dir.mkdir(parents=True, exist_ok=True)
        composed = self.compose(training) if check.brand else training
        plan, weights = make_plan(check.use_case, composed, training, self.options, self.context, self.report)
        log_plan(plan)
        card = train_model(plan, weights, model_dir, self.report, stopping)
        saved = evaluate_and_save(self, plan, card, model_dir, training, testing)
        self.outputs["TrainingDataResult"]["Output"] = {"Assets": [{"GroundTruthManifest": saved.training_truth}]}
        self.outputs["TestingDataResult"]["Output"] = {
            "Assets": [{"GroundTruthManifest": saved.testing_truth}],
            "AutoCreate": self.auto_split,
        }
        self.outputs["EvaluationResult"] = {"F1Score": saved.f1, "Summary": saved.summary}
        model_dir.replace(self.context.layout.model(self.version.id))
        return self.outputs

    def compose(self, logos: list[Sample]) -> list[Sample]:
        from rcl_cli.training.brand import compose_scenes, scene_count

        count = scene_count(len(logos))
        self.report(Progress("preparing", note=f"composing {count} scenes from {len(logos)} logo images"))
        return compose_scenes(logos, self.job_dir / "scenes", count, self.options.seed)


def log_plan(plan: TrainingPlan) -> None:
    short = replace(plan, train=(), holdout=())
    log(f"plan: {len(plan.train)} images to train on, {len(plan.holdout)} held out, {short}")


_stop_requested = False


def stopping() -> bool:
    return _stop_requested


def _on_sigterm(_signal: int, _frame: object) -> None:
    global _stop_requested
    _stop_requested = True


def _message(error: BaseException) -> str:
    """The user's line for an error that is not TrainingFailed."""
    if isinstance(error, TrainingCancelled):
        return "The training was stopped before it was done."
    # Libraries wrap the system's error in their own, and keep its words.
    full = isinstance(error, OSError) and error.errno == errno.ENOSPC
    if full or os.strerror(errno.ENOSPC) in str(error):
        return "There is no space left on the disk of RCL_HOME or of the output bucket: free some and train again."
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return "There is not enough memory for this training: set a smaller batch or image_size."
    if isinstance(error, (ConfigError, TrainingFailed)):
        return str(error)
    return f"An internal error ended the training ({type(error).__name__}): see `rcl logs PROJECT/VERSION`."


def _finish(
    context: Context, version: Version, status: str, message: str, outputs: dict[str, Any], began: float
) -> None:
    outputs = dict(outputs)
    if status == VersionStatus.TRAINING_COMPLETED:
        outputs["BillableTrainingTimeInSeconds"] = max(1, round(time.monotonic() - began))
    # First, so that whoever sees the outcome sees no leftovers.
    job.discard_job(context.layout, version.id)
    with context.database.write() as db:
        if versions.move(db, version.id, (VersionStatus.TRAINING_IN_PROGRESS,), status, message):
            versions.end_making(db, version.id, context.now_ms(), outputs)
        versions.release(db, version.id)
    log(f"{status}: {message}")


def run_training(context: Context, version: Version, options: TrainingOptions) -> int:
    """Run a training and write its outcome; returns the exit status."""
    began = time.monotonic()
    training: Training | None = None
    try:
        training = Training(context, version, options)
        outputs = training.run()
    except Exception as error:  # noqa: BLE001 - whatever ends a training must end up in its status
        if not isinstance(error, (TrainingFailed, ConfigError, TrainingCancelled)):
            traceback.print_exc()
        # What was written so far stays, but a training that failed evaluated nothing.
        kept = {k: v for k, v in (training.outputs if training else {}).items() if k != "EvaluationResult"}
        _finish(context, version, VersionStatus.TRAINING_FAILED, _message(error), kept, began)
        return 1
    _finish(context, version, VersionStatus.TRAINING_COMPLETED, READY, outputs, began)
    return 0


def main() -> int:
    asked = background.arguments()
    signal.signal(signal.SIGTERM, _on_sigterm)
    # Processes that load images for a GPU are forked from this one, and must end when they are told to.
    os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))
    with contextlib.suppress(AttributeError):
        os.nice(5)
    os.environ["RCL_WORK_DIR"] = str(asked.home / "cache")
    context = make_context(asked.home)
    version = background.take_over(context, asked, VersionStatus.TRAINING_IN_PROGRESS)
    if version is None:
        log("this training was given up before it began")
        return 1
    options = TrainingOptions(**json.loads((context.layout.job(version.id) / "options.json").read_text()))
    log(f"training {version.arn} with {options}")
    return run_training(context, version, options)


if __name__ == "__main__":
    sys.exit(main())
