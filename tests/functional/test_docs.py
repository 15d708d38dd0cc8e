"""The commands of README and docs/, run as a newcomer would type them."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rcl_cli.cli.tree import cli
from tests.conftest import Home, noisy
from tests.functional.serving import serving

ROOT = Path(__file__).resolve().parents[2]
PAGES = {path.name if path.parent == ROOT else f"docs/{path.name}": path.read_text("utf-8")
         for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}  # fmt: skip


def blocks(page: str, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGES[page], re.DOTALL)


def pages_with(kind: str) -> list[str]:
    return [page for page in PAGES if blocks(page, kind)]


@pytest.mark.parametrize("page", pages_with("console"))
def test_commands_that_are_not_run_exist(page: str) -> None:
    """`make` targets, and commands that need an account."""
    import click

    for line in "".join(blocks(page, "console")).splitlines():
        program, *words = line.split()
        if program == "make":
            done = subprocess.run([program, *words, "-n"], cwd=ROOT, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            continue
        assert program == "rcl"
        command = cli.get_command(click.Context(cli), words[0])
        assert command is not None, line
        known = {flag for option in command.params for flag in option.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


@pytest.mark.parametrize("text", [text for page in PAGES for text in blocks(page, "json")])
def test_manifest_lines_are_valid(text: str) -> None:
    from rcl_cli.manifest.line import parse_line

    assert parse_line(text.replace("\n", "")).problems == ()


def test_config_is_valid(home: Home) -> None:
    from rcl_cli.config import load_config

    (home.path / "config.yaml").write_text(blocks("docs/settings.md", "yaml")[0])
    config = load_config(home.path, {})
    assert config.buckets == {"photos": "/data/photos", "archive": "s3"}
    assert config.training == {"epochs": "40"}


def run_script(script: str, home: Home, folder: Path) -> str:
    """Run what a page says in an empty folder; returns stderr."""
    tools = folder / ".venv" / "bin"
    tools.mkdir(parents=True, exist_ok=True)
    # Examples with fewer images, to be quick; everything else as it stands.
    fewer = '[ "$1" = example ] && set -- "$@" --train 30 --test 12\n'
    (tools / "rcl").write_text(f'#!/bin/sh\n{fewer}exec "{sys.executable}" -m rcl_cli "$@"\n')
    (tools / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    for name in ("rcl", "python3"):
        (tools / name).chmod(0o755)
    # One epoch on tiny images: what is tried here is the commands, not the model.
    quick = {"RCL_TRAINING_EPOCHS": "1", "RCL_TRAINING_IMAGE_SIZE": "64", "RCL_TRAINING_WEIGHTS": "none"}
    environment = home.environment(**quick, PYTHONPATH=str(ROOT))
    environment["PATH"] = f"{tools}:{environment['PATH']}"
    done = subprocess.run(
        ["sh", "-c", f"set -eu\n{script}"], cwd=folder, env=environment, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Traceback") == 0
    return done.stderr


@pytest.mark.parametrize("page", pages_with("sh"))
def test_pages_run_as_written(page: str, home: Home, tmp_path: Path) -> None:
    for label, colour in (("cats", (200, 60, 40)), ("dogs", (40, 80, 200))):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(12):
            noisy(colour, (96, 72), number).save(tmp_path / "photos" / label / f"{number}.jpg")
    run_script("".join(blocks(page, "sh")), home, tmp_path)
    for picture in re.findall(r"(?:-o|--out|--draw) (\w+\.png)", PAGES[page]):
        assert (tmp_path / picture).stat().st_size > 10_000, picture


def test_readmes_session_runs_as_recorded(home: Home, tmp_path: Path) -> None:
    session = blocks("README.md", "text")[0]
    commands = re.findall(r"^\$ (.*)$", session, re.MULTILINE)
    assert len(commands) >= 3
    said = run_script("\n".join(commands), home, tmp_path)
    # What it prints besides figures is still printed.
    for line in ("A report for your browser:", "The model is running. Try it:"):
        assert line in session
        assert line in said


def test_ways_to_a_drawn_detection_are_as_short_as_they_say() -> None:
    quick, calls = blocks("README.md", "sh")[1:3]
    count = [len(re.findall(r"^rcl ", block, re.MULTILINE)) for block in (quick, calls)]
    assert (count[0], count[1] <= 8) == (2, True)


def test_readmes_ratios_are_the_measured_ones() -> None:
    results = (ROOT / "bench" / "RESULTS.md").read_text("utf-8")
    rows = {tuple(cell.strip() for cell in line.split("|")[1:3]): line.split("|")[4].strip(" *")
            for line in results.partition("<!-- ratios")[2].splitlines() if line.count("|") > 5}  # fmt: skip
    table = PAGES["README.md"].partition("| what | against | ratio |")[2].partition("\n\n")[0]
    lines = table.strip().splitlines()[1:]
    assert len(lines) >= 5
    for line in lines:
        what, against, ratio = (cell.strip() for cell in line.strip("|").split("|"))
        assert rows[what, against] == ratio


def test_python_runs_as_written(home: Home) -> None:
    arn = home.project("circuits")
    programs = {program for page in PAGES for program in blocks(page, "python")}
    assert len(programs) == 1
    with serving(home) as (url, _):
        program = programs.pop().replace("http://127.0.0.1:8650", url)
        done = subprocess.run([sys.executable, "-c", program], env=home.environment(), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"[{arn!r}]\n"), done.stderr


def test_links_lead_somewhere() -> None:
    for page, text in PAGES.items():
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert ((ROOT / page).parent / target).exists(), (page, target)


def test_every_command_is_in_the_docs() -> None:
    from rcl_cli.cli.local.texts import LOCAL

    text = "".join(PAGES.values())
    for name in LOCAL:
        assert re.search(rf"\brcl {name}\b", text), name


def test_the_unit_starts_a_server(home: Home) -> None:
    unit = configparser.RawConfigParser()
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(blocks("docs/serving.md", "ini")[0])
    program, command, *options = unit.get("Service", "ExecStart").split()
    assert (program, command) == ("%h/rcl/.venv/bin/rcl", "serve")
    with serving(home, *options):
        pass
    if shutil.which("systemd-analyze"):
        path = home.path / "rcl.service"
        path.write_text(blocks("docs/serving.md", "ini")[0].replace("%h/rcl/.venv/bin/rcl", sys.executable))
        done = subprocess.run(["systemd-analyze", "verify", "--user", path], capture_output=True, text=True)
        assert "rcl.service" not in done.stderr


def test_files_for_shells_are_there() -> None:
    names = re.findall(r"(?:completions|man)/[_a-z]+\.?[a-z1]*", PAGES["docs/settings.md"])
    assert len(names) >= 4
    for name in names:
        assert (ROOT / name).is_file(), name
