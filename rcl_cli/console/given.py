"""What pages send, read or refused; and what they are given of entries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rcl_cli.domain import Box
from rcl_cli.errors import InvalidParameter
from rcl_cli.local.labelling.gallery import PARTS, Shown
from rcl_cli.local.labelling.lines import Drawn, Labelling, labelling_of
from rcl_cli.local.labelling.saving import Saved


def entry_json(entry: Shown) -> dict[str, Any]:
    return {
        "dataset": entry.dataset_arn, "part": entry.part, "position": entry.position,
        "source_ref": entry.source_ref, "is_labeled": entry.is_labeled, "has_errors": entry.has_errors,
        "line": entry.saved.line, "mark": entry.saved.mark, **_labelling_json(entry.labelling),
    }  # fmt: skip


def saved_json(saved: Saved) -> dict[str, Any]:
    return {
        "line": saved.line,
        "mark": saved.mark,
        "by_others": saved.by_others,
        **_labelling_json(labelling_of(saved.line)),
    }


def _labelling_json(labelling: Labelling) -> dict[str, Any]:
    boxes = [{"label": one.label, "box": list(one.box), "place": one.place} for one in labelling.boxes]
    return {"labels": list(labelling.labels), "boxes": boxes}


def given_labelling(given: Mapping[str, Any]) -> Labelling:
    boxes = given.get("boxes")
    if not isinstance(boxes, list):
        raise InvalidParameter("There are no boxes.")
    drawn = []
    for one in boxes:
        sides = one.get("box") if isinstance(one, dict) else None
        if not isinstance(sides, list) or len(sides) != 4 or not all(map(_is_number, sides)):
            raise InvalidParameter("A box has four numbers.")
        place = one.get("place")
        drawn.append(Drawn(given_text(one.get("label")), Box(*sides), None if place is None else given_count(place)))
    return Labelling(tuple(given_texts(given.get("labels"))), tuple(drawn))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9


def given_text(value: Any) -> str:
    if not isinstance(value, str) or any("\ud800" <= one <= "\udfff" for one in value):
        raise InvalidParameter("A text is missing, or is none.")
    return value


def given_texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise InvalidParameter("A list of texts is missing.")
    return [given_text(one) for one in value]


def given_positions(value: Any) -> dict[str, list[int]]:
    if not isinstance(value, dict) or not all(isinstance(every, list) for every in value.values()):
        raise InvalidParameter("Entries are positions by dataset.")
    return {given_text(arn): sorted({given_count(position) for position in every}) for arn, every in value.items()}


def given_flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def given_count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise InvalidParameter("A whole number is missing.")
    return value


def given_places(value: Any) -> list[tuple[str, int]]:
    if not isinstance(value, list) or not all(isinstance(one, list) and len(one) == 2 for one in value):
        raise InvalidParameter("Entries are pairs of dataset and position.")
    return [(given_text(arn), given_count(position)) for arn, position in value]


def given_numbers(value: Any) -> dict[str, float]:
    if not isinstance(value, dict) or not all(map(_is_number, value.values())):
        raise InvalidParameter("Numbers by name are missing.")
    return {given_text(name): float(number) for name, number in value.items()}


def given_part(value: Any) -> str:
    if value not in PARTS:
        raise InvalidParameter("The part is TRAIN or TEST.")
    return str(value)
