"""CamelCase of the wire to kebab-case of the command line and back."""

from __future__ import annotations

import re

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def kebab(name: str) -> str:
    """`ProjectVersionArn` -> `project-version-arn`, `S3Object` -> `s3-object`."""
    return _WORD_START.sub("-", name).lower()


def lower_camel(name: str) -> str:
    """`ProjectName` -> `projectName`, as validation messages of the service write members."""
    return name[:1].lower() + name[1:]


def camel(command: str) -> str:
    """`create-project-version` -> `CreateProjectVersion`, for names of operations."""
    return "".join(part.capitalize() for part in command.split("-"))
