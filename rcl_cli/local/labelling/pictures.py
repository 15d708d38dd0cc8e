"""The pictures behind entries: as files, and as small ones that are made once."""

from __future__ import annotations

import hashlib
import io
import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

from rcl_cli.buckets.fetch import ImageFetcher
from rcl_cli.context import Context
from rcl_cli.durable import new_file
from rcl_cli.imaging.decode import decode_picture, read_header
from rcl_cli.imaging.thumbnails import Makers

# Sides of thumbnails: for galleries on plain and on dense screens.
SIDES_PX = (160, 320, 640)
_MOST_KEPT = 50_000
_END_OF_JPEG = b"\xff\xd9"


class Pictures:
    """From several threads at once.

    Args:
        context: where they are.
    """

    def __init__(self, context: Context) -> None:
        cache = context.layout.home / "cache"
        self._fetcher = ImageFetcher(context.buckets, cache / "images")
        self._folder = cache / "thumbnails"
        self._sizes: OrderedDict[tuple[str, int, int], tuple[int, int]] = OrderedDict()
        self._lock = threading.Lock()
        self._makers = Makers()

    def close(self) -> None:
        """End the processes that make small pictures."""
        self._makers.close()

    def file(self, source_ref: str) -> Path:
        """The picture itself.

        Raises:
            NoSuchObjectError: it is not there.
        """
        return self._fetcher.fetch(source_ref)

    def size(self, source_ref: str) -> tuple[int, int]:
        """Width and height in pixels, upright.

        Raises:
            NoSuchObjectError, InvalidImageFormat, ImageTooLarge, InvalidParameter: there is no usable picture.
        """
        path = self.file(source_ref)
        found = path.stat()
        key = (source_ref, found.st_mtime_ns, found.st_size)
        with self._lock:
            if key in self._sizes:
                return self._sizes[key]
        header = read_header(path)
        with self._lock:
            self._sizes[key] = (header.width, header.height)
            if len(self._sizes) > _MOST_KEPT:
                self._sizes.popitem(last=False)
        return header.width, header.height

    def thumbnail(self, source_ref: str, side_px: int) -> bytes:
        """A JPEG of the upright picture whose longer side is at most so long; made at the first time.

        Args:
            side_px: one of `SIDES_PX`.

        Raises:
            as `size`.
        """
        if side_px not in SIDES_PX:
            raise ValueError(side_px)
        path = self.file(source_ref)
        found = path.stat()
        # Another picture under the same name is another one.
        told = f"{source_ref}\0{found.st_mtime_ns}\0{found.st_size}\0{side_px}"
        name = hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        kept = self._folder / name[:2] / f"{name}.jpg"
        with suppress(OSError):
            data = kept.read_bytes()
            if data.endswith(_END_OF_JPEG):
                return data
        data = self._makers.small_jpeg(path, side_px)
        # A full disk keeps nobody from looking.
        with suppress(OSError):
            kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with new_file(kept.parent) as part:
                part.write_bytes(data)
                # Not synced: after a power cut it is seen to be cut off, and made again.
                part.replace(kept)
        return data


def upright_png(path: Path) -> bytes | None:
    """A PNG as rcl sees it, where browsers would turn it: they heed its eXIf chunk, and rcl knows none; else None.

    Raises:
        InvalidImageFormat, ImageTooLarge, InvalidParameter: it is no usable picture.
    """
    with path.open("rb") as file:
        if file.read(8) != b"\x89PNG\r\n\x1a\n" or b"eXIf" not in file.read(2**20):
            return None
    out = io.BytesIO()
    decode_picture(path).save(out, "PNG", compress_level=1)
    return out.getvalue()
