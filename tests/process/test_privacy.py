"""A whole day of rcl, watched by strace: nothing leaves the machine, and nothing is written but where it belongs."""

from __future__ import annotations

import fnmatch
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DAY = Path(__file__).with_name("day.sh")
# A call, what it was given, what came of it; strace shows the files of descriptors in angle brackets.
_CALL = re.compile(r"^(\w+)\((.*)\) += (-?\d+)(?:<(.*?)>)?")
_PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')
_MAKING = {"mkdir", "mkdirat", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "mknodat"}
# Not all that looks at files: imports look for thousands, and each look would be stopped for.
_WATCHED = ",".join(sorted({"execve", "openat", "connect", "sendto", "sendmsg", "sendmmsg", "bind"} | _MAKING))
# But for the port of the DNS, which machines answer there.
_LOOPBACK = r'htons\((?!53\)).*(inet_addr\("127\.0\.0\.1"\)|"::1")'
_NAMES = ("/etc/resolv.conf", "/etc/hosts", "/run/systemd/resolve")
_FORMS = {"onnx": "onnxruntime", "openvino": "openvino", "torchscript": "torch", "coreml": "coremltools"}
_ANYWHERE = ("/dev/null", "/dev/tty", "/dev/shm/*", "/proc/*", "*/__pycache__/*", "*/__pycache__")


@dataclass
class Day:
    """What was seen."""

    folder: Path
    asked: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)

    def look(self, trace: Path) -> None:
        program = "?"
        for line in trace.read_text("utf-8", "replace").splitlines():
            found = _CALL.match(line)
            if found is None:
                continue
            call, given, result, where = found.groups()
            if call == "execve" and result == "0":
                program = given[:100]
            elif call in ("connect", "sendto", "sendmsg", "sendmmsg", "bind"):
                if "AF_INET" in given and not re.search(_LOOPBACK, given):
                    self.asked.add(f"{program}: {call} {given[:160]}")
            elif call == "openat" and result != "-1":
                path = where or ""
                if path.startswith(_NAMES):
                    self.asked.add(f"{program}: reads {path}")
                if re.search(r"O_WRONLY|O_RDWR|O_CREAT", given):
                    self._wrote(path, program)
            elif call in _MAKING and result == "0":
                place, name = _PATH.findall(given)[-1]
                self._wrote(str(Path(place, name)), program)

    def _wrote(self, path: str, program: str) -> None:
        path = path.removesuffix(" (deleted)")
        if path.startswith("/") and not any(fnmatch.fnmatch(path, one) for one in _ANYWHERE):
            self.written.add(f"{path} by {program}")


def _can_trace() -> bool:
    if not shutil.which("strace"):
        return False
    return subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    if not _can_trace():
        pytest.skip("needs strace")
    folder = tmp_path_factory.mktemp("day")
    for name in ("user", "home", "out", "tmp", "traces"):
        (folder / name).mkdir(mode=0o700)
    # None of the developer's variables, and none that keeps a library quiet.
    variables = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder / "user"),
        "RCL_HOME": str(folder / "home"),
        "RCL_BUCKETS_DIR": str(folder / "out" / "buckets"),
        "RCL_OFFLINE": "1",
        "TMPDIR": str(folder / "tmp"),
        "FORMS": " ".join(form for form, package in _FORMS.items() if importlib.util.find_spec(package)),
    } | {name: os.environ[name] for name in ("OMP_NUM_THREADS", "LANG") if name in os.environ}
    watched = ["strace", "-ff", "-y", "-s", "4096", "--seccomp-bpf", "-e", f"trace={_WATCHED}"]
    done = subprocess.run(
        [*watched, "-qq", "-o", str(folder / "traces" / "of"), "sh", str(DAY)],
        cwd=folder / "out", env=variables, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    seen = Day(folder)
    traces = list((folder / "traces").iterdir())
    assert len(traces) > 50
    for trace in traces:
        seen.look(trace)
    return seen


def test_nothing_is_asked_of_anybody(day: Day) -> None:
    assert sorted(day.asked) == []


def test_files_are_written_in_the_home_the_output_and_the_temporary_folder_only(day: Day) -> None:
    places = tuple(f"{day.folder / name}/" for name in ("home", "out", "tmp"))
    assert sorted(path for path in day.written if not path.startswith(places)) == []
    assert len(day.written) > 100


def test_nothing_stays_in_the_temporary_folder(day: Day) -> None:
    assert sorted(str(path.relative_to(day.folder / "tmp")) for path in (day.folder / "tmp").rglob("*")) == []


def test_the_home_holds_what_the_page_says(day: Day) -> None:
    page = (ROOT / "docs" / "privacy.md").read_text("utf-8")
    known = re.findall(r"^\| `([^`]+)` \|", page.partition("| file |")[2], re.MULTILINE)
    home = day.folder / "home"
    there = [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()]
    assert [path for path in there if not any(fnmatch.fnmatch(path, pattern) for pattern in known)] == []
    assert [pattern for pattern in known if not fnmatch.filter(there, pattern)] == []
