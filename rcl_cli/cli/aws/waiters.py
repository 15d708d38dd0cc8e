"""`rcl wait …`: the service's waiters, polling the local store often, with a live bar on a terminal."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

from rcl_cli.api.model import load
from rcl_cli.api.names import kebab
from rcl_cli.cli.aws.operation import Connect, Parser, parse_request, run_operation
from rcl_cli.cli.aws.paging import Call
from rcl_cli.cli.aws.params import PlainError
from rcl_cli.cli.terminal import console, say
from rcl_cli.cli.usage import BadArguments
from rcl_cli.errors import ServiceError
from rcl_cli.status import VersionStatus

LOCAL_DELAY_S = 0.5
Progress = Callable[[str], dict[str, Any] | None]


def waiter_names() -> dict[str, str]:
    """Command name to waiter name."""
    return {kebab(name): name for name in load().waiters}


def _extra_words(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--delay", type=float)
    parser.add_argument("--max-attempts", type=int)
    return parser.parse_known_args(words)


def _outcome(acceptors: list[dict[str, Any]], statuses: list[str]) -> tuple[str, dict[str, Any]] | None:
    """(state, acceptor) of the first acceptor that matches; an empty list never does."""
    for acceptor in acceptors:
        matches = [status == acceptor["expected"] for status in statuses]
        fits = all(matches) if acceptor["matcher"] == "pathAll" else any(matches)
        if statuses and fits:
            return acceptor["state"], acceptor
    return None


def run_waiter(name: str, words: list[str], connect: Connect, progress: Callable[[Any], Progress]) -> None:
    """Poll until the waiter's condition holds.

    Args:
        name: of the waiter, CamelCase.
        connect: makes the door that the options ask for.
        progress: from options to where trainings' progress is told.

    Raises:
        PlainError: it failed or took too many attempts.
    """
    extra, rest = _extra_words(words)
    waiter = load().waiters[name]
    operation = load().operation(waiter["operation"])
    params, values = parse_request(operation, rest)
    if values.generate_cli_skeleton:
        run_operation(operation.name, rest, connect)
        return
    delay = pause_s(waiter, values) if extra.delay is None else extra.delay
    if not 0 < delay < 1e6:
        raise BadArguments("argument --delay: must be a number of seconds above 0")
    # As long as AWS's own waiters would wait, in our smaller steps.
    attempts = (
        int(waiter["delay"] * waiter["maxAttempts"] / delay) if extra.max_attempts is None else extra.max_attempts
    )
    if attempts < 1:
        raise BadArguments("argument --max-attempts: must be 1 or more")
    call = connect(values)
    with Watcher(progress(values)) as watch:
        for attempt in range(attempts):
            if attempt:
                time.sleep(delay)
            described = _described(name, operation.name, params, call)
            watch(described)
            if _is_over(name, waiter["acceptors"], [one["Status"] for one in described]):
                return
    raise PlainError(f"Waiter {name} failed: Max attempts exceeded")


def _described(name: str, operation: str, params: dict[str, Any], call: Call) -> list[dict[str, Any]]:
    try:
        described: list[dict[str, Any]] = call(operation, params)["ProjectVersionDescriptions"]
    except ServiceError as error:
        raise PlainError(f"Waiter {name} failed: An error occurred ({error.code}): {error.message}") from error
    return described


def _is_over(name: str, acceptors: list[dict[str, Any]], statuses: list[str]) -> bool:
    """Whether what was waited for has come.

    Raises:
        PlainError: it never will.
    """
    found = _outcome(acceptors, statuses)
    if found is None:
        return False
    state, acceptor = found
    if state == "success":
        return True
    times = "at least once" if acceptor["matcher"] == "pathAny" else "for all elements"
    raise PlainError(
        f"Waiter {name} failed: Waiter encountered a terminal failure state: For expression "
        f'"{acceptor["argument"]}" we matched expected path: "{acceptor["expected"]}" {times}'
    )


def pause_s(waiter: dict[str, Any], values: argparse.Namespace) -> float:
    """Seconds between two looks: a service far away is asked as seldom as AWS's own waiters ask."""
    return float(waiter["delay"]) if values.endpoint_url else LOCAL_DELAY_S


def wait_for_training(version_arn: str, call: Call, values: argparse.Namespace, progress: Progress) -> None:
    """Watch a training until it ends.

    Raises:
        PlainError: it failed.
    """
    path = version_arn.split(":")[5].split("/")
    short = f"{path[1]}/{path[3]}"
    with Watcher(progress) as watch:
        try:
            while True:
                version = _version_of(version_arn, call)
                watch([version])
                if version["Status"] != VersionStatus.TRAINING_IN_PROGRESS:
                    break
                time.sleep(pause_s(load().waiters["ProjectVersionTrainingCompleted"], values))
        except KeyboardInterrupt:
            say(f"\nThe training goes on. To look again: rcl logs {short} --follow", err=True)
            raise
    if version["Status"] != VersionStatus.TRAINING_COMPLETED:
        raise PlainError(f"The training failed: {version['StatusMessage']}")


def _version_of(version_arn: str, call: Call) -> dict[str, Any]:
    """The description of a version; its project's ARN can't be made from its own, so its projects are asked for."""
    _, project, _, name, _ = version_arn.split(":")[5].split("/")
    projects = call("DescribeProjects", {"ProjectNames": [project]})["ProjectDescriptions"]
    for one in projects:
        params = {"ProjectArn": one["ProjectArn"], "VersionNames": [name]}
        for version in call("DescribeProjectVersions", params)["ProjectVersionDescriptions"]:
            if version["ProjectVersionArn"] == version_arn:
                found: dict[str, Any] = version
                return found
    raise PlainError(f"The version {version_arn} is gone.")


class Watcher:
    """Shows trainings: a live bar on a terminal, nothing elsewhere.

    Args:
        progress: the structured progress of a version's training, None where there is none.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, Any] = {}
        self._display: Any = None

    def __enter__(self) -> Watcher:
        if sys.stderr.isatty():
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.fields[detail]}", markup=False),
            )
            self._display = Progress(*columns, TimeElapsedColumn(), console=console(stderr=True))
            self._display.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._display is not None:
            self._display.stop()

    def __call__(self, described: list[dict[str, Any]]) -> None:
        if self._display is None:
            return
        for one in described:
            arn = one["ProjectVersionArn"]
            if arn not in self._bars:
                self._bars[arn] = self._display.add_task(arn.split("/")[-2], total=None, detail="")
            progress = self._progress(arn) if one["Status"] == VersionStatus.TRAINING_IN_PROGRESS else None
            if progress is None:
                done = {"total": 1, "completed": 1} if not one["Status"].endswith("_IN_PROGRESS") else {}
                self._display.update(self._bars[arn], detail=one["Status"], **done)
                continue
            self._display.update(
                self._bars[arn],
                total=progress.get("steps") or None,
                completed=progress.get("step", 0),
                detail=_detail(progress),
            )


def _detail(progress: dict[str, Any]) -> str:
    parts = [progress["stage"]]
    if progress.get("steps"):
        parts.append(f"{progress.get('step', 0)}/{progress['steps']}")
    if "loss" in progress:
        parts.append(f"loss {progress['loss']:.3g}")
    if "metric" in progress and "value" in progress:
        parts.append(f"{progress['metric']} {progress['value']:.3f}")
    if "eta_s" in progress:
        parts.append(f"{progress['eta_s']:.0f} s left")
    return "  ".join(parts)
