"""Another account, of Amazon or of another `rcl serve`, and how images travel from and to it through S3."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

from rcl_cli.buckets.base import Bucket, BucketOutOfReachError, NoSuchObjectError
from rcl_cli.buckets.s3 import S3Bucket
from rcl_cli.errors import RclError, ResourceNotFound
from rcl_cli.formats.record import Notes
from rcl_cli.local.datasets.sources import Step
from rcl_cli.local.making import Call

S3 = Callable[[str], S3Bucket]
# What a transfer says that moved something.
MOVED = "moved"
_TRANSFERS = 8


class Remote(NamedTuple):
    """Another account.

    Args:
        call: its API.
        s3: a bucket of its, by name.
    """

    call: Call
    s3: S3


@contextmanager
def sense() -> Iterator[None]:
    """Within, answers are taken apart that another service gave, whatever it is."""
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise RclError(
            f"The answer from there makes no sense ({type(error).__name__}: {error}): look at --endpoint-url."
        ) from error


def remote_project(call: Call, name: str) -> dict[str, Any]:
    """The description of a project, by its name or ARN.

    Raises:
        ResourceNotFound: there is none.
    """
    wanted = project_name_of(name)
    for project in call("DescribeProjects", {"ProjectNames": [wanted]}).get("ProjectDescriptions", []):
        arn = str(project["ProjectArn"])
        if arn == name or (not name.startswith("arn:") and project_name_of(arn) == wanted):
            described: dict[str, Any] = project
            return described
    raise ResourceNotFound(f"There is no project {name} there.")


def project_name_of(name: str) -> str:
    """The project in a name, `PROJECT/train`, or the ARN of a project or of what belongs to one."""
    if not name.startswith("arn:"):
        return name.partition("/")[0]
    return name.split("/")[1] if "/" in name else name


def region_of(arn: str) -> str | None:
    """The region of an ARN; None where it is none."""
    parts = arn.split(":")
    return parts[3] if arn.startswith("arn:") and len(parts) > 5 and parts[3] else None


def remote_datasets(project: Mapping[str, Any]) -> dict[str, str]:
    """ARNs by part."""
    return {one["DatasetType"].lower(): one["DatasetArn"] for one in project.get("Datasets", [])}


def each(transfer: Callable[[str], str], refs: Sequence[str], notes: Notes, step: Step) -> tuple[int, int]:
    """Transfer several at once; (how many were moved, how many were there already).

    Args:
        transfer: says what went wrong, `moved`, or nothing where there was nothing to do.
    """
    moved = kept = 0
    with ThreadPoolExecutor(_TRANSFERS) as pool:
        try:
            for number, (ref, said) in enumerate(_in_order(pool, transfer, refs), 1):
                moved += said == MOVED
                kept += not said
                if said not in ("", MOVED):
                    notes.add(said, ref)
                step(number)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return moved, kept


def _in_order(
    pool: ThreadPoolExecutor, transfer: Callable[[str], str], refs: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """What each transfer says, a few of them ahead: the pool's own `map` would hold all of them at once."""
    ahead: deque[tuple[str, Future[str]]] = deque()
    for ref in refs:
        ahead.append((ref, pool.submit(transfer, ref)))
        if len(ahead) > 2 * _TRANSFERS:
            first, future = ahead.popleft()
            yield first, future.result()
    for first, future in ahead:
        yield first, future.result()


def size_of(bucket: Bucket, key: str) -> int | None:
    """Bytes of an object; None where it is not there.

    Raises:
        BucketOutOfReachError: nobody can tell.
    """
    try:
        return bucket.size(key)
    except BucketOutOfReachError:
        raise
    except NoSuchObjectError:
        return None
