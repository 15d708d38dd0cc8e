"""Where a version's result files may go, and what whoever makes it has to know."""

from __future__ import annotations

from typing import Any

from rcl_cli.context import Context
from rcl_cli.errors import InvalidParameter
from rcl_cli.training.job import Making
from rcl_cli.training.results import TRAINING_VALIDATION, Keys

_MAX_FILE_NAME = 255


def check_output(project_name: str, params: dict[str, Any]) -> None:
    """Check OutputConfig, and that the names of the result files are not too long for a file.

    Raises:
        InvalidParameter: says what to change.
    """
    if "S3Bucket" not in params["OutputConfig"]:
        raise InvalidParameter("OutputConfig needs S3Bucket.")
    longest = Keys("", project_name, params["VersionName"]).key(TRAINING_VALIDATION)
    if len(longest) > _MAX_FILE_NAME:
        raise InvalidParameter(
            f"The names of project and version are too long together: the result file {longest[:40]}… would have "
            f"{len(longest)} characters, and file systems take {_MAX_FILE_NAME}."
        )


def making(context: Context, version_arn: str, project_name: str, params: dict[str, Any]) -> Making:
    """What the process that makes a version's model has to know of the home."""
    work_dir = context.layout.home / "cache"
    return Making(version_arn, project_name, params["VersionName"], params["OutputConfig"], context.buckets, work_dir)
