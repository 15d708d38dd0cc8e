"""The API as data: operations, shapes, paginators and waiters, from model.json (tools/trim_model.py writes it)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any


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


@dataclass(frozen=True)
class Paginator:
    """How to walk the pages of an operation: names of members in its input and output."""

    input_token: str
    output_token: str
    limit_key: str
    result_key: str


@dataclass(frozen=True)
class Operation:
    """One API operation."""

    name: str
    model: Model

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
    text = resources.files("rcl_cli.api").joinpath("model.json").read_text("utf-8")
    return Model(json.loads(text))
