"""`rcl train`: from a folder of pictures to a running model in one command."""

from __future__ import annotations

import argparse
import json
import shlex
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rcl_cli.api.names import kebab
from rcl_cli.cli.terminal import console
from rcl_cli.cli.writing import write_text
from rcl_cli.errors import RclError, UsageError
from rcl_cli.formats.registry import FORMATS
from rcl_cli.status import VersionStatus

if TYPE_CHECKING:
    from rcl_cli.context import Context

_POLL_S = 0.3


@click.command()
@click.argument("source", required=False, type=click.Path(path_type=Path))
@click.option("--name", metavar="NAME", help="The project's name; without it, that of the folder or file.")
@click.option("--format", "form", type=click.Choice(tuple(FORMATS)), help="Found out if it is not given.")
@click.option(
    "--images",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder to look for images in, if they lie elsewhere than the files say.",
)
@click.option("--set", "settings_given", multiple=True, metavar="OPTION=VALUE", help="A training option: epochs=50.")
@click.option("--report/--no-report", default=True, help="Whether a page about it is written.  [default: report]")
@click.option("--start/--no-start", default=True, help="Whether the model is started.  [default: start]")
@click.pass_obj
def train(
    settings: Any, source: Path | None, name: str | None, form: str | None, images: Path | None,
    settings_given: tuple[str, ...], report: bool, start: bool,
) -> None:  # fmt: skip
    """Train a model from a folder of pictures, a manifest or an export, and start it.

    SOURCE is whatever `rcl dataset import` reads; without it, the datasets of --name are trained on again. The calls of
    the API that are made are printed, to be repeated in scripts. Ctrl-C only stops watching.

    Example: rcl train ./photos --name pets
    """
    from rcl_cli.local.models import training as quick
    from rcl_cli.training.options import resolve_options

    if source is None and name is None:
        raise UsageError("Give a folder, a manifest or an export to train on, or --name of a project with datasets.")
    options = _options(settings_given)
    # What is wrong with them must not be found out when the datasets are there.
    resolve_options(options)
    context: Context = settings.context()
    project_name = name or quick.project_name_of(source or Path())
    if source is not None:
        _make_datasets(context, source, form, images, project_name)
    version_arn = quick.begin_training(context, project_name, options, tell_call)
    short = "/".join(version_arn.split(":")[5].split("/")[1:4:2])
    click.echo(f"\nTraining {short}. To look at it from elsewhere: rcl logs {short} --follow", err=True)
    try:
        _watch(context, version_arn)
    except KeyboardInterrupt:
        click.echo(
            f"\nThe training goes on. When it is done: rcl thresholds {short} --relax; rcl report {short}; "
            f"rcl start-project-version --project-version-arn {short} --min-inference-units 1",
            err=True,
        )
        raise
    _show_evaluation(context, version_arn)
    _warn_of_no_weights(context, version_arn)
    _relax(context, version_arn, short)
    _tell_of_comparison(context, project_name, short)
    if report:
        _write_report(context, version_arn, Path(f"{short.replace('/', '-')}-report.html"))
    if start:
        _start(context, version_arn)
        click.echo(f"\nThe model is running. Try it:\n  rcl detect {short} PICTURE.jpg --draw found.png", err=True)
    else:
        click.echo(f"\nStart it with: rcl start-project-version --project-version-arn {short} "
                   "--min-inference-units 1", err=True)  # fmt: skip
    click.echo(version_arn)


def _options(given: Sequence[str]) -> dict[str, str]:
    """Training options from `name=value` words."""
    found = {}
    for text in given:
        option, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text}: it must be OPTION=VALUE, such as epochs=50.")
        found[option.strip()] = value
    return found


def _make_datasets(context: Context, source: Path, form: str | None, images: Path | None, project_name: str) -> None:
    from rcl_cli.cli.local.dataset import WHERE_BUCKETS_LIE, counting, summary
    from rcl_cli.formats.record import Notes
    from rcl_cli.local.datasets.imports import buckets_not_there, collected, make_datasets

    notes = Notes()
    with counting("reading") as step, collected(source, form, images, None, notes, step) as found:
        if missing := buckets_not_there(context, found):
            raise RclError(f"Images are in buckets that are not there: {', '.join(missing)}. {WHERE_BUCKETS_LIE}.")
        called = make_datasets(context, found, project_name, notes)
        summary(found.parts(), notes)
    for one in called:
        tell_call(one.operation, one.params)


def tell_call(operation: str, params: Mapping[str, object], program: str = "rcl") -> None:
    """Print a call of the API as the command line that makes it."""
    words = [*program.split(), kebab(operation)]
    for name, value in params.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        words += [f"--{kebab(name)}", text]
    click.echo(f"+ {shlex.join(words)}", err=True)


def _watch(context: Context, version_arn: str) -> None:
    """Wait for the end of a training, with a bar on a terminal.

    Raises:
        PlainError: it failed.
    """
    from rcl_cli.cli.aws.waiters import wait_for_training
    from rcl_cli.local.models.watching import training_progress
    from rcl_cli.operations.invoke import invoke

    wait_for_training(
        version_arn,
        partial(invoke, context),
        argparse.Namespace(endpoint_url=None),
        lambda arn: training_progress(context, arn),
    )


def _show_evaluation(context: Context, version_arn: str) -> None:
    """The figures of each label, on stderr."""
    from rich.table import Table
    from rich.text import Text

    from rcl_cli.local.models.training import evaluation_of

    summary = evaluation_of(context, version_arn)
    table = Table(title=f"on {summary['EvaluationDetails']['NumberOfTestingImages']} test images")
    for heading in ("label", "F1", "precision", "recall", "threshold", "test images"):
        table.add_column(heading, justify="left" if heading == "label" else "right")
    for one in summary["LabelEvaluationResults"]:
        figures = [one["Metrics"][key] for key in ("F1Score", "Precision", "Recall", "Threshold")]
        table.add_row(Text(one["Label"]), *(f"{figure:.3f}" for figure in figures), str(one["NumberOfTestingImages"]))
    table.add_section()
    whole = summary["AggregatedEvaluationResults"]
    table.add_row("all", *(f"{whole[key]:.3f}" for key in ("F1Score", "Precision", "Recall")))
    console(stderr=True).print(table)


def _warn_of_no_weights(context: Context, version_arn: str) -> None:
    """Say so where a model had to learn to see first."""
    from rcl_cli.backends.registry import read_card
    from rcl_cli.local.models.watching import named_version

    card, _ = read_card(context.layout.model(named_version(context, version_arn).id))
    if card.weights_source.startswith("none"):
        click.echo(
            "\nThis model was trained from scratch, without pretrained weights: with a network, or with --set "
            "weights=FILE, it needs far fewer images. See rcl logs for why.",
            err=True,
        )


def _relax(context: Context, version_arn: str, short: str) -> None:
    """Let labels count from a little below their lowest right score on; small test sets have few."""
    from rcl_cli.local.models.thresholds import relax
    from rcl_cli.local.models.watching import named_version

    relax(context, named_version(context, version_arn), ())
    click.echo(f"+ rcl thresholds {shlex.quote(short)} --relax", err=True)


def _tell_of_comparison(context: Context, project_name: str, short: str) -> None:
    """Say how to hold the version against the one that was trained before it."""
    from rcl_cli.local.home.overview import versions_of

    name = short.rpartition("/")[2]
    before = next((row for row in versions_of(context, project_name) if row.f1 is not None and row.name != name), None)
    if before is not None:
        click.echo(f"\nAgainst the version before: rcl compare {project_name}/{before.name} {short}", err=True)


def _write_report(context: Context, version_arn: str, target: Path) -> None:
    from rcl_cli.local.models.report import report_of
    from rcl_cli.local.models.watching import named_version
    from rcl_cli.render.page import page

    found = report_of(context, named_version(context, version_arn))
    try:
        write_text(target, page("report", found["title"], found))
    except RclError as error:
        # The model is trained all the same.
        click.echo(f"\nNo report was written: {error}", err=True)
        return
    click.echo(f"\nA report for your browser: {target}", err=True)


def _start(context: Context, version_arn: str) -> None:
    """Start the model, and wait until it runs.

    Raises:
        RclError: it did not.
    """
    from rcl_cli.local.models.watching import named_version
    from rcl_cli.operations.invoke import invoke

    params = {"ProjectVersionArn": version_arn, "MinInferenceUnits": 1}
    invoke(context, "StartProjectVersion", params)
    tell_call("StartProjectVersion", params)
    while (version := named_version(context, version_arn)).status == VersionStatus.STARTING:
        time.sleep(_POLL_S)
    if version.status != VersionStatus.RUNNING:
        raise RclError(f"The model did not start: {version.message}")
