"""Pages as one HTML file each: no other file, no network, no font of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html import escape
from math import isfinite
from pathlib import Path
from typing import Any

_PAGES = Path(__file__).with_name("pages")
_PLACE = re.compile(r"\{\{(\w+)\}\}")


def finite(value: Any) -> Any:
    """A value with null for numbers that JSON does not have, such as the loss of a training that diverged."""
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _script(name: str) -> str:
    """A module of the console as a part of a script."""
    text = re.sub(r"^import .*\n", "", (_PAGES / name).read_text("utf-8"), flags=re.MULTILINE)
    return text.replace("\nexport ", "\n")


def page(name: str, title: str, data: Mapping[str, Any]) -> str:
    """A page that shows data.

    Args:
        name: of its template in `pages/`, whose script finds the data as `data`.
    """
    # A label may say `</script>`: nothing in the data may end the element that holds it.
    text = json.dumps(finite(data), ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    places = {
        "title": escape(title),
        "style": (_PAGES / "style.css").read_text("utf-8"),
        "common": "".join(map(_script, ("drawing.js", "charts.js", "common.js"))),
        "data": text,
    }
    # In one go: what was filled in is not looked at again.
    return _PLACE.sub(lambda place: places[place[1]], (_PAGES / f"{name}.html").read_text("utf-8"))
