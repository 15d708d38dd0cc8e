"""One candidate of a contest: `python -m rcl_cli.training.candidate FOLDER`.

Trains as the task in the folder says, judges the model on the held-out images, and writes what it found to
`found.json`. Progress goes to stdout, a line of JSON each. What an earlier start did is gone on with.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO

from rcl_cli import heap
from rcl_cli.backends import registry
from rcl_cli.backends.base import Cancelled, Predictor, TrainingCancelled
from rcl_cli.backends.libraries import libraries_folder
from rcl_cli.child import command, die_with_parent, end_with_parent, environment
from rcl_cli.domain import Progress, Sample
from rcl_cli.durable import write_durably
from rcl_cli.training.contest import ChildFailedError, Result, Task, as_json, task_of
from rcl_cli.training.prepare import hold_out

_TASK, _FOUND, _LOG = "task.json", "found.json", "log"
_TIMED_IMAGES = 12
_POLL_S = 0.2
_stopping = False


def compete(folder: Path, task: Task, tell: Callable[[Progress], None], cancelled: Cancelled) -> Result:
    """Let a process train and judge a candidate.

    Raises:
        ChildFailedError: it could not.
        TrainingCancelled: asked for.
    """
    write_durably(folder / _TASK, json.dumps(as_json(task)).encode())
    with (folder / _LOG).open("ab") as log:
        process = subprocess.Popen(
            command("rcl_cli.training.candidate", str(folder)), env=environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
        reader = threading.Thread(target=_read, args=(process.stdout, tell), daemon=True)
        reader.start()
        try:
            while process.poll() is None:
                if cancelled():
                    raise TrainingCancelled
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL_S)
            reader.join()
        finally:
            _end(process)
    if process.returncode or not (folder / _FOUND).exists():
        said = (folder / _LOG).read_text("utf-8", "replace").strip().splitlines() or ["it said nothing"]
        raise ChildFailedError(said[-1])
    return Result(**json.loads((folder / _FOUND).read_text("utf-8")))


def _read(lines: IO[bytes], tell: Callable[[Progress], None]) -> None:
    """Tell what the process tells, to its end: it would wait for whoever stops reading."""
    for line in lines:
        # What a library wrote in between, or a full disk: neither ends a training.
        with suppress(ValueError, TypeError, OSError):
            tell(Progress(**json.loads(line)))


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def judged(predictor: Predictor, samples: Sequence[Sample], labels: Sequence[str]) -> float:
    """Accuracy on held-out images: AP50:95, or mean average precision of labels."""
    from rcl_cli.backends.boxes.precision import average_precisions
    from rcl_cli.backends.classifier.selection import mean_average_precision, tables_of
    from rcl_cli.training.stages import predict_all

    found = predict_all(predictor, samples, lambda _: None)
    if samples[0].boxes or any(one.box for image in found for one in image):
        return float(average_precisions(labels, samples, found).mean())
    return mean_average_precision(*tables_of(labels, found, [sample.labels for sample in samples]))


def milliseconds(predictor: Predictor, samples: Sequence[Sample]) -> float:
    """What an image takes, from its file to its answer: the median, after a first pass."""
    took = []
    for number, sample in enumerate([samples[0], *samples[:_TIMED_IMAGES]]):
        data = Path(sample.path).read_bytes()
        began = time.perf_counter()
        prepared = predictor.prepare(data)
        predictor.read(predictor.forward(prepared.pixels[None])[0], prepared)
        if number:
            took.append(1000 * (time.perf_counter() - began))
    return statistics.median(took)


def run(task: Task, folder: Path, tell: Callable[[Progress], None], cancelled: Cancelled) -> Result:
    """Train and judge.

    Raises:
        TrainingCancelled: asked for.
        ConfigError, TrainingFailed: it can't be trained.
    """
    from rcl_cli.training.stages import decide, finder, train_model, use_all_cores

    use_all_cores()
    find = finder(task.options.weights, task.weights_cache, tell, offline=task.offline)
    decision = decide(
        task.use_case, task.samples, task.samples, task.options, find, offline=task.offline, groups=task.groups
    )  # fmt: skip
    model = folder / "model"
    model.mkdir(exist_ok=True)
    card = train_model(decision.plan, decision.weights, model, tell, cancelled)
    predictor = registry.load_predictor(model, task.options.device)
    held_out = hold_out(task.samples, task.options.seed, task.groups).holdout
    plan = decision.plan
    return Result(
        card.model, card.image_size, plan.tiling and plan.tiling.tile_px,
        sum("epoch" in one for one in card.history), round(judged(predictor, held_out, card.labels), 4),
        round(milliseconds(predictor, held_out), 1),
    )  # fmt: skip


def _on_sigterm(_signal: int, _frame: object) -> None:
    global _stopping
    _stopping = True


def main() -> int:
    folder = Path(sys.argv[1])
    signal.signal(signal.SIGTERM, _on_sigterm)
    # At once: a successor of the training that wants it begins in the same folder.
    if not die_with_parent():
        return 1
    end_with_parent()
    libraries_folder()
    heap.tune(mmap_threshold_bytes=32 * 2**20, trim_threshold_bytes=512 * 2**20)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # What is written past Python must not come between.
    os.dup2(2, 1)

    def tell(progress: Progress) -> None:
        out.write(json.dumps(asdict(progress)) + "\n")
        out.flush()

    # Libraries have things to say.
    with redirect_stdout(sys.stderr):
        try:
            found = run(task_of(json.loads((folder / _TASK).read_text("utf-8"))), folder, tell, lambda: _stopping)
        except TrainingCancelled:
            return 1
    write_durably(folder / _FOUND, json.dumps(found._asdict()).encode())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
