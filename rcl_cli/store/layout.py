"""Where things lie under RCL_HOME."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from rcl_cli.errors import ConfigError
from rcl_cli.store import room


class Layout(NamedTuple):
    """Paths of one home.

    Args:
        home: the folder; made on first use, for its owner only.
    """

    home: Path

    @property
    def database(self) -> Path:
        return self.home / "rcl.db"

    @property
    def config(self) -> Path:
        return self.home / "config.yaml"

    @property
    def buckets(self) -> Path:
        return self.home / "buckets"

    @property
    def cache(self) -> Path:
        """What can be made anew."""
        return self.home / "cache"

    @property
    def signs(self) -> Path:
        """Colours and keys of labels: local/labelling/signs.py."""
        return self.home / "signs"

    @property
    def weights_cache(self) -> Path:
        return self.cache / "weights"

    @property
    def datasets(self) -> Path:
        """The entries of datasets: entry_files.py."""
        return self.home / "datasets"

    def model(self, version_id: int) -> Path:
        return self.home / "models" / str(version_id)

    def job(self, version_id: int) -> Path:
        return self.home / "jobs" / str(version_id)

    def new_job(self, name: str) -> Path:
        """A job's folder before its version has a number; the empty name is what all of them begin with."""
        return self.home / "jobs" / f".new-{name}"

    def training_log(self, version_id: int) -> Path:
        return self.home / "jobs" / f"{version_id}.log"

    def lock(self, version_id: int) -> Path:
        """Held by the process that works on a version."""
        return self.home / "jobs" / f"{version_id}.lock"

    def answers(self, version_id: int) -> Path:
        """What a version said of pictures: store/answers.py."""
        return self.home / "cache" / "answers" / f"{version_id}.db"

    def host(self, version_id: int) -> Path:
        return self.home / "hosts" / str(version_id)

    def _close_to_others(self) -> None:
        """Nobody else may put anything in: whoever can rename the database away can have another one read.

        Folders that are somebody else's, or made for everybody (sticky), are as their owner wants them.
        """
        found = self.home.stat()
        others_write = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if others_write and found.st_uid == os.getuid() and not found.st_mode & stat.S_ISVTX:
            with suppress(OSError):
                self.home.chmod(stat.S_IMODE(found.st_mode) & ~(stat.S_IWGRP | stat.S_IWOTH))

    def make(self) -> None:
        """Create the home.

        Raises:
            ConfigError: it can't be created or written.
        """
        try:
            if not self.home.is_dir():
                self.home.mkdir(mode=0o700, parents=True)
            # Others may look into a folder that was there before, as its owner wants; into what is made inside nobody.
            for folder in ("models", "jobs", "hosts", "buckets", "datasets"):
                (self.home / folder).mkdir(mode=0o700, exist_ok=True)
            self.database.touch(mode=0o600)
            self._close_to_others()
            room.keep(self.home)
        except OSError as error:
            raise ConfigError(
                f"The folder {self.home} can't be used: {error.strerror or error}. "
                "Set RCL_HOME to a folder that you may write to."
            ) from error
