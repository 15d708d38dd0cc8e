"""What the page asks about labels: how many images have each, and what people know it by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rcl_cli.console.answering import routes_of
from rcl_cli.console.given import given_text
from rcl_cli.context import Context
from rcl_cli.local.labelling.gallery import labels_of
from rcl_cli.local.labelling.many import rename_label
from rcl_cli.local.labelling.signs import Sign, rename_sign, set_sign, signs_of


class LabelRoutes:
    """The routes of labels."""

    def __init__(self, context: Context) -> None:
        self._context = context
        answers = {"labels": self._labels, "rename": self._rename, "sign": self._sign}
        self.all = routes_of(context.layout.home, answers)

    def _labels(self, given: Mapping[str, Any]) -> Any:
        project = given_text(given.get("project"))
        every = labels_of(self._context, project)
        signs = signs_of(self._context, project)
        return {"labels": [{**one._asdict(), **signs.get(one.name, Sign())._asdict()} for one in every]}

    def _rename(self, given: Mapping[str, Any]) -> Any:
        """Rename a label, so that it becomes one with another of that name; without a name it goes."""
        project, label = given_text(given.get("project")), given_text(given.get("label"))
        to = None if given.get("to") is None else given_text(given["to"]).strip()
        changed = rename_label(self._context, project, label, to)
        rename_sign(self._context, project, label, to)
        return {"changed": changed}

    def _sign(self, given: Mapping[str, Any]) -> Any:
        """Choose a label's colour, or its key."""
        colour, key = (given_text(given[name]) if name in given else None for name in ("colour", "key"))
        set_sign(
            self._context, given_text(given.get("project")), given_text(given.get("label")), colour=colour, key=key
        )
        return {}
