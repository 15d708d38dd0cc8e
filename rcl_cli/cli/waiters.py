"""`rcl wait …`: the service's waiters, polling the local store often, with a live bar on a terminal."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

from rcl_cli.api.model import load
from rcl_cli.api.names import kebab
from rcl_cli.cli.operation import BadArguments, Call, Parser, parse_request
from rcl_cli.cli.params import PlainError
from rcl_cli.errors import ServiceError

LOCAL_DELAY_S = 0.5


def waiter_names() -> dict[str, str]:
    """Command name to waiter name."""
    return {kebab(name): name for name in load().waiters}


def _extra_words(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--delay", type=float, default=LOCAL_DELAY_S)
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


def run_waiter(name: str, words: list[str], call: Call, watch: Callable[[list[dict[str, Any]]], None]) -> None:
    """Poll until the waiter's condition holds.

    Args:
        name: of the waiter, CamelCase.
        watch: sees every answer, for showing progress.

    Raises:
        PlainError: it failed or took too many attempts.
    """
    extra, rest = _extra_words(words)
    if not 0 < extra.delay < 1e6:
        raise BadArguments("argument --delay: must be a number of seconds above 0")
    waiter = load().waiters[name]
    operation = load().operation(waiter["operation"])
    params, _ = parse_request(operation, rest)
    # As long as AWS's own waiters would wait, in our smaller steps.
    attempts = extra.max_attempts or int(waiter["delay"] * waiter["maxAttempts"] / extra.delay)
    for attempt in range(attempts):
        if attempt:
            time.sleep(extra.delay)
        try:
            described = call(operation.name, params)["ProjectVersionDescriptions"]
        except ServiceError as error:
            raise PlainError(f"Waiter {name} failed: An error occurred ({error.code}): {error.message}") from error
        watch(described)
        found = _outcome(waiter["acceptors"], [one["Status"] for one in described])
        if found is None:
            continue
        state, acceptor = found
        if state == "success":
            return
        times = "at least once" if acceptor["matcher"] == "pathAny" else "for all elements"
        raise PlainError(
            f"Waiter {name} failed: Waiter encountered a terminal failure state: For expression "
            f'"{acceptor["argument"]}" we matched expected path: "{acceptor["expected"]}" {times}'
        )
    raise PlainError(f"Waiter {name} failed: Max attempts exceeded")


class Watcher:
    """Shows trainings: a live bar on a terminal, nothing elsewhere.

    Args:
        progress: the structured progress of a version's training, None where there is none.
    """

    def __init__(self, progress: Callable[[str], dict[str, Any] | None]) -> None:
        self._progress = progress
        self._bars: dict[str, Any] = {}
        self._display: Any = None

    def __enter__(self) -> Watcher:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[detail]}"),
            )
            self._display = Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=False)
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
            progress = self._progress(arn) if one["Status"] == "TRAINING_IN_PROGRESS" else None
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
