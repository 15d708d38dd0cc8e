"""README's commands, run as a newcomer would type them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Home

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", README, re.DOTALL)


def test_make_targets_exist() -> None:
    for line in "".join(blocks("console")).splitlines():
        done = subprocess.run([*line.split(), "-n"], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("text", blocks("json"))
def test_manifest_lines_are_valid(text: str) -> None:
    from rcl_cli.manifest.line import parse_line

    assert parse_line(text.replace("\n", "")).problems == ()


def test_config_is_valid(home: Home) -> None:
    from rcl_cli.config import load_config

    (home.path / "config.yaml").write_text(blocks("yaml")[0])
    config = load_config(home.path, {})
    assert config.buckets == {"photos": "/data/photos", "archive": "s3"}
    assert config.training == {"epochs": "40"}


def test_tutorial_runs_as_written(home: Home, tmp_path: Path) -> None:
    script = "set -eu\n" + "".join(blocks("sh"))
    tools = tmp_path / ".venv" / "bin"
    tools.mkdir(parents=True)
    (tools / "rcl").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rcl_cli "$@"\n')
    (tools / "rcl").chmod(0o755)
    # One epoch on tiny images: what is tried here is the commands, not the model.
    quick = {"RCL_TRAINING_EPOCHS": "1", "RCL_TRAINING_IMAGE_SIZE": "64", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env=home.environment(**quick), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "found.png").stat().st_size > 10_000
    assert len(list((tmp_path / "buckets" / "circuits" / "output").iterdir())) == 6
