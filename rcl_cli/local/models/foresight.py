"""What a training would be like: the plan that would be made of a project's images now, and why.

Only some of the images are looked at, and nothing is changed. It needs torch, so servers let another
process tell them: `python -m rcl_cli.local.models.foresight PROJECT_ARN OPTIONS`, the options as a JSON object.
"""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from rcl_cli.buckets.fetch import ImageFetcher
from rcl_cli.child import command, environment
from rcl_cli.context import Context, make_context
from rcl_cli.domain import Sample
from rcl_cli.errors import RclError, ServiceError, UsageError
from rcl_cli.imaging.decode import read_header
from rcl_cli.local.datasets.sources import lines_of
from rcl_cli.manifest import codes
from rcl_cli.manifest.checks import Problem
from rcl_cli.manifest.line import Line, parse_line
from rcl_cli.manifest.split import CannotSplitError
from rcl_cli.manifest.training import CheckedLine, FileCheck, TrainingCheck, check_pair
from rcl_cli.operations.resources import find_project
from rcl_cli.scratch import scratch
from rcl_cli.store import datasets, tags
from rcl_cli.training.options import TrainingOptions, from_tags, resolve_options

# Of so many images the size is looked up; the others are taken to have the median.
_LOOKED_AT = 200
_LONGEST_S = 300
_REFUSED = 3
ASKED = "Asked for, here or in the settings."


class Choice(NamedTuple):
    """What would be done about something.

    Args:
        what: an option of trainings, or what the plan is besides.
        is_asked: somebody asked for it: a tag of the project, a setting, or an option that was given.
    """

    what: str
    value: str
    why: str
    is_asked: bool = False


@dataclass(frozen=True, slots=True)
class Foresight:
    """A plan; or why there would be none.

    Args:
        trouble: what the training would end with at once; empty else.
    """

    trouble: str
    choices: tuple[Choice, ...] = ()


def foresee(context: Context, project_arn: str, given: Mapping[str, str]) -> Foresight:
    """Plan, as a training that began now would.

    Args:
        given: options for this training.

    Raises:
        ResourceNotFound: there is no such project.
        UsageError: it has no images to train on.
        InvalidParameter: an option that does not exist, or a value that it can't have.
        ConfigError: a device or weights that are not there.
    """
    from rcl_cli.training.prepare import samples_of, split_lines

    with context.database.read() as db:
        project = find_project(db, project_arn)
        asked = from_tags(tags.of(db, project.arn))
        there = {one.type: one for one in datasets.of_project(db, project.id)}
    options = resolve_options(context.config.training, asked, given)
    if "TRAIN" not in there:
        raise UsageError(f"The project {project.name} has no images to train on.")
    with scratch("foresight") as folder:
        fetcher = ImageFetcher(context.buckets, folder)
        train, test = (
            FileCheck(_looked_at([parse_line(text) for text in lines_of(context, there[kind])], fetcher, options.seed))
            if kind in there else None
            for kind in ("TRAIN", "TEST")
        )  # fmt: skip
    assert train is not None  # noqa: S101 - for mypy
    is_split = test is None
    try:
        if test is None:
            train.lines, rest = split_lines(train.lines, options.seed)
            test = FileCheck(rest)
        check = check_pair(train, test)
    except CannotSplitError as error:
        return Foresight(str(error))
    if check.terminal is not None:
        return Foresight(check.terminal.message)
    has_boxes = check.use_case == "OBJECT_LOCALIZATION" and not check.brand
    samples = samples_of(check.training.lines, "box" if has_boxes else "image")
    choices = _choices(context, check, samples, options, is_split=is_split)
    named = {*context.config.training, *asked, *given}
    return Foresight("", tuple(one._replace(why=ASKED, is_asked=True) if one.what in named else one for one in choices))


def _looked_at(lines: Sequence[Line], fetcher: ImageFetcher, seed: int) -> list[CheckedLine]:
    """Lines with the sizes of their images: looked up for some, likely for the others."""
    usable = [number for number, line in enumerate(lines) if line.labels]
    chosen = random.Random(seed).sample(usable, min(len(usable), _LOOKED_AT))
    known = {number: _with_size(lines[number], fetcher) for number in chosen}
    sizes = [(one.width, one.height) for one in known.values() if one.path]
    width, height = (int(median(one)) for one in zip(*sizes, strict=True)) if sizes else (640, 480)
    return [
        known.get(number) or CheckedLine(line, (), line.source_ref, width, height) for number, line in enumerate(lines)
    ]


def _with_size(line: Line, fetcher: ImageFetcher) -> CheckedLine:
    try:
        header = read_header(fetcher.fetch(line.source_ref))
    except Exception:  # noqa: BLE001 - whatever is wrong with one image must not end it
        return CheckedLine(line, (Problem(codes.INVALID_IMAGE),))
    return CheckedLine(line, (), line.source_ref, header.width, header.height)


def _choices(
    context: Context, check: TrainingCheck, samples: list[Sample], options: TrainingOptions, *, is_split: bool
) -> Iterator[Choice]:
    from rcl_cli.backends import registry
    from rcl_cli.backends.base import WeightsChoice
    from rcl_cli.backends.weights.choice import Offer, choose_weights
    from rcl_cli.training.stages import decide

    def not_fetched(offer: Offer, _cache: Path, _report: Any) -> Path:
        return Path(offer.url or "")

    def find(offers: Sequence[Offer]) -> WeightsChoice:
        return choose_weights(
            options.weights, offers, context.layout.weights_cache, lambda _: None, offline=context.config.offline,
            fetch=not_fetched,
        )  # fmt: skip

    given = samples
    if check.brand:
        from rcl_cli.training.brand import SCENE_PX, scene_count

        # Not composed for this: as many, of their size.
        given = [replace(one, width=SCENE_PX[0], height=SCENE_PX[1]) for one in samples]
        given = [given[number % len(given)] for number in range(scene_count(len(samples)))]
    plan, weights, data, defaults = decide(
        check.use_case, given, samples, options, find, offline=context.config.offline
    )
    reasons = registry.family(plan.family).reasons(data, defaults)
    detects = check.use_case == "OBJECT_LOCALIZATION"
    what = "boxes" if detects else "labels of whole images"
    told = f"{len(samples):,} training images have {'boxes' if detects else 'labels'}."
    if check.brand:
        told = f"{len(samples):,} logos are composed into {len(given):,} scenes, for the test images have boxes."
    yield Choice("task", what, told)
    tests = "A fifth of the images, of each label as many: there is no test set." if is_split else "The test set."
    yield Choice("tested on", f"{len(check.testing.lines):,} images", tests)
    yield Choice("held out", f"{len(plan.holdout):,} images", "They tell which epoch is best, and are not trained on.")
    yield Choice("device", plan.device, "The fastest that torch sees here.")
    yield Choice("model", plan.model, reasons.get("model", ""))
    yield Choice("weights", weights.source, "" if weights.path else "Nothing to start from was found.")
    # How large things are in scenes shows when they are composed.
    for name in ("epochs", "batch") if check.brand else ("image_size", "epochs", "batch"):
        yield Choice(name, f"{getattr(plan, name):,}", reasons.get(name, ""))
    yield Choice("patience", f"{plan.patience:,}", "Epochs without anything better before it ends early.")


# --- by another process -----------------------------------------------------------------------------------------------


def foresee_apart(context: Context, project_arn: str, given: Mapping[str, str]) -> Foresight:
    """As `foresee`, in another process.

    Raises:
        UsageError: what `foresee` raises, in its words.
        RclError: the process failed.
    """
    words = command(__name__, project_arn, json.dumps(dict(given)))
    more = environment(RCL_HOME=str(context.layout.home), AWS_REGION=context.region)
    try:
        done = subprocess.run(
            words, env=more, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_LONGEST_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RclError(f"The plan could not be made: {error}.") from error
    if done.returncode not in (0, _REFUSED):
        last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        raise RclError(f"The plan could not be made: {last}.")
    document = json.loads(done.stdout)
    if done.returncode == _REFUSED:
        raise UsageError(document["refused"])
    return Foresight(document["trouble"], tuple(Choice(*one) for one in document["choices"]))


def main() -> int:
    project_arn, given = sys.argv[1:]
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # Libraries have things to say.
    with redirect_stdout(io.StringIO()):
        try:
            document: dict[str, Any] = asdict(foresee(make_context(), project_arn, json.loads(given)))
        except (ServiceError, RclError) as error:
            document = {"refused": str(error)}
    json.dump(document, out)
    out.close()
    return _REFUSED if "refused" in document else 0


if __name__ == "__main__":
    sys.exit(main())
