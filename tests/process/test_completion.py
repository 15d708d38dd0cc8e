"""Completion in real bash, zsh and fish, in a terminal of tmux; manual pages through groff."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Home, image_line, wait_until

ROOT = Path(__file__).resolve().parents[2]
BASH_SETTINGS = """\
PS1='ready> '
bind 'set bell-style none'
bind 'set show-all-if-ambiguous on'
bind 'set page-completions off'
bind 'set completion-query-items 0'
source {completions}/rcl.bash
"""
ZSH_SETTINGS = """\
PROMPT='ready> '
fpath=({completions} $fpath)
autoload -Uz compinit
compinit -u -D
unsetopt beep list_ambiguous
"""
FISH_SETTINGS = """\
function fish_prompt
  echo 'ready> '
end
set -g fish_greeting
set -g fish_autosuggestion_enabled 0
source {completions}/rcl.fish
"""
SHELLS = {
    "bash": (["bash", "--noprofile", "--rcfile", "{rc}", "-i"], BASH_SETTINGS),
    "zsh": (["zsh", "-d", "-i"], ZSH_SETTINGS),
    "fish": (["fish", "--no-config", "-i", "-C", "source {rc}"], FISH_SETTINGS),
}


class Terminal:
    """A shell in a tmux of its own."""

    def __init__(self, shell: str, home: Home, folder: Path) -> None:
        self._socket = str(folder / "tmux")
        command, settings = SHELLS[shell]
        rc = folder / (".zshrc" if shell == "zsh" else "rc")
        rc.write_text(settings.format(completions=ROOT / "completions"))
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        (bin_folder / "rcl").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rcl_cli "$@"\n')
        (bin_folder / "rcl").chmod(0o755)
        path = f"{bin_folder}:{home.environment()['PATH']}"
        settled = {
            "PATH": path,
            "ZDOTDIR": str(folder),
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "LC_ALL": "C.UTF-8",
        }
        self._environment = home.environment(**settled)
        words = [word.format(rc=rc) for word in command]
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "200", "-y", "50", "-c", str(folder), *words)
        wait_until(lambda: "ready>" in self.screen(), 30)

    def tmux(self, *words: str) -> str:
        command = ["tmux", "-S", self._socket, *words]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, check=True).stdout

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p", "-J")

    def line(self) -> str:
        """What stands at the last prompt."""
        return self.screen().rpartition("ready> ")[2].split("\n")[0].rstrip()

    def type(self, text: str) -> None:
        """Begin a new line with a text, and press TAB."""
        wait_until(self._is_cleared, 60)
        self.tmux("send-keys", "-l", "--", text)
        wait_until(lambda: text.strip() in self.screen(), 20)
        self.tmux("send-keys", "Tab")

    def _is_cleared(self) -> bool:
        """Whether the screen has become empty; a shell that is still busy with the last TAB overhears the keys."""
        self.tmux("send-keys", "C-c")
        self.tmux("send-keys", "C-l")
        end = time.monotonic() + 1
        while time.monotonic() < end:
            if self.screen().strip() == "ready>":
                return True
            time.sleep(0.02)
        return False

    def becomes(self, text: str, expected: str) -> None:
        self.type(text)
        try:
            wait_until(lambda: self.line() == expected, 60)
        except AssertionError:
            pytest.fail(f"{text!r} became {self.line()!r}, not {expected!r}:\n{self.screen()}")

    def offers(self, text: str, *expected: str) -> None:
        self.type(text)
        try:
            wait_until(lambda: all(one in self.screen() for one in expected), 60)
        except AssertionError:
            pytest.fail(f"{text!r} does not offer {expected}:\n{self.screen()}")

    def close(self) -> None:
        self.tmux("kill-server")


@pytest.fixture
def store(home: Home) -> dict[str, str]:
    project = home.project("circuits")
    lines = [image_line("data", f"{n}.jpg", label) for n, label in enumerate(("cat", "dog", "cattle"))]
    dataset = home.dataset(project, "TRAIN", lines)
    home.project("other")
    home.call("TagResource", ResourceArn=project, Tags={"owner": "me"})
    return {"project": project, "dataset": dataset}


@pytest.fixture(params=list(SHELLS))
def terminal(request: pytest.FixtureRequest, home: Home, store: dict[str, str], tmp_path: Path) -> Iterator[Terminal]:
    for program in ("tmux", request.param):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    folder = tmp_path / "shell"
    folder.mkdir()
    (folder / "photo.jpg").touch()
    made = Terminal(request.param, home, folder)
    yield made
    made.close()


def test_completion(terminal: Terminal, store: dict[str, str]) -> None:
    project, dataset = store["project"], store["dataset"]
    # Commands, also behind global options and the service's name.
    terminal.becomes("rcl create-project-v", "rcl create-project-version")
    terminal.becomes("rcl --output json rekognition untag", "rcl --output json rekognition untag-resource")
    terminal.offers("rcl describe-", "describe-dataset", "describe-projects", "describe-project-versions")
    terminal.becomes("rcl help tag", "rcl help tag-resource")
    terminal.becomes("rcl wait project-version-r", "rcl wait project-version-running")
    terminal.becomes("rcl ser", "rcl serve")
    terminal.becomes("rcl config explain training.ep", "rcl config explain training.epochs")
    # Options, local ones too.
    terminal.becomes("rcl create-dataset --dataset-t", "rcl create-dataset --dataset-type")
    terminal.becomes("rcl serve --access-k", "rcl serve --access-key-file")
    # Enums, one and many.
    terminal.becomes("rcl create-dataset --dataset-type TR", "rcl create-dataset --dataset-type TRAIN")
    terminal.offers("rcl describe-projects --output ", "json", "yaml-stream", "table")
    terminal.becomes("rcl describe-projects --output=te", "rcl describe-projects --output=text")
    terminal.becomes(
        "rcl describe-projects --features CUSTOM_LABELS CON",
        "rcl describe-projects --features CUSTOM_LABELS CONTENT_MODERATION",
    )
    # The store: ARNs with their colons, names, labels.
    arn = "arn:aws:rekognition:us-east-1:123456789012:project"
    terminal.becomes(f"rcl delete-project --project-arn {arn}/ci", f"rcl delete-project --project-arn {project}")
    terminal.becomes("rcl describe-dataset --dataset-arn ", f"rcl describe-dataset --dataset-arn {dataset}")
    terminal.becomes("rcl describe-projects --project-names oth", "rcl describe-projects --project-names other")
    terminal.offers(f"rcl list-dataset-entries --dataset-arn {dataset} --contains-labels ca", "cat", "cattle")
    terminal.becomes(
        f"rcl list-dataset-entries --dataset-arn {dataset} --contains-labels cat do",
        f"rcl list-dataset-entries --dataset-arn {dataset} --contains-labels cat dog",
    )
    terminal.becomes(
        f"rcl untag-resource --resource-arn {project} --tag-keys o",
        f"rcl untag-resource --resource-arn {project} --tag-keys owner",
    )
    # Files, buckets, members of structures.
    terminal.becomes(
        "rcl detect-custom-labels --image-bytes fileb://ph", "rcl detect-custom-labels --image-bytes fileb://photo.jpg"
    )
    terminal.becomes("rcl draw ph", "rcl draw photo.jpg")
    terminal.becomes("rcl detect other/v1 ph", "rcl detect other/v1 photo.jpg")
    # Commands in a group.
    terminal.becomes("rcl dataset im", "rcl dataset import")
    terminal.becomes("rcl dataset import --proj", "rcl dataset import --project")
    terminal.becomes("rcl dataset import --format labels", "rcl dataset import --format labelstudio")
    terminal.becomes("rcl dataset import ph", "rcl dataset import photo.jpg")
    terminal.becomes("rcl dataset export ci", "rcl dataset export circuits/train")
    terminal.becomes("rcl detect other/v1 s3://da", "rcl detect other/v1 s3://data/")
    terminal.becomes(
        "rcl list-dataset-entries --source-ref-contains s3://da",
        "rcl list-dataset-entries --source-ref-contains s3://data/",
    )
    terminal.becomes(
        "rcl create-project-version --output-config S3Bucket=da",
        "rcl create-project-version --output-config S3Bucket=data",
    )


def test_words_of_others_mean_nothing_to_the_shell(terminal: Terminal, home: Home, tmp_path: Path) -> None:
    """Labels that a shell would run, expand, divide, or send to the terminal."""
    trap = tmp_path / "trap"
    odd = {
        "tick": f"tick`touch {trap}`",
        "sub": f"sub$(touch {trap})",
        "two": "two words; touch x",
        "it": 'it\'s "quoted"',
        "star": "star *",
        "esc": "esc\x1b]0;owned\x07",
        "line": "line\nbreak",
    }
    lines = [image_line("data", f"odd-{n}.jpg", label) for n, label in enumerate(odd.values())]
    dataset = home.dataset(home.project("odd"), "TRAIN", lines)
    head = f"rcl list-dataset-entries --output off --dataset-arn {dataset} --contains-labels"
    for start in ("tick", "sub", "two", "it", "star"):
        terminal.type(f"{head} {start}")
        wait_until(lambda start=start: not terminal.screen().rstrip().endswith(f" {start}"), 60)
        # Run what it became: the command must see the label as it is.
        terminal.tmux("send-keys", "-l", "--", " --query 'length(DatasetEntries)' --output text; echo en''ded")
        terminal.tmux("send-keys", "Enter")
        wait_until(lambda: "\nended" in terminal.screen(), 60)
        assert "\n1\nended" in terminal.screen(), terminal.screen()
    assert not trap.exists()
    for start in ("esc", "line"):
        terminal.type(f"{head} {start}")
        assert "owned" not in terminal.tmux("display-message", "-p", "#{pane_title}")
        assert "break" not in terminal.screen()


def test_members_in_quotes(terminal: Terminal, home: Home) -> None:
    (home.buckets / "data" / "photos").mkdir()
    for typed, expected in (
        ("rcl detect-custom-labels --image 'S3Object={Bucket=da", "'S3Object={Bucket=data"),
        ("rcl detect-custom-labels --image 'S3Object={Bucket=data,Name=ph", "'S3Object={Bucket=data,Name=photos/"),
        ("rcl create-dataset --dataset-source 'GroundTruthM", "'GroundTruthManifest={"),
    ):
        terminal.type(typed)
        wait_until(lambda expected=expected: expected in terminal.screen(), 60)


def test_settings_are_completed(home: Home) -> None:
    (home.path / "config.yaml").write_text("training: {epochs: 40}\n")
    command = [sys.executable, "-m", "rcl_cli", "complete", "config explain", "setting", "training.e", "rcl"]
    done = subprocess.run(command, env=home.environment(), capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("training.epochs\t40\n", "")


def test_completion_never_makes_a_home_or_fails_aloud(tmp_path: Path, home: Home) -> None:
    command = [sys.executable, "-m", "rcl_cli", "complete", "delete-project", "--project-arn", "", "rcl"]
    none = tmp_path / "none"
    done = subprocess.run(command, env=home.environment(RCL_HOME=str(none)), capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr, none.exists()) == (0, "", "", False)
    (home.path / "rcl.db").write_bytes(b"this is no database at all" * 100)
    done = subprocess.run(command, env=home.environment(), capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("page", sorted((ROOT / "man").glob("*.1")), ids=lambda page: page.name)
def test_manual_pages_are_good_roff(page: Path) -> None:
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    command = ["groff", "-man", "-Tutf8", "-ww", "-rLL=78n", str(page)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    # Bold letters are struck twice.
    assert "\nSYNOPSIS\n" in re.sub(".\x08", "", done.stdout)


def test_generated_files_are_current_and_staleness_is_noticed(tmp_path: Path) -> None:
    check = [sys.executable, str(ROOT / "tools" / "generate.py"), "--check"]
    assert subprocess.run(check, capture_output=True).returncode == 0
    for folder in ("rcl_cli", "tools", "completions", "man"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    check[1] = str(tmp_path / "tools" / "generate.py")
    for name in ("completions/rcl.fish", "man/rcl-create-dataset.1"):
        path = tmp_path / name
        kept = path.read_text()
        path.write_text(kept + "\n")
        done = subprocess.run(check, capture_output=True, text=True)
        assert (done.returncode, name in done.stderr) == (1, True)
        path.write_text(kept)
    (tmp_path / "man" / "rcl-gone.1").touch()
    assert subprocess.run(check, capture_output=True).returncode == 1
