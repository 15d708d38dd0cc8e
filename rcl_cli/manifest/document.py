"""A manifest line as a JSON object, without what an earlier pass wrote into it."""

from __future__ import annotations

import json
import math
from typing import Any

SOURCE_REF = "source-ref"
METADATA_SUFFIX = "-metadata"
# What rcl (or AWS) wrote into an earlier listing or validation manifest; recomputed on every pass.
COMPUTED_KEYS = frozenset({"cl-metadata", "cl-errors", "cl-warnings", "errors", "warnings"})

# What `rcl feedback` writes into a line: where the image came from, which model answered, how it was judged. It is no
# label attribute, and says nothing of labels.
FEEDBACK = "rcl-feedback"


def strip_computed(document: dict[str, Any]) -> dict[str, Any]:
    """A copy without what an earlier pass wrote: into the line, its attributes, their metadata and annotations."""

    def own(node: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in node.items() if k not in COMPUTED_KEYS}

    copy = own(document)
    for attribute in [key for key in copy if key + METADATA_SUFFIX in copy]:
        for key in (attribute, attribute + METADATA_SUFFIX):
            if isinstance(copy[key], dict):
                copy[key] = own(copy[key])
        value = copy[attribute]
        if isinstance(value, dict) and isinstance(value.get("annotations"), list):
            value["annotations"] = [own(a) if isinstance(a, dict) else a for a in value["annotations"]]
    return copy


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is out of range")
    return value


def load(text: str) -> dict[str, Any] | None:
    """The JSON object without computed keys, or None where the text is none."""
    try:
        document = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
        if not isinstance(document, dict):
            return None
        document = strip_computed(document)
        if "\\ud" in text.lower():
            compact(document).encode()  # a lone surrogate can be neither stored nor sent
    except (ValueError, RecursionError):
        return None
    return document


def compact(document: dict[str, Any]) -> str:
    """JSON without spaces, as the service lists entries."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)
