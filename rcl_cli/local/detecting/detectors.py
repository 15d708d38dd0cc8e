"""Models for `rcl detect` to ask: a running one's host, or one loaded into this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Protocol

from rcl_cli.compute.places import host_of
from rcl_cli.config import cpu_cores
from rcl_cli.context import Context
from rcl_cli.errors import ConfigError, InternalServerError, ResourceNotReady, ServiceError
from rcl_cli.inference.client import HostPool, place_of
from rcl_cli.status import VersionStatus
from rcl_cli.store import projects
from rcl_cli.store.versions import Version

_TIMEOUT_S = 110.0


class Found(NamedTuple):
    """What a model says about an image, and the image's upright size in pixels."""

    labels: list[dict[str, Any]]
    width: int
    height: int


class Detector(Protocol):
    """A model to ask, from several threads."""

    def __call__(self, image: bytes, min_confidence: float | None, max_results: int | None) -> Found:
        """Find labels.

        Raises:
            ServiceError: the image can't be used, or the model is gone.
        """
        ...

    def close(self) -> None:
        """Give back what it holds; nobody asks it any more."""
        ...


class HostDetector:
    """A running model's host."""

    def __init__(self, address: str, nonce: str) -> None:
        self._pool = HostPool(address, nonce)

    def __call__(self, image: bytes, min_confidence: float | None, max_results: int | None) -> Found:
        reply = self._pool.ask(image, min_confidence, max_results, sized=True)
        return Found(reply["labels"], reply["width"], reply["height"])

    def close(self) -> None:
        self._pool.close()


class OwnDetector:
    """A model loaded into this process."""

    def __init__(self, folder: Path) -> None:
        from rcl_cli.inference.model import LoadedModel

        self._model = LoadedModel(folder, cpu_cores())

    def __call__(self, image: bytes, min_confidence: float | None, max_results: int | None) -> Found:
        from rcl_cli.imaging.decode import read_header

        try:
            labels = self._model.detect(image, min_confidence, max_results, _TIMEOUT_S)
        except (ServiceError, ConfigError):
            raise
        except Exception as error:
            # As a host's worker has it: one image that breaks a model says nothing about the next.
            raise InternalServerError(f"The model failed on this image ({type(error).__name__}).") from error
        header = read_header(image)
        return Found(labels, header.width, header.height)

    def close(self) -> None:
        return None


def detector_of(context: Context, version: Version, *, once: bool) -> Detector:
    """A version's model.

    Args:
        once: load it into this process, whether it is running or not.

    Raises:
        ResourceNotReady: it is not running, or there is no model.
    """
    if once:
        folder = context.layout.model(version.id)
        if not folder.is_dir():
            raise ResourceNotReady(f"The version {version.name} has no model: its status is {version.status}.")
        return OwnDetector(folder)
    with context.database.read() as db:
        name = f"{projects.by_id(db, version.project_id).name}/{version.name}"
    place = place_of(host_of(context.layout, version.id))
    if version.status != VersionStatus.RUNNING or place is None:
        raise ResourceNotReady(
            f"{name} is not running ({version.status}). Add --once to load it for this run, or start it: "
            f"rcl start-project-version --project-version-arn {name} --min-inference-units 1"
        )
    return HostDetector(*place)
