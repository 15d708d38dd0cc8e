"""What people know labels by while they label: a colour and a key each, for a project.

Kept in a file a project beside the store: AWS has no place for them, and nothing else depends on them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from rcl_cli.context import Context
from rcl_cli.durable import alone, write_durably
from rcl_cli.errors import InvalidParameter
from rcl_cli.operations.resources import find_project
from rcl_cli.store import projects

_COLOUR, KEYS = re.compile(r"#[0-9a-f]{6}"), "123456789"


class Sign(NamedTuple):
    """Of a label.

    Args:
        colour: `#rrggbb`; empty for the one that its place among the labels gives it.
        key: of `KEYS`; empty likewise.
    """

    colour: str = ""
    key: str = ""


Signs = dict[str, Sign]


def signs_of(context: Context, project_arn: str) -> Signs:
    """The signs that somebody chose, by label."""
    return _read(_path(context, project_arn), project_arn)


def set_sign(
    context: Context, project_arn: str, label: str, *, colour: str | None = None, key: str | None = None
) -> None:
    """Choose a colour or a key for a label, or both; a key that another one has is taken from that.

    Args:
        colour, key: as of `Sign`; None to leave it.

    Raises:
        ResourceNotFound: there is no such project.
        InvalidParameter: it is no colour, or no key.
        OSError: it can't be kept.
    """
    if colour and not _COLOUR.fullmatch(colour):
        raise InvalidParameter("A colour is written #rrggbb.")
    if key and key not in tuple(KEYS):
        raise InvalidParameter(f"A key is one of {', '.join(KEYS)}.")

    def change(signs: Signs) -> Signs:
        others = {name: one._replace(key="") if key and one.key == key else one for name, one in signs.items()}
        before = signs.get(label, Sign())
        return {**others, label: Sign(before.colour if colour is None else colour, before.key if key is None else key)}

    _change(context, project_arn, change)


def rename_sign(context: Context, project_arn: str, label: str, to: str | None) -> None:
    """Let a label's sign go with its new name, unless that has one; with None it goes.

    Raises:
        ResourceNotFound, OSError: as `set_sign`.
    """
    if label not in signs_of(context, project_arn):
        return

    def change(signs: Signs) -> Signs:
        sign = signs.pop(label, Sign())
        return signs if to is None else {to: sign, **signs}

    _change(context, project_arn, change)


def _change(context: Context, project_arn: str, change: Callable[[Signs], Signs]) -> None:
    path = _path(context, project_arn)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with alone(path.parent / "lock"), context.database.read() as db:
        find_project(db, project_arn)
        signs = {name: sign for name, sign in change(_read(path, project_arn)).items() if sign != Sign()}
        document = {"project": project_arn, "labels": {name: sign._asdict() for name, sign in signs.items()}}
        write_durably(path, json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        _sweep(path.parent, lambda arn: projects.by_arn(db, arn) is not None)


def _path(context: Context, project_arn: str) -> Path:
    name = hashlib.blake2b(project_arn.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return context.layout.signs / f"{name}.json"


def _read(path: Path, project_arn: str) -> Signs:
    try:
        document = json.loads(path.read_text("utf-8"))
        found = {str(name): Sign(str(one["colour"]), str(one["key"])) for name, one in document["labels"].items()}
        return found if document["project"] == project_arn else {}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        # None was chosen, or the file is damaged: labels have those of their places.
        return {}


def _sweep(folder: Path, is_there: Callable[[str], bool]) -> None:
    """Remove those of projects that are no more."""
    for path in folder.glob("*.json"):
        with suppress(OSError, ValueError, LookupError, TypeError):
            if not is_there(str(json.loads(path.read_text("utf-8"))["project"])):
                path.unlink()
