"""Tensors out of weight files, without running what the file says.

A `.pt` file is a pickle: loading one the ordinary way runs code that its author chose. Here every class that is not on
a short list of torch's own tensor builders becomes an inert placeholder that only keeps its state, and the tensors are
then collected from the placeholders by the names that `Module.state_dict()` would give them. Only archives in today's
format are read that way; older files go through torch's own tensors-only loader, TorchScript (a program) is refused.
"""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import torch
from safetensors.torch import load_file

from rcl_cli.errors import ConfigError
from rcl_cli.regular import check_regular

_BUILDERS = {
    ("torch._utils", "_rebuild_tensor"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
    ("torch._utils", "_rebuild_parameter_with_state"),
    ("torch", "Size"),
    ("torch", "device"),
    ("collections", "OrderedDict"),
}
_ROOTS = ("ema", "model", "state_dict", "model_state_dict")


class _Inert:
    """Stands for an object of a class that is not loaded."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        self.state: dict[str, Any] = {}

    def __new__(cls, *_args: Any, **_kwargs: Any) -> _Inert:
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple):
            state = next((part for part in state if isinstance(part, dict)), {})
        self.state = state if isinstance(state, dict) else {}

    def __call__(self, *_args: Any, **_kwargs: Any) -> _Inert:
        return _Inert()

    # Containers among the unknown classes fill themselves through these while loading.
    def append(self, _item: Any) -> None:
        return None

    def extend(self, _items: Any) -> None:
        return None

    def __setitem__(self, _key: Any, _value: Any) -> None:
        return None

    def __hash__(self) -> int:
        return id(self)


class _InertUnpickler(pickle.Unpickler):
    _storages: ClassVar[frozenset[str]] = frozenset(name for name in dir(torch) if name.endswith("Storage"))

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _BUILDERS or (module == "torch" and name in self._storages):
            return super().find_class(module, name)
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        return _Inert


def _modules_to_state_dict(node: Any, prefix: str, out: dict[str, torch.Tensor]) -> None:
    if not isinstance(node, _Inert):
        return
    for group in ("_parameters", "_buffers"):
        for name, tensor in (node.state.get(group) or {}).items():
            if isinstance(tensor, torch.Tensor):
                out[prefix + name] = tensor.detach()
    for name, child in (node.state.get("_modules") or {}).items():
        _modules_to_state_dict(child, f"{prefix}{name}.", out)


def _collect(document: Any) -> dict[str, torch.Tensor]:
    if isinstance(document, dict):
        tensors = {str(k): v for k, v in document.items() if isinstance(v, torch.Tensor)}
        if tensors:
            return tensors
        for root in _ROOTS:
            if document.get(root) is not None and (found := _collect(document[root])):
                return found
        return {}
    found = {}
    _modules_to_state_dict(document, "", found)
    return found


def _inert_load(file: Any, **options: Any) -> Any:
    return _InertUnpickler(file, **options).load()


def _load_pickled(path: Path) -> Any:
    if not zipfile.is_zipfile(path):
        return torch.load(path, map_location="cpu", weights_only=True)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(name.endswith("/constants.pkl") or "/code/" in name for name in names):
        raise ValueError("it is a TorchScript program, not weights")
    inert = SimpleNamespace(Unpickler=_InertUnpickler, load=_inert_load, __name__="inert")
    return torch.load(path, map_location="cpu", pickle_module=inert, weights_only=False)


def load_tensors(path: str | Path) -> dict[str, torch.Tensor]:
    """Read the named tensors of a `.safetensors`, `.pt` or `.pth` file.

    Returns:
        Name to float32 (or integer) CPU tensor, as `state_dict()` names them.

    Raises:
        ConfigError: the file is missing, unreadable, or holds no tensors.
    """
    path = Path(path)
    try:
        check_regular(path)
        tensors = load_file(path) if path.suffix == ".safetensors" else _collect(_load_pickled(path))
    except FileNotFoundError as error:
        raise ConfigError(f"The weights file {path} does not exist.") from error
    except Exception as error:
        raise ConfigError(f"The weights file {path} can't be read: {error}") from error
    if not tensors:
        raise ConfigError(f"The weights file {path} holds no weights that rcl can read.")
    return {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}


def load_matching(module: torch.nn.Module, tensors: dict[str, torch.Tensor]) -> int:
    """Copy tensors that fit by name and shape into a module.

    Returns:
        How many of the module's tensors were filled.
    """
    own = module.state_dict()
    matching = {name: t for name, t in tensors.items() if name in own and own[name].shape == t.shape}
    module.load_state_dict(matching, strict=False)
    return len(matching)
