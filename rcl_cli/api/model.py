"""The API as data: operations, shapes, paginators and waiters, from model.json (tools/trim_model.py writes it)."""

from __future__ import annotations

import json
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple


class Shape:
    """One shape of the API model; members resolve lazily."""

    __slots__ = ("_model", "name", "spec")

    def __init__(self, model: Model, name: str) -> None:
        self._model = model
        self.name = name
        self.spec: dict[str, Any] = model.document["shapes"][name]

    @property
    def type(self) -> str:
        return str(self.spec["type"])

    @property
    def required(self) -> list[str]:
        return list(self.spec.get("required", ()))

    @property
    def members(self) -> dict[str, Shape]:
        return {name: self._model.shape(ref["shape"]) for name, ref in self.spec.get("members", {}).items()}

    def _part(self, name: str) -> Shape:
        return self._model.shape(self.spec[name]["shape"])

    @property
    def member(self) -> Shape:
        return self._part("member")

    @property
    def key(self) -> Shape:
        return self._part("key")

    @property
    def value(self) -> Shape:
        return self._part("value")

    @property
    def enum(self) -> list[str]:
        return list(self.spec.get("enum", ()))

    @property
    def pattern(self) -> str | None:
        return self.spec.get("pattern")

    @property
    def min(self) -> float | None:
        return self.spec.get("min")

    @property
    def max(self) -> float | None:
        return self.spec.get("max")


class Paginator(NamedTuple):
    """How to walk the pages of an operation: names of members in its input and output."""

    input_token: str
    output_token: str
    limit_key: str
    result_key: str


class Operation:
    """One API operation."""

    def __init__(self, name: str, model: Model) -> None:
        self.name, self.model = name, model

    @cached_property
    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.model.document["operations"][self.name]
        return spec

    @property
    def input(self) -> Shape:
        return self.model.shape(self.spec["input"]["shape"])

    @property
    def output(self) -> Shape:
        return self.model.shape(self.spec["output"]["shape"])

    @property
    def errors(self) -> list[str]:
        return [error["shape"] for error in self.spec["errors"]]

    @property
    def paginator(self) -> Paginator | None:
        spec = self.model.document["pagination"].get(self.name)
        return Paginator(**spec) if spec else None


class Model:
    """The whole trimmed service model."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._shapes: dict[str, Shape] = {}

    def shape(self, name: str) -> Shape:
        if name not in self._shapes:
            self._shapes[name] = Shape(self, name)
        return self._shapes[name]

    def operation(self, name: str) -> Operation:
        """The operation of that CamelCase name.

        Raises:
            KeyError: no such operation.
        """
        if name not in self.document["operations"]:
            raise KeyError(name)
        return Operation(name, self)

    @property
    def operations(self) -> list[str]:
        return list(self.document["operations"])

    @property
    def waiters(self) -> dict[str, dict[str, Any]]:
        waiters: dict[str, dict[str, Any]] = self.document["waiters"]
        return waiters


@cache
def load() -> Model:
    """The model shipped with rcl, read once a process."""
    return Model(json.loads(Path(__file__).with_name("model.json").read_bytes()))
