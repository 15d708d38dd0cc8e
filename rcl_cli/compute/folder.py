"""Work on disk: what is asked for, how it goes, and what came of it, in a folder of its own.

| file | written by | says |
|---|---|---|
| `request.json` | whoever wants the work | all that it needs to know |
| `handle` | the work | what the launcher knows it by |
| `starts` | who starts it | a line each time it was started |
| `events.jsonl` | the work | where it stands, a line an event |
| `outcome.json` | the work | how it ended; by rename, when all that it names is on the disk |
| `stop` | whoever wants it to end | since when |
| `cancelled` | whoever does not want it any more | that it is not to be gone on with |

The work reads and writes nothing else of a home. Whoever looks next adopts the outcome, so a store that is locked, a
disk that is full or a process that is killed can delay an outcome, and never destroy it.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rcl_cli.durable import replace_durably, sync_folder, write_durably

_REQUEST, _HANDLE, _STARTS, _EVENTS, _OUTCOME = "request.json", "handle", "starts", "events.jsonl", "outcome.json"
_STOP, _CANCELLED = "stop", "cancelled"
# In a request: which folder it was written for.
_PLACE = "folder"
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

    def prepare(self, request: Mapping[str, Any], final: Path | None = None) -> None:
        """Write what is asked for; what an earlier request left is gone.

        Args:
            final: the name that the folder gets later, if it is another one.

        Raises:
            OSError: the disk is full, or the folder can't be written.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in (_OUTCOME, _EVENTS, _STARTS, _HANDLE, _STOP, _CANCELLED):
            (self.path / name).unlink(missing_ok=True)
        with (self.path / _ROOM).open("wb") as room:
            room.write(bytes(_ROOM_BYTES))
            room.flush()
            os.fsync(room.fileno())
        place = {"path": os.path.realpath(final or self.path), "inode": self.path.stat().st_ino}
        write_durably(self.path / _REQUEST, json.dumps({**request, _PLACE: place}, ensure_ascii=False).encode())
        sync_folder(self.path.parent)

    def request(self) -> dict[str, Any]:
        """What is asked for; paths in a home that was moved since are those of where it is now.

        Raises:
            OSError, ValueError: it can't be read.
        """
        return self._here(*self._asked(), os.path.realpath(self.path))

    def own_request(self) -> dict[str, Any] | None:
        """What is asked for; None where it came here with a copy of its home, so that the work is another home's.

        Raises:
            OSError, ValueError: it can't be read.
        """
        (found, place), here = self._asked(), os.path.realpath(self.path)
        return None if self._is_another(place, here) else self._here(found, place, here)

    @property
    def is_copied(self) -> bool:
        """Whether it came here with a copy of its home; see `own_request`."""
        return self._is_another(self._asked()[1], os.path.realpath(self.path))

    def _asked(self) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """The request, and which folder it was written for; of an older rcl that is not known."""
        found: dict[str, Any] = json.loads((self.path / _REQUEST).read_bytes())
        return found, found.pop(_PLACE, None)

    @staticmethod
    def _here(request: dict[str, Any], place: dict[str, Any] | None, here: str) -> dict[str, Any]:
        if place is None or place["path"] == here:
            return request
        moved: dict[str, Any] = _moved(request, Path(place["path"]).parents[1], Path(here).parents[1])
        return moved

    def _is_another(self, place: dict[str, Any] | None, here: str) -> bool:
        """Whether a request was written for another folder than this one.

        A folder that was moved has kept its inode, and one that a backup put back its path. Other mounts of the same
        home give it other paths.
        """
        if place is None or place["path"] == here:
            return False
        original = Path(place["path"])
        return place["inode"] != self.path.stat().st_ino or (original.exists() and not original.samefile(self.path))

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

    def ask_to_stop(self) -> None:
        """Say that it is to end, to those too whom no signal reaches."""
        if self.stop_asked_s is None:
            write_durably(self.path / _STOP, b"")

    def cancel(self) -> None:
        """Say that nobody wants it any more: once it has ended, it is not gone on with.

        Raises:
            OSError: that can't be written.
        """
        write_durably(self.path / _CANCELLED, b"")

    @property
    def is_cancelled(self) -> bool:
        return (self.path / _CANCELLED).exists()

    @property
    def stop_asked_s(self) -> float | None:
        """Seconds since it was asked to end; None where it was not."""
        try:
            return max(0.0, time.time() - (self.path / _STOP).stat().st_mtime)
        except FileNotFoundError:
            return None

    def forgive_start(self) -> None:
        """The last start ended because it was told to, which is no failure."""
        lines = self._lines(_STARTS)[:-1]
        write_durably(self.path / _STARTS, b"".join(line + b"\n" for line in lines))

    @property
    def starts(self) -> int:
        """How often it was started."""
        return len(self._lines(_STARTS))

    @property
    def started_s(self) -> float | None:
        """Seconds since it was started last; None where it was not."""
        lines = self._lines(_STARTS)
        return time.time() - int(lines[-1]) / 1e9 if lines else None

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

    def events(self) -> Iterator[dict[str, Any]]:
        """All that it has said; nothing where the file is not there."""
        try:
            with (self.path / _EVENTS).open("rb") as file:
                for line in file:
                    # The last line may be half written.
                    with contextlib.suppress(ValueError):
                        yield json.loads(line)
        except OSError:
            return

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


def _moved(document: Any, old: Path, new: Path) -> Any:
    """A document whose texts that are paths in one folder are such in another."""
    if isinstance(document, dict):
        return {key: _moved(value, old, new) for key, value in document.items()}
    if isinstance(document, list):
        return [_moved(value, old, new) for value in document]
    if isinstance(document, str) and f"{document}/".startswith(f"{old}/"):
        return f"{new}{document[len(str(old)) :]}"
    return document
