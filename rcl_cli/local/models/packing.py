"""Exports for those who have no shell: made by another process, packed into a file, and kept until it is fetched."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import threading
import zipfile
from collections import OrderedDict
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

from rcl_cli.backends.exports.names import FORMS
from rcl_cli.child import command, environment
from rcl_cli.context import Context
from rcl_cli.errors import InvalidParameter, ResourceNotFound
from rcl_cli.local.models.naming import short_name
from rcl_cli.scratch import place_of, scratch_at
from rcl_cli.store.versions import Version

_MOST_KEPT = 4


class Standing(NamedTuple):
    """Where an export stands.

    Args:
        is_over: it is there, or will not be.
        told: what the exported model says of the test images; or why there is none.
    """

    is_over: bool
    is_there: bool
    told: str


class _Export:
    """An export in a process of its own: it needs torch, which a server has no room for."""

    def __init__(self, context: Context, version: Version, form: str) -> None:
        name = secrets.token_hex(8)
        self.file_name = f"{short_name(version.arn).replace('/', '-')}-{form}.zip"
        self.stack = ExitStack()
        self._folder = place_of("export", name, context.layout.cache)
        self.stack.enter_context(scratch_at(self._folder))
        self.zip = self._folder / "export.zip"
        self._out = self._folder / self.file_name.removesuffix(".zip")
        words = command("rcl_cli", "export", version.arn, "--format", form, "-o", str(self._out))
        given = environment(RCL_HOME=str(context.layout.home), AWS_REGION=context.region)
        try:
            self._process = subprocess.Popen(
                words, env=given, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                text=True, errors="replace", start_new_session=True,
            )  # fmt: skip
        except OSError:
            self.stack.close()
            raise
        self.standing = Standing(False, False, "")
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        _, said = self._process.communicate()
        lines = [line.strip() for line in said.replace("\r", "\n").splitlines() if line.strip()]
        told = lines[-1] if lines else ""
        if self._process.returncode:
            self.standing = Standing(True, False, told or f"It ended with {self._process.returncode}.")
            return
        try:
            self._pack()
        except OSError as error:
            self.standing = Standing(True, False, f"There is no room for it: {error.strerror or error}.")
            return
        self.standing = Standing(True, True, told)

    def _pack(self) -> None:
        with zipfile.ZipFile(self.zip, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
            for path in sorted(self._out.rglob("*")):
                if path.is_file():
                    packed.write(path, path.relative_to(self._folder))

    def end(self) -> None:
        if self._process.poll() is None:
            # With the script that tries it.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self.stack.close()


class Exports:
    """The last exports; from several threads at once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._kept: OrderedDict[tuple[str, str], _Export] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, version: Version, form: str) -> None:
        """Begin to export a version; where it is being exported in this form, that goes on.

        Raises:
            InvalidParameter: there is no such form, or too much is being exported.
            OSError: there is no room.
        """
        if form not in FORMS:
            raise InvalidParameter(f"There is no form {form}: choose one of {', '.join(FORMS)}.")
        key = (version.arn, form)
        with self._lock:
            before = self._kept.pop(key, None)
            if before is not None and not before.standing.is_over:
                self._kept[key] = before
                return
            old = next((one for one, export in self._kept.items() if export.standing.is_over), None)
            gone = [before, self._kept.pop(old) if old and len(self._kept) >= _MOST_KEPT else None]
            if len(self._kept) >= _MOST_KEPT:
                raise InvalidParameter("Models are being exported already: wait until one is there.")
            for one in gone:
                if one is not None:
                    one.end()
            self._kept[key] = _Export(self._context, version, form)

    def standing(self, version: Version, form: str) -> Standing:
        """
        Raises:
            ResourceNotFound: it was not exported, or is not kept any more.
        """
        return self._export(version, form).standing

    def file(self, version: Version, form: str) -> tuple[Path, str]:
        """The packed export, and a name for it.

        Raises:
            ResourceNotFound: it is not there.
        """
        found = self._export(version, form)
        if not found.standing.is_there:
            raise ResourceNotFound("The export is not there.")
        return found.zip, found.file_name

    def close(self) -> None:
        """End and remove all of them."""
        with self._lock:
            for one in self._kept.values():
                one.end()
            self._kept.clear()

    def _export(self, version: Version, form: str) -> _Export:
        with self._lock:
            found = self._kept.get((version.arn, form))
        if found is None:
            raise ResourceNotFound("The export is not kept any more: make it once more.")
        return found
