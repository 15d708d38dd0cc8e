"""Finding the images that a format speaks of: exports are unpacked, moved and renamed, and their paths with them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from rcl_cli.buckets.resolve import local_file
from rcl_cli.errors import ServiceError
from rcl_cli.formats.record import Notes
from rcl_cli.imaging.decode import read_header
from rcl_cli.manifest.line import split_s3_url

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
# Formats' own files know these too; rcl, as the service, does not.
OTHER_SUFFIXES = frozenset({".bmp", ".webp", ".tif", ".tiff", ".gif", ".heic", ".avif", ".jfif", ".jp2"})
MISSING = "images are missing"
UNUSABLE = "images can't be used"
OTHER_SIZE = "images have another size than the file says"
ELSEWHERE = "images lie elsewhere than what was brought, and were left out"
# Where images may lie; None for anywhere.
_FENCE: ContextVar[Path | None] = ContextVar("fence", default=None)
_UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")


@contextmanager
def fenced(folder: Path | None) -> Iterator[None]:
    """Within, images elsewhere than in a folder are not looked at: who brought the files may not name others."""
    token = _FENCE.set(None if folder is None else folder.resolve())
    try:
        yield
    finally:
        _FENCE.reset(token)


def is_inside(path: Path) -> bool:
    """Whether an image lies where it may."""
    fence = _FENCE.get()
    return fence is None or path.resolve().is_relative_to(fence)


def found_with_size(image: Path | None, name: object, notes: Notes) -> tuple[Path, tuple[int, int]] | None:
    """An image that was looked for, with its (width, height); None, and a note, where it can't be used."""
    if image is None:
        notes.add(MISSING, name)
        return None
    size = size_of(image, notes)
    return (image, size) if size is not None else None


def is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def size_of(path: Path, notes: Notes) -> tuple[int, int] | None:
    """(width, height) of the upright image; None, and a note, where it can't be used."""
    if not is_inside(path):
        notes.add(ELSEWHERE, path)
        return None
    if not _is_file(path):
        # A pipe of that name would never end.
        notes.add(MISSING, path)
        return None
    try:
        header = read_header(path)
    except ServiceError as error:
        notes.add(f"{UNUSABLE} ({error.code})", path)
        return None
    except OSError:
        notes.add(MISSING, path)
        return None
    return header.width, header.height


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        # A name that no file can have.
        return False


class ImageFinder:
    """Finds images by what a format calls them.

    Args:
        folders: looked into in this order; the last one is searched through and through if need be.
    """

    def __init__(self, *folders: Path | None) -> None:
        self._folders = [Path(os.path.realpath(folder)) for folder in folders if folder is not None]
        self._by_name: dict[str, list[Path]] | None = None

    def find(self, name: str, split: str = "") -> Path | None:
        """The file that a name means; never one that lies in the folder of another part than it is said to be of.

        Args:
            name: a whole path; one relative to one of the folders, or what is left of one from another machine; or a
                URL, as Label Studio writes them.
        """
        if name.startswith("/") and is_image(Path(name)) and _is_file(Path(name)):
            return Path(name)
        for candidate in _readings(name):
            for folder in self._folders:
                path = folder / candidate
                if ".." not in PurePosixPath(candidate).parts and _is_file(path):
                    return path
        for candidate in _readings(name):
            found = self._search(candidate)
            if found and not self._lies_in_another(found, split):
                return found
        return None

    def _lies_in_another(self, path: Path, split: str) -> bool:
        """Whether the folders that were looked through say that it is of another part."""
        root = next(folder for folder in reversed(self._folders) if path.is_relative_to(folder))
        parts = {_part(folder) for folder in path.relative_to(root).parts[:-1]} - {""}
        return bool(parts and _part(split)) and _part(split) not in parts

    def _search(self, name: str) -> Path | None:
        """Of the files with that last part, the one whose folders agree most."""
        if self._by_name is None:
            self._by_name = {}
            for folder in self._folders:
                for path in _walk(folder):
                    self._by_name.setdefault(path.name, []).append(path)
        parts = PurePosixPath(name).parts
        found = self._by_name.get(parts[-1] if parts else "", [])
        return max(found, key=lambda path: _shared_tail(path.parts, parts), default=None)


def _part(word: str) -> str:
    """The part that a folder's name or a format's word speaks of, empty for none."""
    return next((part for part in ("train", "val", "test") if word.lower().startswith(part)), "")


def _shared_tail(path: tuple[str, ...], parts: tuple[str, ...]) -> int:
    count = 0
    for one, other in zip(reversed(path), reversed(parts), strict=False):
        if one != other:
            break
        count += 1
    return count


def _readings(name: str) -> list[str]:
    """What a name may mean as a relative path, best first."""
    plain = _path_in(name).lstrip("/").removeprefix("./")
    last = plain.rpartition("/")[2]
    found = [plain, unquote(plain), last, _UPLOAD_PREFIX.sub("", last), unquote(_UPLOAD_PREFIX.sub("", last))]
    return [one for one in dict.fromkeys(found) if one]


def _path_in(name: str) -> str:
    """The path in a name that may be a URL."""
    # Names of files and keys have whatever separates the parts of other URLs.
    if (path := local_file(name)) is not None:
        return str(path)
    if (place := split_s3_url(name)) is not None:
        return place[1]
    name = name.replace("\\", "/").strip()
    try:
        address = urlsplit(name) if "://" in name or "?d=" in name else None
    except ValueError:
        return name
    if address is None:
        return name
    local = parse_qs(address.query).get("d")
    return local[0] if local else unquote(address.path)


def walk_images(folder: Path, notes: Notes) -> list[Path]:
    """All images under a folder, in order of their paths; others are noted."""
    found: list[Path] = []
    if not is_inside(folder):
        notes.add(ELSEWHERE, folder)
        return found
    for path in _walk(folder):
        if is_image(path):
            found.append(path)
        elif path.suffix.lower() in OTHER_SUFFIXES:
            notes.add("images are neither JPEG nor PNG: convert them", path)
    return found


def _walk(folder: Path) -> list[Path]:
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(parent, name) for name in sorted(names)]
    return found
