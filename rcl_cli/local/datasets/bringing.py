"""Files that somebody brings one by one, looked at as a whole, and imported: what a page has instead of a folder."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import IO, NamedTuple

from rcl_cli.context import Context
from rcl_cli.errors import (
    ImageTooLarge,
    InvalidImageFormat,
    InvalidParameter,
    ResourceNotFound,
)
from rcl_cli.formats import registry
from rcl_cli.formats.files import is_image
from rcl_cli.formats.record import FormatError, Notes
from rcl_cli.imaging.decode import verify
from rcl_cli.local.datasets.imports import Request, check_project_name, collected, import_images
from rcl_cli.local.datasets.sources import Count
from rcl_cli.local.events import Counted, Event, Tell, Understood
from rcl_cli.local.labelling.adding import BUCKET, add_pictures, store_picture
from rcl_cli.local.works import trouble_of
from rcl_cli.operations.invoke import invoke
from rcl_cli.regular import read_bytes
from rcl_cli.scratch import place_of, scratch_at
from rcl_cli.store import projects

# What is brought, and then neither imported nor asked about, goes after so long.
_KEPT_S = 24 * 3600.0
_MOST_FOLDERS, _MOST_DEEP, _MOST_NAME_BYTES = 8, 32, 255
# Held in memory at once.
_BATCH = 8
PLAIN = "pictures"


class Look(NamedTuple):
    """What files that were brought are.

    Args:
        form: their format; empty for pictures without labels, or with labels that rcl does not understand.
        trouble: why there is no format; empty where there is one.
        pictures: files that are JPEG or PNG by their names.
        parts: `train` and `test`, and what they hold.
        notes: what would be left out, a line a reason.
    """

    form: str
    trouble: str
    pictures: int
    parts: Mapping[str, Count]
    notes: tuple[str, ...]


class Work(NamedTuple):
    """Where an import stands.

    Args:
        what: is done now.
        trouble: why it came to an end without having been done; empty else.
        notes: what was left out, a line a reason.
    """

    what: str = ""
    done: int = 0
    is_over: bool = False
    trouble: str = ""
    notes: tuple[str, ...] = ()


class _Folder:
    """What one page brings."""

    def __init__(self, path: Path) -> None:
        self.path, self.stack, self.used = path, ExitStack(), time.monotonic()
        self.work: Work | None = None
        self.stack.enter_context(scratch_at(path))

    def is_at_work(self) -> bool:
        return self.work is not None and not self.work.is_over

    @property
    def source(self) -> Path:
        """The folder that was brought, or all that was."""
        every = list(self.path.iterdir())
        return every[0] if len(every) == 1 else self.path

    def without_place(self, text: str) -> str:
        """A text that speaks of files as whoever brought them does."""
        # What the command line would have one do.
        text = text.replace(" --format says which it is.", " Choose the format.")
        return text.replace(f"{self.path}/", "").replace(str(self.path), "What was dropped")


class Bringing:
    """Folders that are being brought; from several threads at once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._folders: dict[str, _Folder] = {}
        # What is being imported.
        self._projects: set[str] = set()
        self._lock = threading.Lock()

    def begin(self) -> str:
        """Make room for a folder; returns its name.

        Raises:
            OSError: there is none.
        """
        name = secrets.token_hex(8)
        folder = _Folder(place_of("brought", name, self._context.layout.cache))
        with self._lock:
            self._folders[name] = folder
            newest = sorted(self._folders, key=lambda one: self._folders[one].used, reverse=True)
            idle_since = time.monotonic() - _KEPT_S
            gone = {*newest[_MOST_FOLDERS:], *(one for one in newest if self._folders[one].used < idle_since)}
        for one in gone:
            self.end(one)
        return name

    def keep(self, name: str, relative: str, content: IO[bytes]) -> None:
        """Write a file into a folder.

        Args:
            relative: path in the folder, with slashes.

        Raises:
            InvalidParameter: no file can have this path, or none in the folder, or there is one.
            ResourceNotFound: there is no such folder.
            OSError: it can't be written.
        """
        parts = relative.split("/")
        odd = any(one in ("", ".", "..") or "\0" in one or len(one.encode()) > _MOST_NAME_BYTES for one in parts)
        if odd or len(parts) > _MOST_DEEP:
            raise InvalidParameter(f"{relative}: no file can have this path here.")
        path = self._folder(name).path.joinpath(*parts)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                try:
                    shutil.copyfileobj(content, file)
                except OSError:
                    path.unlink()
                    raise
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise InvalidParameter(f"{relative}: another file of this name was brought.") from error

    def check(self, name: str) -> None:
        """Whether there is such a folder.

        Raises:
            ResourceNotFound: there is none.
        """
        self._folder(name)

    def look(self, name: str, form: str | None) -> Look:
        """What was brought; changes nothing.

        Args:
            form: the format, found out if it is not given.

        Raises:
            ResourceNotFound: there is no such folder.
        """
        folder = self._folder(name)
        if form and form not in registry.FORMATS:
            raise InvalidParameter(f"There is no format {form}.")
        pictures = sum(1 for _ in _pictures(folder.path))
        notes = Notes()
        try:
            form = form or registry.recognise(folder.source)
            source = folder.source
            fence = source if source.is_dir() else source.parent
            with collected(source, form, None, None, notes, lambda _: None, fence) as found:
                lines = tuple(folder.without_place(line) for line in notes.lines())
                return Look(form, "", pictures, found.parts(), lines)
        except FormatError as error:
            return Look("", folder.without_place(str(error)), pictures, {}, ())

    def begin_import(self, name: str, project: str, form: str) -> None:
        """Begin to make datasets of what was brought.

        Args:
            project: a project's name; it is made where there is none.
            form: the format, or `PLAIN` to take the pictures only, without labels.

        Raises:
            ValidationError: no project can have this name.
            InvalidParameter: it was begun before.
            ResourceNotFound: there is no such folder.
        """
        check_project_name(project)
        if project in (".", ".."):
            raise InvalidParameter("The images are put into a folder of the project's name: choose another one.")
        if form != PLAIN and form not in registry.FORMATS:
            raise InvalidParameter(f"There is no format {form}.")
        folder = self._folder(name)
        with self._lock:
            if folder.is_at_work() or project in self._projects:
                raise InvalidParameter("This is being imported already.")
            folder.work = Work()
            self._projects.add(project)
        threading.Thread(target=self._import, args=(folder, project, form), daemon=True).start()

    def progress(self, name: str) -> Work | None:
        """Where importing a folder stands; None where it was not begun.

        Raises:
            ResourceNotFound: there is no such folder.
        """
        return self._folder(name).work

    def end(self, name: str) -> None:
        """Remove what was brought, unless it is being imported."""
        with self._lock:
            folder = self._folders.get(name)
            if folder is None or folder.is_at_work():
                return
            del self._folders[name]
        folder.stack.close()

    def close(self) -> None:
        """Remove all of it."""
        for name in list(self._folders):
            self.end(name)

    def _folder(self, name: str) -> _Folder:
        with self._lock:
            if name not in self._folders:
                raise ResourceNotFound("What was dropped is not kept any more: drop it once more.")
            self._folders[name].used = time.monotonic()
            return self._folders[name]

    def _import(self, folder: _Folder, project: str, form: str) -> None:
        work = Work()

        def tell(event: Event) -> None:
            nonlocal work
            if isinstance(event, Counted):
                work = folder.work = work._replace(what=event.what, done=event.done)
            elif isinstance(event, Understood):
                work = work._replace(notes=event.notes)

        try:
            if form == PLAIN:
                notes = self._only_pictures(folder, project, tell)
                work = work._replace(notes=notes)
            else:
                place = f"s3://{BUCKET}/{project}"
                request = Request(folder.source, project, form=form, copy_to=place, is_brought=True)
                import_images(self._context, request, tell)
        except Exception as error:  # noqa: BLE001 - whatever ends it must be told
            work = work._replace(trouble=folder.without_place(trouble_of(self._context, error)))
        with self._lock:
            self._projects.discard(project)
            folder.work = work._replace(is_over=True, notes=tuple(map(folder.without_place, work.notes)))

    def _only_pictures(self, folder: _Folder, project: str, tell: Tell) -> tuple[str, ...]:
        """Put the pictures into a project, without labels; what is left out, a line a reason.

        Raises:
            FormatError: there are none that can be used.
        """
        notes, arn = Notes(), ""
        usable = (found for path in _pictures(folder.path) if (found := _usable(path, notes)))
        done = 0
        while batch := list(islice(usable, _BATCH)):
            arn = arn or self._project(project)
            refs = []
            for name, data in batch:
                refs.append(store_picture(self._context, arn, name, data))
                done += 1
                tell(Counted("copying images", done))
            add_pictures(self._context, arn, "TRAIN", refs)
        lines = tuple(notes.lines())
        if not arn:
            raise FormatError("\n  ".join(["There are no pictures that can be used.", *lines]))
        return lines

    def _project(self, name: str) -> str:
        with self._context.database.read() as db:
            found = projects.by_name(db, name)
        return found.arn if found else str(invoke(self._context, "CreateProject", {"ProjectName": name})["ProjectArn"])


def _usable(path: Path, notes: Notes) -> tuple[str, bytes] | None:
    """Name and content of a picture; None, and a note, where it can't be used."""
    try:
        data = read_bytes(path)
        verify(data)
    except (InvalidImageFormat, ImageTooLarge, InvalidParameter) as error:
        notes.add(f"pictures can't be used ({error.code})", path)
        return None
    return path.name, data


def _pictures(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if is_image(path) and path.is_file())
