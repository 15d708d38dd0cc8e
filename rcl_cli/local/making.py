"""Projects and datasets that a flow makes, and takes back where it can't be gone through with."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rcl_cli.errors import RclError, ResourceInUse, ResourceNotFound, ServiceError
from rcl_cli.local.events import Called

Call = Callable[[str, Mapping[str, Any]], dict[str, Any]]
_POLL_S = 1.0


class Making:
    """Calls that make things, each of which was not there before.

    Args:
        call: an account's API.
        is_elsewhere: it is another account's.
        patience_s: how long undoing waits for what can't be deleted yet: services make and delete datasets in the
            background.

    Attributes:
        called: what was done, in order.
    """

    def __init__(self, call: Call, *, is_elsewhere: bool = False, patience_s: float = 0.0) -> None:
        self._call, self._is_elsewhere, self._patience_s = call, is_elsewhere, patience_s
        self.called: list[Called] = []
        # A call that was begun: it may have done its work when Ctrl-C comes before its answer.
        self._begun: tuple[str, Mapping[str, Any]] | None = None

    def __call__(self, operation: str, **params: object) -> dict[str, Any]:
        self._begun = operation, params
        result = self._call(operation, params)
        self.called.append(Called(operation, params, result, self._is_elsewhere))
        self._begun = None
        return result

    @contextmanager
    def or_undone(self) -> Iterator[None]:
        """Within, whatever goes wrong takes back what was made."""
        try:
            yield
        except BaseException as error:
            self.undo(error)
            raise

    def undo(self, error: BaseException) -> list[str]:
        """Delete what was made, the last first; returns the ARNs of what can't be deleted.

        Args:
            error: why.
        """
        with uninterrupted():
            made = [_made(one.operation, one.result) for one in self.called]
            if self._begun is not None and not isinstance(error, ServiceError):
                made.append(self._unanswered(*self._begun))
            arns = list(dict.fromkeys(arn for arn in reversed(made) if arn))
            deadline = time.monotonic() + self._patience_s
            return [arn for arn in arns if not self._is_deleted(arn, deadline)]

    def _unanswered(self, operation: str, params: Mapping[str, Any]) -> str:
        """The ARN of what a call made that did not answer; empty if it made nothing."""
        try:
            if operation == "CreateProject":
                found = self._call("DescribeProjects", {"ProjectNames": [params["ProjectName"]]})
                return next((str(one["ProjectArn"]) for one in found["ProjectDescriptions"]), "")
            name = str(params["ProjectArn"]).split("/")[1]
            found = self._call("DescribeProjects", {"ProjectNames": [name]})
            every = [one for project in found["ProjectDescriptions"] for one in project.get("Datasets", [])]
            return next((str(one["DatasetArn"]) for one in every if one["DatasetType"] == params["DatasetType"]), "")
        except (RclError, LookupError):
            return ""

    def _is_deleted(self, arn: str, deadline: float) -> bool:
        operation, key = ("DeleteDataset", "DatasetArn") if "/dataset/" in arn else ("DeleteProject", "ProjectArn")
        while True:
            try:
                self._call(operation, {key: arn})
            except ResourceNotFound:
                pass
            except ResourceInUse:
                if time.monotonic() > deadline:
                    return False
                time.sleep(_POLL_S)
                continue
            except RclError:
                return False
            return True


def _made(operation: str, result: Mapping[str, Any]) -> str:
    key = {"CreateProject": "ProjectArn", "CreateDataset": "DatasetArn"}.get(operation, "")
    return str(result.get(key, ""))


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Within, Ctrl-C does nothing: what is being put in order must not be left half done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
