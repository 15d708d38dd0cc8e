"""The libraries that train and run models: which there are, and where they keep files of their own."""

from __future__ import annotations

import atexit
import importlib.metadata
import os
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from rcl_cli.backends.uncompiled import leave_out_the_compiler
from rcl_cli.scratch import scratch

_LIBRARIES = (
    "torch",
    "torchvision",
    "ultralytics",
    "onnxruntime",
    "onnx",
    "opencv-python",
    "pillow",
    "numpy",
    "msgspec",
)
# Other distributions of the same module.
_ALSO = {"opencv-python": ("opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")}


def installed() -> dict[str, str | None]:
    """The version of each library; None where it is not installed. They are not loaded for that."""
    return {name: next(filter(None, map(_version, (name, *_ALSO.get(name, ())))), None) for name in _LIBRARIES}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


@cache
def libraries_folder() -> Path:
    """The trainer's or the host's folder, or one that goes with this process; to be called before torch loads.

    Raises:
        OSError: it can't be made.
    """
    if given := os.environ.get("RCL_WORK_DIR"):
        folder = Path(given)
    else:
        stack = ExitStack()
        atexit.register(stack.close)
        folder = stack.enter_context(scratch("libraries"))
    leave_out_the_compiler()
    # torch makes this one as soon as its compiler is loaded, in the folder for temporary files unless it is told.
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "torchinductor")
    return folder
