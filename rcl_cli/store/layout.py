"""Where things lie under RCL_HOME."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rcl_cli.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Layout:
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
    def weights_cache(self) -> Path:
        return self.home / "cache" / "weights"

    def model(self, version_id: int) -> Path:
        return self.home / "models" / str(version_id)

    def job(self, version_id: int) -> Path:
        return self.home / "jobs" / str(version_id)

    def training_log(self, version_id: int) -> Path:
        return self.home / "jobs" / f"{version_id}.log"

    def host(self, version_id: int) -> Path:
        return self.home / "hosts" / str(version_id)

    def make(self) -> None:
        """Create the home.

        Raises:
            ConfigError: it can't be created or written.
        """
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.home.stat().st_mode & 0o077:
                self.home.chmod(0o700)
            for folder in ("models", "jobs", "hosts", "buckets"):
                (self.home / folder).mkdir(exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"The folder {self.home} can't be used: {error.strerror or error}. "
                "Set RCL_HOME to a folder that you may write to."
            ) from error
