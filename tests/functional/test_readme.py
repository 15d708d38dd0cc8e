"""README's commands, run as a newcomer would type them."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Home
from tests.functional.serving import serving

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
    (tools / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    for name in ("rcl", "python3"):
        (tools / name).chmod(0o755)
    # One epoch on tiny images: what is tried here is the commands, not the model.
    quick = {"RCL_TRAINING_EPOCHS": "1", "RCL_TRAINING_IMAGE_SIZE": "64", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env=home.environment(**quick), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Traceback") == 0
    assert (tmp_path / "found.png").stat().st_size > 10_000
    assert len(list((tmp_path / "buckets" / "circuits" / "output").iterdir())) == 6


def test_python_runs_as_written(home: Home) -> None:
    arn = home.project("circuits")
    with serving(home) as (url, _):
        program = blocks("python")[0].replace("http://127.0.0.1:8650", url)
        done = subprocess.run([sys.executable, "-c", program], env=home.environment(), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"[{arn!r}]\n"), done.stderr


def test_the_unit_starts_a_server(home: Home) -> None:
    unit = configparser.RawConfigParser()
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(blocks("ini")[0])
    program, command, *options = unit.get("Service", "ExecStart").split()
    assert (program, command) == ("%h/rcl/.venv/bin/rcl", "serve")
    with serving(home, *options):
        pass
    if shutil.which("systemd-analyze"):
        path = home.path / "rcl.service"
        path.write_text(blocks("ini")[0].replace("%h/rcl/.venv/bin/rcl", sys.executable))
        done = subprocess.run(["systemd-analyze", "verify", "--user", path], capture_output=True, text=True)
        assert "rcl.service" not in done.stderr


def test_files_for_shells_are_there() -> None:
    names = re.findall(r"(?:completions|man)/[_a-z]+\.?[a-z1]*", README)
    assert len(names) >= 4
    for name in names:
        assert (ROOT / name).is_file(), name
