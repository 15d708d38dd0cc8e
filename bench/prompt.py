"""Whole processes at the prompt: `rcl` against the aws CLI on `rcl serve`, and against importing click alone."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from ratios import BIN, clean_environment, compare, process

PROJECTS = 5


def make_store(environment: dict[str, str]) -> str:
    """Some projects; the ARN of one."""
    for number in range(PROJECTS):
        words = [BIN / "rcl", "create-project", "--project-name", f"project-{number}", "--query", "ProjectArn"]
        done = subprocess.run([*words, "--output", "text"], env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        environment = clean_environment(
            RCL_HOME=str(Path(folder) / "home"), AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b",
            AWS_REGION="us-east-1", AWS_DEFAULT_REGION="us-east-1", AWS_CONFIG_FILE=os.devnull, AWS_PAGER="",
        )  # fmt: skip
        make_store(environment)
        with subprocess.Popen(
            [str(BIN / "rcl"), "serve", "--port", "0"], env=environment, stdout=subprocess.PIPE, text=True
        ) as server:
            try:
                assert server.stdout is not None
                measure(environment, server.stdout.readline().split()[-1])
            finally:
                server.terminate()


def measure(environment: dict[str, str], url: str) -> None:
    describe = process([BIN / "rcl", "describe-projects"], environment)
    help_text = process([BIN / "rcl", "--help"], environment)
    line = "rcl delete-project --project-arn arn:"
    tab = process([BIN / "rcl", "complete", "delete-project", "--project-arn", "arn:", *line.split()], environment)
    aws = process([BIN / "aws", "rekognition", "describe-projects", "--endpoint-url", url], environment)
    # `aws help` wants a pager and roff; for its own help the aws CLI must at least do this much.
    aws_version = process([BIN / "aws", "--version"], environment)
    asked = "aws rekognition delete-project --project-arn "
    completer = process([BIN / "aws_completer"], environment | {"COMP_LINE": asked, "COMP_POINT": str(len(asked))})
    click = process([sys.executable, "-c", "import click"], environment)
    compare("`rcl describe-projects`", "`aws rekognition describe-projects` on `rcl serve`", 0.25, describe, aws)
    compare("`rcl describe-projects`, the process", "`python -c 'import click'`", 1.5, describe, click, rounds=21)
    compare("`rcl --help`", "`aws --version`, less than its help", 0.25, help_text, aws_version)
    compare("`rcl --help`, the process", "`python -c 'import click'`", 1.5, help_text, click, rounds=21)
    compare("one TAB at an ARN", "`aws_completer`", 0.25, tab, completer)
    compare("one TAB at an ARN, the process", "`python -c 'import click'`", 1.5, tab, click, rounds=21)


if __name__ == "__main__":
    main()
