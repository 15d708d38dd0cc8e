"""The file that `rcl detect` writes: it outlives kills, and is gone on with."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from rcl_cli.errors import UsageError


class Output:
    """A file of lines that a killed run leaves whole but for its last line, and that the next one goes on with.

    Args:
        path: None for stdout.
        resume: keep what is there; images that failed are tried again.

    Raises:
        UsageError: the file is there, and not to be gone on with.
    """

    def __init__(self, path: Path | None, write: Callable[[str], object], *, resume: bool) -> None:
        self.done: set[str] = set()
        self._write, self._file = write, None
        if path is None:
            return
        # What a link leads to is what is written.
        path = Path(os.path.realpath(path))
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is no file; leave --out away to write to stdout.")
        if path.exists() and not resume:
            raise UsageError(f"{path} is there already: add --resume to go on with it, or remove it.")
        if path.exists():
            with path.open("r+", encoding="utf-8", errors="surrogateescape", newline="") as old:
                _lock(old, path)
                self._keep_good(old, path)
        self._file = path.open("a", encoding="utf-8", newline="\n")
        _lock(self._file, path)

    def _keep_good(self, old: TextIO, path: Path) -> None:
        """Drop what a kill left of the last line, and images that failed.

        Raises:
            UsageError: the file holds something else than answers.
        """
        kept, failed, at = [], False, 0
        for number, text in enumerate(old, 1):
            if not text.endswith("\n"):
                break
            try:
                line = json.loads(text)
                ref, has_failed = str(line["source-ref"]), "Error" in line
            except (ValueError, KeyError, TypeError) as error:
                raise UsageError(f"{path}, line {number}: no answer of rcl detect; nothing was changed.") from error
            failed = failed or has_failed
            if not has_failed:
                self.done.add(ref)
                kept.append(text)
            at += len(text.encode("utf-8", "surrogateescape"))
        if not failed:
            os.truncate(old.fileno(), at)
            return
        partial = path.with_name(f".{path.name}.part")
        try:
            with partial.open("w", encoding="utf-8", errors="surrogateescape", newline="") as new:
                new.writelines(kept)
                new.flush()
                os.fsync(new.fileno())
            partial.chmod(path.stat().st_mode)
            partial.replace(path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise

    def line(self, text: str) -> None:
        if self._file is None:
            self._write(text + "\n")
        else:
            self._file.write(text + "\n")
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            # Every line was flushed; a disk that is full has said so then.
            with suppress(OSError):
                self._file.close()


def _lock(file: TextIO, path: Path) -> None:
    """Keep other runs from the same file until it is closed.

    Raises:
        UsageError: one is at it.
    """
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(f"{path} is being written by another run.") from error
