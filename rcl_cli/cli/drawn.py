"""Rich's console for words that somebody else chose."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from rcl_cli.cli.escapes import shown


class Drawn(Console):
    """A console that obeys itself only."""

    def render_str(self, text: str, **options: Any) -> Text:
        # Before rich measures it; and rich drops some control characters without a trace.
        return super().render_str(shown(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """All that is drawn, whatever it was made of."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=shown(segment.text))
