"""The stages of a training that need the model backends: plan, train, export, evaluate, save."""

from __future__ import annotations

import gc
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from rcl_cli import __version__
from rcl_cli.backends import registry
from rcl_cli.backends.base import Cancelled, Predictor, Report, WeightsChoice, is_memory_error, smaller_batch
from rcl_cli.backends.boxes.planning import most_boxes
from rcl_cli.backends.family import Data, Defaults
from rcl_cli.backends.libraries import installed
from rcl_cli.backends.predictors import predict
from rcl_cli.backends.resuming import Checkpoints
from rcl_cli.backends.runtimes.forms import choose_forms
from rcl_cli.backends.weights.choice import Offer, choose_weights
from rcl_cli.backends.whole import sealed
from rcl_cli.config import cpu_cores
from rcl_cli.domain import Detection, ModelCard, Progress, Sample, TrainingPlan, UseCase
from rcl_cli.durable import sync_tree, write_durably
from rcl_cli.errors import ConfigError
from rcl_cli.evaluation import evidence
from rcl_cli.evaluation.expected import Expected, expected
from rcl_cli.evaluation.metrics import Evaluation, Match, confusion, evaluate, match_image
from rcl_cli.training import plan as planning
from rcl_cli.training import results
from rcl_cli.training import tiling as tiles
from rcl_cli.training.job import TrainingJob
from rcl_cli.training.likeness import groups_of
from rcl_cli.training.options import TrainingOptions
from rcl_cli.training.outlook import outlook
from rcl_cli.training.prepare import fingerprint, hold_out
from rcl_cli.training.writing import ResultFiles

_AGREEMENT_IMAGES = 16
_EVALUATION_BATCH = 16
# Batch normalisation needs two images.
_LEAST_BATCH = 2
_LEAST_BUDGET_S = 1.0
_LEAST_EPOCHS = 2


def pick_device(requested: str) -> str:
    """`auto` becomes CUDA, then Apple's GPU, then the CPU.

    Raises:
        ConfigError: a named device is not there.
    """
    if requested == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    kind, _, number = requested.partition(":")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise ConfigError(f"The device {requested} is not there: torch sees {torch.cuda.device_count()} CUDA GPU(s).")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("The device mps is not there: it is Apple's GPU.")
    return requested


def devices_of(requested: str) -> list[str]:
    """Those that several trainings at the same time may have."""
    device = pick_device(requested)
    if requested == "auto" and device == "cuda":
        return [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return [device]


def use_all_cores() -> None:
    """Let torch compute on all cores that this process may use."""
    torch.set_num_threads(cpu_cores())


def _memory_gib(device: str) -> float:
    return float(torch.cuda.get_device_properties(device).total_memory / 2**30) if device.startswith("cuda") else 0.0


class Decision(NamedTuple):
    """Everything about a training, and what it follows from.

    Args:
        data: what the plan was made from.
        defaults: what the plan has where nobody asked for something else.
    """

    plan: TrainingPlan
    weights: WeightsChoice
    data: Data
    defaults: Defaults


def make_plan(
    use_case: UseCase,
    training: Sequence[Sample],
    original: Sequence[Sample],
    job: TrainingJob,
    report: Report,
    groups: Sequence[int] | None,
) -> tuple[TrainingPlan, WeightsChoice]:
    """Decide everything about a training, and find its weights.

    Args:
        training: what is trained on; for brand detection composed scenes.
        original: what the user gave.
        groups: see `hold_out`.
    """
    use_all_cores()
    find = finder(job.options.weights, job.weights_cache, report, offline=job.offline)
    decision = decide(use_case, training, original, job.options, find, offline=job.offline, groups=groups)
    return decision.plan, decision.weights


def finder(asked: str, cache: Path, report: Report, *, offline: bool) -> Callable[[Sequence[Offer]], WeightsChoice]:
    """What chooses among ways to have weights, and fetches them; see `choose_weights`."""
    return lambda offers: choose_weights(asked, offers, cache, report, offline=offline)


def look_alikes(training: Sequence[Sample], report: Report) -> list[int]:
    """Groups of images that look the same."""

    def step(done: int, total: int) -> None:
        report(Progress("preparing", done, total, note="looking for images that look the same"))

    return groups_of([sample.path for sample in training], step)


def decide(
    use_case: UseCase,
    training: Sequence[Sample],
    original: Sequence[Sample],
    options: TrainingOptions,
    find: Callable[[Sequence[Offer]], WeightsChoice],
    *,
    offline: bool,
    groups: Sequence[int] | None = None,
) -> Decision:
    """As `make_plan`; does nothing else.

    Args:
        find: chooses among ways to have weights.
        groups: see `hold_out`.
    """
    device = pick_device(options.device)
    on_gpu = device != "cpu"
    detects = use_case == "OBJECT_LOCALIZATION"
    names = registry.families_for("detection" if detects else "classification", options.model, options.license)
    parts = hold_out(training, options.seed, groups)
    # Composed scenes have the size that they should be seen at.
    may_tile = detects and training is original
    tiling = tiles.choose(training, options.tiling, options.image_size, on_gpu=on_gpu) if may_tile else None
    seen, image_size = training, options.image_size
    if tiling is not None:
        image_size = image_size or tiles.seen_px(tiling, training)
        parts = tiles.cut_parts(parts, tiling, image_size, options.seed, on_gpu=on_gpu)
        seen = (*parts.train, *parts.holdout)
    images = len(parts.train)
    weights = find(registry.offers(names, options.model, device, images))
    name = next(name for name in names if len(names) == 1 or registry.family(name).knows(weights.model))
    family = registry.family(name)
    multi_label = any(len(s.labels) > 1 for s in original)
    data = Data(seen, images, multi_label, weights.path is not None, on_gpu, _memory_gib(device))
    defaults = family.defaults(data)
    labels = {label for s in training for label in s.labels}
    if detects:
        labels = {label for s in training for label, _ in s.boxes} | {label for s in original for label in s.labels}
    epochs = options.epochs or (_hurried(defaults.epochs) if options.quality == "fast" else defaults.epochs)
    plan = TrainingPlan(
        family=name,
        model=weights.model,
        labels=tuple(sorted(labels)),
        train=parts.train,
        holdout=parts.holdout,
        multi_label=multi_label and not detects,
        device=device,
        image_size=family.whole_size(image_size or defaults.image_size),
        batch=options.batch or defaults.batch,
        epochs=epochs,
        patience=planning.patience(options.patience, epochs, options.time_budget_s),
        seed=options.seed,
        weights=options.weights,
        time_budget_s=options.time_budget_s,
        offline=offline,
        precision=options.precision,
        is_epochs_asked=options.epochs is not None,
        most_boxes=most_boxes(training),
        tiling=tiling,
    )
    return Decision(plan, weights, data, defaults)


def _hurried(epochs: int) -> int:
    """A third: a first look at what the data are good for."""
    return max(_LEAST_EPOCHS, math.ceil(epochs / 3))


def train_model(
    plan: TrainingPlan, weights: WeightsChoice, model_dir: Path, report: Report, cancelled: Cancelled
) -> ModelCard:
    """Train, and find the form that will serve; goes on where an earlier start of the same training was.

    Args:
        model_dir: for the model; checkpoints lie beside it.
    """
    kept = model_dir.with_name("checkpoint")
    done, key = kept / "trained.json", _key(plan)
    card = _trained_before(done, key)
    if card is not None:
        # Of what is trained only what the forms must agree on is looked at again.
        plan = replace(plan, train=(), holdout=plan.holdout[:_AGREEMENT_IMAGES])
    began = time.monotonic()
    plan = tiles.cut(plan, model_dir.with_name("tiles"), report, cancelled)
    if plan.tiling is not None and plan.time_budget_s is not None:
        plan = replace(plan, time_budget_s=max(_LEAST_BUDGET_S, plan.time_budget_s - (time.monotonic() - began)))
    if card is None:
        card = _train_in_memory(plan, weights, model_dir, report, cancelled, kept)
        card = replace(card, preprocessing={**card.preprocessing, **of_whole_images(plan)})
        sync_tree(model_dir)
        kept.mkdir(exist_ok=True)
        write_durably(done, json.dumps({"key": key, "card": asdict(card)}).encode())
    report(Progress("exporting"))
    probes = [sample.path for sample in plan.holdout[:_AGREEMENT_IMAGES]]
    forms = choose_forms(card, model_dir, plan.device, probes, report, is_exact=plan.precision == "float32")
    kind = plan.device.partition(":")[0]
    peak = {"peak_gpu_memory_mb": round(torch.cuda.max_memory_reserved(plan.device) / 2**20)} if kind == "cuda" else {}
    registry.write_card(model_dir, card, {"device": kind, **peak, **forms})
    return card


def of_whole_images(plan: TrainingPlan) -> dict[str, Any]:
    """What a model must know of the images that its network never saw as such."""
    found: dict[str, Any] = {"most_boxes": plan.most_boxes} if plan.train and plan.train[0].boxes else {}
    return found if plan.tiling is None else {**found, "tiling": plan.tiling._asdict()}


def _key(plan: TrainingPlan) -> str:
    """Of everything that a training follows from; where the weights came from shows in the checkpoint itself."""
    short = asdict(replace(plan, train=(), holdout=(), time_budget_s=None))
    return json.dumps([short, fingerprint(plan.train), fingerprint(plan.holdout)], sort_keys=True)


def _trained_before(done: Path, key: str) -> ModelCard | None:
    """The card of a training that ended before its process did."""
    try:
        found = json.loads(done.read_bytes())
    except (OSError, ValueError):
        return None
    return registry.card_of(found["card"]) if found["key"] == key else None


def _train_in_memory(
    plan: TrainingPlan, weights: WeightsChoice, model_dir: Path, report: Report, cancelled: Cancelled, kept: Path
) -> ModelCard:
    """Train; where the device's memory is too small, again in batches of half the size.

    Raises:
        RuntimeError: the device holds no batch of `_LEAST_BATCH` images either.
    """
    began = time.monotonic()
    while True:
        try:
            checkpoints = Checkpoints(kept, _key(plan))
            return registry.trainer(plan.family).train(plan, weights, model_dir, report, cancelled, checkpoints)
        except RuntimeError as error:
            half = plan.batch // 2
            if plan.device == "cpu" or half < _LEAST_BATCH or not is_memory_error(error):
                raise
        # Only now: what was in the way is freed with the error.
        gc.collect()
        if plan.device.startswith("cuda"):
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(plan.device)
        report(Progress("training", note=smaller_batch(plan.batch, half)))
        budget = plan.time_budget_s
        if budget is not None:
            budget = max(_LEAST_BUDGET_S, budget - (time.monotonic() - began))
        plan = replace(plan, batch=half, time_budget_s=budget)


def predict_all(predictor: Predictor, samples: Sequence[Sample], report: Report) -> list[list[Detection]]:
    """Predictions for all samples, decoded and batched as serving does it."""
    found: list[list[Detection]] = []
    for start in range(0, len(samples), _EVALUATION_BATCH):
        found += predict(predictor, [sample.path for sample in samples[start : start + _EVALUATION_BATCH]])
        report(Progress("evaluating", len(found), len(samples)))
    return found


def evaluate_and_save(
    files: ResultFiles,
    plan: TrainingPlan,
    card: ModelCard,
    model_dir: Path,
    train_samples: Sequence[Sample],
    test_samples: Sequence[Sample],
    report: Report,
    contest: Sequence[dict[str, Any]] = (),
) -> None:
    """Evaluate on the test set through the runtime that will serve, write the files, and complete the model's card.

    Args:
        contest: how recipes did that competed, see `contest.Row`.
    """
    predictor = registry.load_predictor(model_dir, "cpu" if plan.device == "cpu" else plan.device)
    predictions = predict_all(predictor, test_samples, report)
    matched = [match_image(found, sample) for found, sample in zip(predictions, test_samples, strict=True)]
    evaluation = evaluate(card.labels, test_samples, matched)
    ended_ms = time.time_ns() // 1_000_000
    created = results.timestamp(ended_ms)
    detects = registry.family(plan.family).task == "detection"
    matrix = None if detects else confusion(card.labels, test_samples, predictions, evaluation.thresholds)
    counts = (len(train_samples), len(test_samples))
    summary = results.evaluation_summary(evaluation, card.labels, matrix, counts, files.arn, ended_ms)
    snapshots = results.Snapshots(card.labels, evaluation.thresholds, created)
    report(Progress("saving"))
    evidence.write(model_dir, test_samples, matched)
    files.add_evaluation(
        evaluation.f1,
        files.write(results.SUMMARY, results.json_file(summary)),
        files.write(results.TRAINING_TRUTH, results.json_lines([snapshots.line(s) for s in train_samples])),
        files.write(results.TESTING_TRUTH, results.json_lines(_test_lines(snapshots, test_samples, matched))),
    )
    on_new_images = expected(evidence.judged_of(test_samples, matched), card.labels)
    also = {"contest": list(contest)} if contest else {}
    _complete_card(model_dir, card, evaluation, on_new_images, train_samples, test_samples, also)


def _test_lines(snapshots: results.Snapshots, samples: Sequence[Sample], matched: Sequence[list[Match]]) -> list[str]:
    return [snapshots.line(sample, matches) for sample, matches in zip(samples, matched, strict=True)]


def _complete_card(
    model_dir: Path,
    card: ModelCard,
    evaluation: Evaluation,
    on_new_images: Expected | None,
    training: Sequence[Sample],
    testing: Sequence[Sample],
    also: dict[str, Any],
) -> None:
    """Add what is needed to run and to understand the model years later."""
    _, extra = registry.read_card(model_dir)
    ahead = outlook(card.history)
    extra |= also
    extra |= {
        "outlook": ahead and ahead._asdict(),
        "thresholds": evaluation.thresholds,
        "served_thresholds": evaluation.served,
        "f1": evaluation.f1,
        "expected": on_new_images and on_new_images._asdict(),
        "average_precision": evaluation.mean("average_precision"),
        "data": {
            "training_images": len(training),
            "testing_images": len(testing),
            "training_fingerprint": fingerprint(training),
            "testing_fingerprint": fingerprint(testing),
        },
        "versions": {"rcl": __version__, **installed()},
        "files": sealed(model_dir),
        "saved": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    registry.write_card(model_dir, card, extra)
