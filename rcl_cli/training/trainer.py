"""The background trainer: `python -m rcl_cli.training.trainer FOLDER`, started detached, one process a training.

It knows its job folder, buckets, and nothing of the store: what came of it is in `outcome.json`, which whoever looks
next adopts.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcl_cli import heap
from rcl_cli.backends.base import TrainingCancelled, lacks_memory
from rcl_cli.backends.libraries import libraries_folder
from rcl_cli.buckets.fetch import ImageFetcher
from rcl_cli.child import end_with_parent
from rcl_cli.compute.folder import WorkFolder
from rcl_cli.compute.local import begin
from rcl_cli.domain import Progress, Sample, TrainingPlan, UseCase
from rcl_cli.durable import sync_tree
from rcl_cli.errors import ConfigError, TrainingFailed
from rcl_cli.limits import keep
from rcl_cli.manifest import codes
from rcl_cli.manifest.reader import TerminalManifestError
from rcl_cli.manifest.training import TrainingCheck
from rcl_cli.status import VersionStatus
from rcl_cli.training import job as jobs
from rcl_cli.training.job import TrainingJob
from rcl_cli.training.options import TrainingOptions
from rcl_cli.training.slots import device_of, slot
from rcl_cli.training.writing import ResultFiles

if TYPE_CHECKING:
    from rcl_cli.training.contest import Row

_REPORT_EVERY_S = 0.5
# A full disk may have room again, and then the work of hours is not lost.
_FINISH_TRIES, _FINISH_PAUSE_S = 120, 5.0
READY = "The model is ready to run."


class Reporter:
    """Tells progress, at most twice a second, and logs what is new."""

    def __init__(self, folder: WorkFolder) -> None:
        self._folder = folder
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
        # A full disk must not end a training here: there may be room when it matters.
        with contextlib.suppress(OSError):
            self._folder.tell({"progress": progress.as_dict(), "message": progress.sentence()})


def log(text: str) -> None:
    print(time.strftime("%Y-%m-%dT%H:%M:%S%z"), text, flush=True)


class Training:
    """One training from snapshot to result files."""

    def __init__(self, job: TrainingJob, folder: WorkFolder) -> None:
        self.job, self.folder = job, folder.path
        self.report = Reporter(folder)
        given = "Assets" in job.request.get("TestingData", {})
        self.auto_split = not given and not (self.folder / jobs.TESTING_MANIFEST).exists()
        self.files = ResultFiles(job, auto_split=self.auto_split)

    def check(self) -> TrainingCheck:
        from rcl_cli.training.prepare import check_manifests

        fetcher = ImageFetcher(self.job.making.buckets, self.folder / "images")
        testing = None if self.auto_split else self.folder / jobs.TESTING_MANIFEST
        training = self.folder / jobs.TRAINING_MANIFEST

        def step(done: int, total: int) -> None:
            self.report(Progress("preparing", done, total, note="looking at images"))

        terminal_file = self.folder / jobs.TERMINAL
        if terminal_file.exists():
            raise TrainingFailed(terminal_file.read_text())
        try:
            if training.stat().st_size == 0 or (testing and testing.stat().st_size == 0):
                raise TrainingFailed(codes.EMPTY_MANIFEST.message)
            check = check_manifests(
                fetcher, training, testing, self.job.options.seed, step, takes_files=self.job.takes_files
            )
        except TerminalManifestError as error:
            raise TrainingFailed(error.code.message) from error
        self.files.write_validation(check)
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

    def run(self) -> None:
        """Train, evaluate, and leave the model in the job folder.

        Raises:
            TrainingFailed, ConfigError: with the message for the user.
        """
        from rcl_cli.training.stages import evaluate_and_save, look_alikes, make_plan, train_model

        check = self.check()
        training, testing = self.samples(check)
        model_dir = self.folder / jobs.MODEL
        model_dir.mkdir(parents=True, exist_ok=True)
        composed = self.compose(training) if check.brand else training
        groups = look_alikes(composed, self.report) if composed is training else None
        rows: list[Row] = []
        job = self.job
        if job.options.quality == "best" and check.brand:
            self.report(Progress("preparing", note="logos are composed into scenes: there is no contest of recipes"))
        elif job.options.quality == "best":
            options, rows = self.contest(check.use_case, training, groups)
            job = replace(job, options=options)
        plan, weights = make_plan(check.use_case, composed, training, job, self.report, groups)
        log_plan(plan)
        card = train_model(plan, weights, model_dir, self.report, stopping)
        evaluate_and_save(
            self.files, plan, card, model_dir, training, testing, self.report, [row.as_dict() for row in rows]
        )
        sync_tree(model_dir)

    def contest(
        self, use_case: UseCase, training: Sequence[Sample], groups: Sequence[int] | None
    ) -> tuple[TrainingOptions, list[Row]]:
        """With which options the best of several recipes trains to the end, and how all did.

        Raises:
            TrainingCancelled: asked for.
        """
        from rcl_cli.training.candidate import compete
        from rcl_cli.training.contest import Task, hold
        from rcl_cli.training.stages import finder

        task = Task(
            use_case, self.job.options, tuple(training), None if groups is None else tuple(groups),
            self.job.weights_cache, self.job.offline,
        )  # fmt: skip

        def fetching(progress: Progress) -> None:
            # How a download goes; that there are no weights for what then does not compete is no news.
            if progress.steps:
                self.report(progress)

        find = finder(task.options.weights, task.weights_cache, fetching, offline=task.offline)
        options, rows = hold(
            task, self.folder / "contest", find, lambda folder, own, tell: compete(folder, own, tell, stopping),
            self.report, stopping,
        )  # fmt: skip
        for row in rows:
            log(f"contest: {row}")
        return options, rows

    def compose(self, logos: list[Sample]) -> list[Sample]:
        from rcl_cli.training.brand import compose_scenes, scene_count

        count = scene_count(len(logos))
        self.report(Progress("preparing", note=f"composing {count} scenes from {len(logos)} logo images"))
        return compose_scenes(logos, self.folder / "scenes", count, self.job.options.seed)


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
    # Libraries wrap the system's error in their own, and keep its words.
    full = isinstance(error, OSError) and error.errno == errno.ENOSPC
    if full or os.strerror(errno.ENOSPC) in str(error):
        return "There is no space left on the disk of RCL_HOME or of the output bucket: free some and train again."
    if lacks_memory(error):
        return "There is not enough memory for this training: set a smaller batch or image_size."
    if isinstance(error, (ConfigError, TrainingFailed)):
        return str(error)
    return f"An internal error ended the training ({type(error).__name__}): see `rcl logs PROJECT/VERSION`."


def outcome_of(job: TrainingJob, folder: WorkFolder) -> dict[str, Any]:
    """Run a training to its end; returns the outcome: `status`, `message`, and `outputs` of the description.

    Raises:
        TrainingCancelled: it was told to end before.
    """
    training: Training | None = None
    try:
        training = Training(job, folder)
        options, wait = job.options, _wait(training.report)
        with slot(job.slots, device_of(options.device), options.parallel, folder.asked_ns, wait):
            began = time.monotonic()
            training.run()
            taken_s = time.monotonic() - began
    except TrainingCancelled:
        raise
    except Exception as error:  # noqa: BLE001 - whatever ends a training must end up in its outcome
        if not isinstance(error, (TrainingFailed, ConfigError)):
            traceback.print_exc()
        # What was written so far stays, but a training that failed evaluated nothing.
        kept = {k: v for k, v in (training.files.outputs if training else {}).items() if k != "EvaluationResult"}
        return {"status": VersionStatus.TRAINING_FAILED, "message": _message(error), "outputs": kept}
    outputs = {**training.files.outputs, "BillableTrainingTimeInSeconds": max(1, round(taken_s))}
    return {"status": VersionStatus.TRAINING_COMPLETED, "message": READY, "outputs": outputs}


def _wait(report: Reporter) -> Callable[[int], None]:
    def wait(ahead: int) -> None:
        if stopping():
            raise TrainingCancelled
        others = "another training" if ahead == 1 else f"{ahead} other trainings"
        report(Progress("waiting", note=f"{others} on this device first"))

    return wait


def finish(folder: WorkFolder, outcome: dict[str, Any]) -> bool:
    """Say how it ended; a disk without room for that is asked again for ten minutes."""
    for _ in range(_FINISH_TRIES):
        try:
            folder.finish(outcome)
        except OSError as error:
            log(f"can't say how it ended: {error}")
            if not folder.path.exists():
                # Nobody wants to know any more.
                return False
            time.sleep(_FINISH_PAUSE_S)
        else:
            return True
    return False


def main() -> int:
    path = Path(sys.argv[1])
    folder = WorkFolder(path, path.with_suffix(".lock"), path.with_suffix(".log"))
    begin(folder)
    signal.signal(signal.SIGTERM, _on_sigterm)
    end_with_parent()
    with contextlib.suppress(AttributeError):
        os.nice(5)
    job = TrainingJob.of(folder.request())
    keep(job.limits)
    os.environ["RCL_WORK_DIR"] = str(job.making.work_dir)
    libraries_folder()
    # What each step gives back the next one needs: fetching it anew is 7 % of the work.
    heap.tune(mmap_threshold_bytes=32 * 2**20, trim_threshold_bytes=512 * 2**20)
    log(f"training {job.making.arn} with {job.options}, start {folder.starts}")
    try:
        outcome = outcome_of(job, folder)
    except TrainingCancelled:
        # The machine is shut down, most likely: whoever looks next goes on with it.
        log("told to end; it is gone on with at the next look")
        folder.forgive_start()
        return 1
    outcome["ended_ms"] = time.time_ns() // 1_000_000
    finished = finish(folder, outcome)
    log(f"{outcome['status']}: {outcome['message']}")
    return 0 if finished else 1


def end(code: int) -> None:
    """End at once: taking torch down in order takes a second, in which this process seems to be at work."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    end(main())
