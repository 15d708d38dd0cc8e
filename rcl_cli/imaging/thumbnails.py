"""Small pictures, made in processes of their own: Python does one thing at a time, and a server has others to do."""

from __future__ import annotations

import io
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image

from rcl_cli.child import command, environment, receive, send
from rcl_cli.config import cpu_cores
from rcl_cli.errors import ImageTooLarge, InvalidImageFormat, InvalidParameter, ServiceError
from rcl_cli.imaging.decode import decode_picture

_QUALITY = 80
# A picture of the largest size takes a second.
_LONGEST_S = 60.0
_IDLE_S, _LOOK_S = 60.0, 0.05
# Between its last look whether there is something to do, and its end.
_LEAVING_S = 2.0
# Of processes that came to nothing: there is no room for them here.
_MOST_FAILURES = 3
_MOST_ENDED, _MOST_TRIES = 2, 10
_READY, _MADE = "ready", "made"
_ERRORS: dict[str, type[ServiceError]] = {
    one.__name__: one for one in (ImageTooLarge, InvalidImageFormat, InvalidParameter)
}


def small_jpeg(path: Path, side_px: int) -> bytes:
    """A JPEG of the upright picture in a file, its longer side at most so long.

    Raises:
        InvalidImageFormat, ImageTooLarge, InvalidParameter: it is no usable picture.
    """
    image = decode_picture(path, longer_px=side_px)
    image.thumbnail((side_px, side_px), Image.Resampling.BILINEAR, reducing_gap=2.0)
    out = io.BytesIO()
    try:
        image.save(out, "JPEG", quality=_QUALITY)
    except OSError as error:
        raise InvalidImageFormat("Request has invalid image format") from error
    return out.getvalue()


class _EndedError(Exception):
    """The process is no more, or might as well not be."""


class _LeftError(_EndedError):
    """It had just gone, because there was nothing to do."""


class _Maker:
    """A process that makes small pictures, one after the other.

    Args:
        is_ready: it has said that it is there.
        is_over: nothing is to be expected of it.
    """

    def __init__(self) -> None:
        # Libraries would start a thread a core each, which have nothing to do.
        more = {"OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command(__name__), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(**more)
        )
        self.is_ready = self.is_over = False
        self._began = time.monotonic()

    def look(self) -> None:
        """See how it is."""
        self.is_over = self.is_over or self._process.poll() is not None
        if self.is_ready or self.is_over:
            return
        if not self._says_something_within(0):
            self.is_over = time.monotonic() - self._began > _LONGEST_S
            return
        try:
            self.is_ready = self._said()[0] == _READY
        except _EndedError:
            self.is_over = True

    def small_jpeg(self, path: Path, side_px: int) -> bytes:
        """
        Raises:
            ServiceError: as the function.
            _EndedError: it did not live to say.
        """
        assert self._process.stdin is not None  # noqa: S101 - it was started with pipes
        try:
            send((os.fsencode(path), side_px), self._process.stdin)
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            # ValueError: it was ended by who has it.
            raise self._ended() from error
        if not self._says_something_within(_LONGEST_S):
            raise _EndedError
        try:
            kind, found = self._said()
        except _EndedError as error:
            raise self._ended() from error
        if kind in _ERRORS:
            raise _ERRORS[kind](found)
        return bytes(found)

    def _ended(self) -> _EndedError:
        """How it ended."""
        try:
            return _LeftError() if self._process.wait(_LEAVING_S) == 0 else _EndedError()
        except subprocess.TimeoutExpired:
            return _EndedError()

    def end(self) -> None:
        self.is_over = True
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None  # noqa: S101 - it was started with pipes
            # What was not written yet has nobody to read it.
            with suppress(OSError):
                stream.close()

    def _says_something_within(self, seconds: float) -> bool:
        assert self._process.stdout is not None  # noqa: S101 - it was started with pipes
        waiting = select.poll()
        waiting.register(self._process.stdout.fileno(), select.POLLIN)
        return bool(waiting.poll(seconds * 1000))

    def _said(self) -> tuple[Any, ...]:
        assert self._process.stdout is not None  # noqa: S101 - it was started with pipes
        try:
            return receive(self._process.stdout)
        except (OSError, EOFError, ValueError, TypeError) as error:
            raise _EndedError from error


class Makers:
    """A process a core, started at the first picture; they end when there is nothing to do for a minute.

    From several threads at once. What ends two of them is no usable picture, whatever it is.

    Args:
        most: how many; a core each by default.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most or cpu_cores()
        self._all: list[_Maker] = []
        self._free: list[_Maker] = []
        self._failures = 0
        self._changed = threading.Condition()

    def small_jpeg(self, path: Path, side_px: int) -> bytes:
        """As the function.

        Raises:
            InvalidImageFormat, ImageTooLarge, InvalidParameter: it is no usable picture.
        """
        ended = 0
        for _ in range(_MOST_TRIES):
            # What ended a process is not tried in this one.
            maker = self._take(is_patient=ended > 0)
            if maker is None:
                break
            try:
                return maker.small_jpeg(path, side_px)
            except _LeftError:
                maker.end()
            except _EndedError:
                # Once may be chance: somebody killed it.
                maker.end()
                ended += 1
                # Whoever ended it may have ended others with it, of which that is seen a moment later.
                time.sleep(_LOOK_S)
            finally:
                self._give_back(maker)
            if ended == _MOST_ENDED:
                raise InvalidImageFormat("Request has invalid image format")
        return small_jpeg(path, side_px)

    def close(self) -> None:
        """End them; what is asked later is made here."""
        with self._changed:
            self._most = 0
            for maker in self._all:
                maker.end()
            self._all, self._free = [], []
            self._changed.notify_all()

    def _take(self, *, is_patient: bool) -> _Maker | None:
        """One that is free; None where there can be none.

        Args:
            is_patient: else None as well while one is being loaded: the picture is there sooner without.
        """
        with self._changed:
            while True:
                for maker in list(self._free):
                    maker.look()
                    if maker.is_over:
                        self._failures += not maker.is_ready
                        self._forget(maker)
                if ready := next((one for one in self._free if one.is_ready), None):
                    self._free.remove(ready)
                    return ready
                if len(self._all) < self._most and self._failures < _MOST_FAILURES:
                    self._start()
                if not self._all or (self._free and not is_patient):
                    return None
                self._changed.wait(_LOOK_S if self._free else None)

    def _start(self) -> None:
        try:
            maker = _Maker()
        except OSError:
            self._failures += 1
            return
        self._all.append(maker)
        self._free.append(maker)

    def _give_back(self, maker: _Maker) -> None:
        with self._changed:
            if maker.is_over:
                self._forget(maker)
            else:
                self._free.append(maker)
            # All: who is woken may find that it is quicker without, and wakes nobody.
            self._changed.notify_all()

    def _forget(self, maker: _Maker) -> None:
        maker.end()
        for every in (self._all, self._free):
            if maker in every:
                every.remove(maker)


def _answer(path: str, side_px: int) -> tuple[str, str | bytes]:
    try:
        return _MADE, small_jpeg(Path(path), side_px)
    except ServiceError as error:
        return type(error).__name__, error.message
    except MemoryError:
        return InvalidImageFormat.__name__, "There is not enough memory for this image."


def main() -> None:
    """Make what is asked on stdin, until nobody is there to ask or nothing was asked for long."""
    # Ctrl-C is for the process that asked, which ends this one; without it there is nobody to tell anything.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    waiting = select.poll()
    waiting.register(sys.stdin.buffer.fileno(), select.POLLIN)
    send((_READY,), sys.stdout.buffer)
    sys.stdout.buffer.flush()
    # One is asked at a time: nothing lies in a buffer unseen.
    while waiting.poll(_IDLE_S * 1000):
        try:
            path, side_px = receive(sys.stdin.buffer)
        except EOFError:
            break
        send(_answer(os.fsdecode(path), side_px), sys.stdout.buffer)
        sys.stdout.buffer.flush()
    # At once: until it is gone, it is taken to be there.
    os._exit(0)


if __name__ == "__main__":
    main()
