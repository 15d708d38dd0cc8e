"""A bucket that is a folder."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from rcl_cli.buckets.base import BucketWriteError, NoSuchObjectError
from rcl_cli.durable import new_file, replace_durably
from rcl_cli.regular import open_bytes


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


class LocalBucket:
    """Keys are paths below a folder, and never leave it.

    Args:
        folder: may itself be a link; links inside it may not lead out.
    """

    def __init__(self, folder: Path) -> None:
        self._root = Path(os.path.realpath(folder))

    def _resolve(self, key: str) -> Path | None:
        """The real path of a key, None where it would leave the bucket."""
        parts = key.split("/")
        if key.startswith("/") or "\0" in key or any(part in ("..", ".") for part in parts):
            return None
        try:
            path = Path(os.path.realpath(self._root / key))
        except (ValueError, OSError):  # a name that no file can have
            return None
        return path if path.is_relative_to(self._root) and path != self._root else None

    def local_path(self, key: str) -> Path:
        path = self._resolve(key)
        try:
            if path is None or not path.is_file():
                raise NoSuchObjectError(key)
        except (OSError, ValueError) as error:
            raise NoSuchObjectError(key) from error
        return path

    def size(self, key: str, version: str | None = None) -> int:
        path = self.local_path(key)
        if not os.access(path, os.R_OK):
            raise NoSuchObjectError(key)
        return path.stat().st_size

    def open(self, key: str, version: str | None = None) -> BinaryIO:
        try:
            return open_bytes(self.local_path(key))
        except OSError as error:
            raise NoSuchObjectError(key) from error

    def children(self, prefix: str) -> Iterator[str]:
        for key, entry in self._entries(prefix):
            yield f"{key}/" if _is_folder(entry) else key

    def _folder_of(self, prefix: str) -> Path | None:
        """The real folder that a prefix looks into, None where it would leave the bucket."""
        folder = prefix.rpartition("/")[0]
        return self._resolve(folder) if folder else self._root

    def _entries(self, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """What has a key that begins with a prefix and goes on without a slash, sorted."""
        folder, slash, start = prefix.rpartition("/")
        path = self._folder_of(prefix)
        try:
            entries = sorted(os.scandir(path), key=lambda entry: entry.name) if path else []
        except OSError:
            return
        for entry in entries:
            if entry.name.startswith(start):
                yield f"{folder}{slash}{entry.name}", entry

    def keys(self, prefix: str) -> Iterator[str]:
        found: list[str] = []
        # Nothing leads out of where the keys begin.
        seen = set((self._folder_of(prefix) or self._root).parents)
        # Links come after all folders: what can be had without one has the name that it has there. However they lead
        # to each other, each folder is seen once.
        folders, links = [prefix], list[str]()
        while folders or links:
            place = (folders or links).pop()
            folder = self._folder_of(place)
            if folder is None or folder in seen:
                continue
            seen.add(folder)
            for key, entry in self._entries(place):
                if not _is_folder(entry):
                    found.append(key)
                else:
                    (links if entry.is_symlink() else folders).append(f"{key}/")
        yield from sorted(found)

    def write(self, key: str, data: bytes) -> None:
        self._write(key, io.BytesIO(data))

    def write_file(self, key: str, source: Path) -> None:
        with open_bytes(source) as stream:
            self._write(key, stream)

    def _write(self, key: str, stream: BinaryIO) -> None:
        path = self._resolve(key)
        if path is None:
            raise BucketWriteError(f"the key {key!r} leads out of its bucket")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with new_file(path.parent) as partial:
                with partial.open("wb") as out:
                    shutil.copyfileobj(stream, out)
                    out.flush()
                    os.fsync(out.fileno())
                partial.chmod(0o644)
                replace_durably(partial, path)
        except OSError as error:
            raise BucketWriteError(f"{path}: {error.strerror or error}") from error
