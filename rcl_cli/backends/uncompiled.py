"""torch without its compiler: loading that takes a second and 150 MB, and nothing of rcl compiles.

torch's optimizers and torchvision's operators load `torch._dynamo` only to tell it to keep out of theirs. What stands
in for it says yes to that; whoever wants anything else of it gets the real one.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_COMPILER, _UTILS = "torch._dynamo", "torch._dynamo.utils"


class _StandIn(ModuleType):
    """Of a module of the compiler.

    Args:
        answers: what it has itself.
    """

    def __init__(self, name: str, **answers: Any) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)
        vars(self).update(answers)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        _load()
        return getattr(sys.modules[self.__name__], name)


class _Rest(MetaPathFinder, Loader):
    """Finds the modules that have no stand-in: by then all are loaded."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if not name.startswith(f"{_COMPILER}."):
            return None
        _load()
        return ModuleSpec(name, self) if name in sys.modules else importlib.util.find_spec(name)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """It has run."""


def leave_out_the_compiler() -> None:
    """Let nothing load torch's compiler that does not use it; to be called before torch loads."""
    if "torch" in sys.modules:
        return

    def disable(fn: Callable[..., Any] | None = None, *_: Any, **__: Any) -> Callable[..., Any]:
        return fn if fn is not None else lambda function: function

    def is_compile_supported(_device: str) -> bool:
        return False

    def graph_break(*_: Any, **__: Any) -> None:
        """There is no graph."""

    sys.modules[_COMPILER] = _StandIn(_COMPILER, __path__=[], disable=disable, graph_break=graph_break)
    sys.modules[_UTILS] = _StandIn(_UTILS, is_compile_supported=is_compile_supported)
    sys.meta_path = [_Rest(), *sys.meta_path]


def _load() -> None:
    """Put the real one in its place."""
    # Another list: whoever looks for a module just now goes through the old one.
    sys.meta_path = [finder for finder in sys.meta_path if not isinstance(finder, _Rest)]
    for name in (_UTILS, _COMPILER):
        if isinstance(sys.modules.get(name), _StandIn):
            sys.modules.pop(name, None)
    importlib.import_module(_UTILS)
