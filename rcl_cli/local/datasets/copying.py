"""Images of an import that are to be in a bucket: copied there, and named so in the manifests."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import unquote_to_bytes

from rcl_cli.buckets.base import BucketWriteError, NoSuchObjectError
from rcl_cli.context import Context
from rcl_cli.errors import RclError, UsageError
from rcl_cli.formats.record import FormatError, Notes
from rcl_cli.limits import limits
from rcl_cli.local.datasets.sources import Step
from rcl_cli.local.putting import put, putting_alone
from rcl_cli.manifest.document import SOURCE_REF, compact
from rcl_cli.manifest.line import split_s3_url
from rcl_cli.regular import open_bytes

_FILE = "file://"


class Manifests(Protocol):
    """Manifests by part."""

    def parts(self) -> Collection[str]:
        """`train`, `test`, or both."""
        ...

    def write(self, part: str, target: Path) -> None:
        """Write the manifest of a part."""
        ...


class Place(NamedTuple):
    """Where in which bucket.

    Args:
        prefix: of keys; empty, or with a slash at its end.
    """

    bucket: str
    prefix: str

    @classmethod
    def of(cls, url: str) -> Place:
        """
        Raises:
            UsageError: it is no `s3://BUCKET` and no `s3://BUCKET/PREFIX`.
        """
        found = split_s3_url(f"{url.rstrip('/')}/-")
        if found is None:
            raise UsageError(f"{url} names no place in a bucket: give s3://BUCKET, or s3://BUCKET/PREFIX.")
        return cls(found[0], found[1].removesuffix("-"))


class Copying:
    """Manifests whose images are files, as manifests of images in a bucket; writing one copies its images.

    An image that is there already, with this content, is not copied again; one that has the name of another gets a name
    of its own.

    Args:
        found: what was read.
        roots: folders whose structure the keys keep; the first that an image is in counts.
        notes: takes what is left out.
        step: told how many are done.
    """

    def __init__(
        self, context: Context, found: Manifests, place: Place, roots: Sequence[Path], notes: Notes, step: Step
    ) -> None:
        self._context, self._found, self._place = context, found, place
        self._roots, self._notes, self._step = roots, notes, step
        self._done = 0

    def parts(self) -> Collection[str]:
        return self._found.parts()

    def write(self, part: str, target: Path) -> None:
        """
        Raises:
            RclError: an image can't be put into the bucket.
            FormatError: none can be used.
        """
        before = target.with_name(f"{target.name}.before")
        self._found.write(part, before)
        count = 0
        with before.open(encoding="utf-8") as lines, target.open("w", encoding="utf-8") as out:
            for line in lines:
                if copied := self._copied(line):
                    count += 1
                    out.write(copied)
        before.unlink()
        if not count:
            reasons = "".join(f"\n  {line}" for line in self._notes.lines())
            raise FormatError(f"There are no images for {part}ing that can be copied.{reasons}")

    def _copied(self, line: str) -> str:
        """The line with its image in the bucket; empty where that is left out."""
        self._done += 1
        self._step(self._done)
        document = json.loads(line)
        ref = document[SOURCE_REF]
        if not ref.startswith(_FILE):
            self._notes.add("images are in buckets already, and stay there", ref)
            return line
        path = Path(os.fsdecode(unquote_to_bytes(ref.removeprefix(_FILE))))
        try:
            with open_bytes(path) as stream:
                data = stream.read(limits().file_bytes + 1)
        except OSError as error:
            self._notes.add(f"images can't be read ({error.strerror}), and were left out", path)
            return ""
        if len(data) > limits().file_bytes:
            self._notes.add(f"images are larger than {limits().file_bytes // 2**20} MB, and were left out", path)
            return ""
        return compact({**document, SOURCE_REF: f"s3://{self._place.bucket}/{self._put(path, data)}"}) + "\n"

    def _put(self, path: Path, data: bytes) -> str:
        key = self._place.prefix + self._name(path)
        try:
            with putting_alone(self._context):
                return put(self._context.buckets.for_output(self._place.bucket), key, data)
        except (BucketWriteError, NoSuchObjectError, OSError) as error:
            raise RclError(
                f"Images can't be put into the bucket {self._place.bucket}: {error}. Those that were copied stay, and "
                "are not copied again when you repeat it."
            ) from error

    def _name(self, path: Path) -> str:
        for root in self._roots:
            if path.is_relative_to(root):
                return path.relative_to(root).as_posix()
        return path.name
