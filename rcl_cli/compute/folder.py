"""Work on disk: what is asked for, how it goes, and what came of it, in a folder of its own.

| file | written by | says |
|---|---|---|
| `request.json` | whoever wants the work | all that it needs to know |
| `handle` | the work | what the launcher knows it by |
| `starts` | who starts it | a line each time it was started |
| `events.jsonl` | the work | where it stands, a line an event |
| `outcome.json` | the work | how it ended; by rename, when all that it names is on the disk |

The work reads and writes nothing else of a home. Whoever looks next adopts the outcome, so a store that is locked, a
disk that is full or a process that is killed can delay an outcome, and never destroy it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rcl_cli.durable import replace_durably, sync_folder, write_durably

_REQUEST, _HANDLE, _STARTS, _EVENTS, _OUTCOME = "request.json", "handle", "starts", "events.jsonl", "outcome.json"
# Room for an outcome, taken beforehand: a full disk must not keep work from saying how it ended.
_ROOM, _ROOM_BYTES = ".room-for-outcome", 64 * 1024
_TAIL_BYTES = 64 * 1024


class WorkFolder(NamedTuple):
    """The folder of one piece of work.

    Args:
        lock: a file that a process at work holds locked.
        log: what it prints.
    """

    path: Path
    lock: Path
    log: Path

    # --- of whoever wants it ------------------------------------------------------------------------------------------

    def prepare(self, request: Mapping[str, Any]) -> None:
        """Write what is asked for; what an earlier request left is gone.

        Raises:
            OSError: the disk is full, or the folder can't be written.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in (_OUTCOME, _EVENTS, _STARTS, _HANDLE):
            (self.path / name).unlink(missing_ok=True)
        with (self.path / _ROOM).open("wb") as room:
            room.write(bytes(_ROOM_BYTES))
            room.flush()
            os.fsync(room.fileno())
        write_durably(self.path / _REQUEST, json.dumps(request, ensure_ascii=False).encode())
        sync_folder(self.path.parent)

    def request(self) -> dict[str, Any]:
        """What is asked for.

        Raises:
            OSError, ValueError: it can't be read.
        """
        found: dict[str, Any] = json.loads((self.path / _REQUEST).read_bytes())
        return found

    @property
    def is_prepared(self) -> bool:
        """Whether there is something to do in it."""
        return (self.path / _REQUEST).is_file()

    def count_start(self) -> None:
        # The process that begins says which one it is; until then nobody is to be taken for it.
        (self.path / _HANDLE).unlink(missing_ok=True)
        with (self.path / _STARTS).open("ab") as file:
            file.write(b"%d\n" % time.time_ns())
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self.path)

    def forgive_start(self) -> None:
        """The last start ended because it was told to, which is no failure."""
        lines = self._lines(_STARTS)[:-1]
        write_durably(self.path / _STARTS, b"".join(line + b"\n" for line in lines))

    @property
    def starts(self) -> int:
        """How often it was started."""
        return len(self._lines(_STARTS))

    @property
    def asked_ns(self) -> int:
        """When it was asked for, in nanoseconds since the epoch."""
        return (self.path / _REQUEST).stat().st_mtime_ns

    def _lines(self, name: str) -> list[bytes]:
        try:
            return (self.path / name).read_bytes().splitlines()
        except FileNotFoundError:
            return []

    @property
    def handle(self) -> str | None:
        try:
            return (self.path / _HANDLE).read_text("utf-8")
        except FileNotFoundError:
            return None

    def keep_handle(self, handle: str) -> None:
        write_durably(self.path / _HANDLE, handle.encode())

    # --- of the work --------------------------------------------------------------------------------------------------

    def tell(self, event: Mapping[str, Any]) -> None:
        """Say where it stands."""
        line = json.dumps({"at_ms": time.time_ns() // 1_000_000, **event}, ensure_ascii=False)
        with (self.path / _EVENTS).open("ab") as file:
            file.write(line.encode() + b"\n")

    def finish(self, outcome: Mapping[str, Any]) -> None:
        """Say how it ended, once, after everything that it names is on the disk.

        Raises:
            OSError: the disk has no room even for that.
        """
        room = self.path / _ROOM
        with room.open("r+b" if room.exists() else "wb") as file:
            file.write(json.dumps(outcome, ensure_ascii=False).encode())
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
        replace_durably(room, self.path / _OUTCOME)

    # --- of whoever looks ---------------------------------------------------------------------------------------------

    def last_event(self) -> dict[str, Any] | None:
        """Where it stands, as far as it has said."""
        try:
            with (self.path / _EVENTS).open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(0, end - _TAIL_BYTES))
                # The last line may be half written.
                lines = file.read().split(b"\n")[:-1]
        except OSError:
            return None
        for line in reversed(lines):
            try:
                found: dict[str, Any] = json.loads(line)
            except ValueError:
                continue
            return found
        return None

    def outcome(self) -> dict[str, Any] | None:
        """How it ended, None as long as it has not said so.

        Raises:
            OSError: that can't be told (too many open files, say): it must not be taken for a no.
        """
        try:
            found: dict[str, Any] = json.loads((self.path / _OUTCOME).read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return found
