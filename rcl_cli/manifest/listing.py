"""Manifest lines written back with what was found: as listings and validation manifests show them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rcl_cli.manifest.document import COMPUTED_KEYS, METADATA_SUFFIX, compact, load

if TYPE_CHECKING:
    from rcl_cli.manifest.checks import Problem
    from rcl_cli.manifest.line import Line

_COMPUTED = re.compile(f'"(?:{"|".join(sorted(COMPUTED_KEYS))})"')


def _place(document: dict[str, Any], problem: Problem) -> dict[str, Any]:
    """The object inside the document that carries a problem."""
    holder: Any = None
    if problem.code.level == "attribute":
        holder = document.get(problem.attribute)
    elif problem.code.level == "metadata":
        holder = document.get(problem.attribute + METADATA_SUFFIX)
    elif problem.code.level == "annotation" and problem.annotation is not None:
        holder = document[problem.attribute]["annotations"][problem.annotation]
    # An attribute that is a bare number (or no object at all) has no room for a list; the line has.
    return holder if isinstance(holder, dict) else document


def _annotate(document: dict[str, Any], problems: tuple[Problem, ...], errors: str, warnings: str) -> None:
    for problem in problems:
        key = warnings if problem.code.is_warning else errors
        _place(document, problem).setdefault(key, []).append(problem.code.entry(problem.attribute))


def _may_have_computed(text: str) -> bool:
    """Whether a line may hold what an earlier listing wrote into it; most are told by a few quick looks."""
    ends_alike = 'errors"' in text or 'warnings"' in text or 'cl-metadata"' in text
    return ends_alike and bool(_COMPUTED.search(text))


def _compacted(text: str) -> str:
    """JSON without the spaces between its words."""
    if len(text.split(None, 1)) == 1:
        return text.strip()
    from msgspec import DecodeError
    from msgspec.json import format as formatted

    try:
        return formatted(text.strip(), indent=-1)
    except (DecodeError, RecursionError):
        # It is more particular than what took the line in; spaces mean nothing.
        return text.strip()


def listing(text: str, *, is_labeled: bool, has_errors: bool) -> str:
    """A dataset's line as ListDatasetEntries returns it: its own keys, `cl-metadata`, then errors where they belong.

    Args:
        is_labeled, has_errors: what is known of the line already.
    """
    if not has_errors and not _may_have_computed(text):
        # Most lines, and most of a page's time: there is nothing to take out and one thing to add.
        return f'{_compacted(text)[:-1]},"cl-metadata":{{"is_labeled":{"true" if is_labeled else "false"}}}}}'
    document = load(text) or {}
    document["cl-metadata"] = {"is_labeled": is_labeled}
    if has_errors:
        from rcl_cli.manifest.line import parse_line

        _annotate(document, parse_line(text).listed_errors, "cl-errors", "cl-warnings")
    return compact(document)


def validation(line: Line, extra: tuple[Problem, ...] = ()) -> str:
    """The line as a validation manifest shows it: `errors` and `warnings` lists at the level of each code."""
    document = load(line.text) or {}
    _annotate(document, line.problems + extra, "errors", "warnings")
    return compact(document)
