"""A report as one HTML file: no other file, no network, no font of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

_TEMPLATE = Path(__file__).with_name("report.html")


def report_page(report: Mapping[str, Any]) -> str:
    """The page of a report.

    Args:
        report: what `service.report.report_of` gives.
    """
    # A label may say `</script>`: nothing in the data may end the element that holds it.
    data = json.dumps(report, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    page = _TEMPLATE.read_text("utf-8").replace("{{title}}", escape(str(report["title"])))
    return page.replace("{{data}}", data)
