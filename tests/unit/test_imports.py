"""Layers point downwards, and cheap commands stay light."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "rcl_cli"

# Each layer may import itself and those after it. `training` and `inference` are the processes' homes: what the service
# may use of them are job, options, address and client; the processes themselves are started by name.
LAYERS = (
    {"cli", "console", "server"},
    {"local"},
    {"operations"},
    {"training", "inference"},
    {"evaluation"},
    {"backends"},
    {"compute"},
    {"context"},
    {"store", "render", "examples", "formats"},
    {"manifest", "buckets", "imaging"},
    {"api", "config"},
    {"profiles"},
    {"child", "domain", "durable", "errors", "heap", "limits", "plain_yaml", "regular", "scratch", "status", "tiles"},
)
PROCESSES = {
    "rcl_cli.training.trainer",
    "rcl_cli.training.stages",
    "rcl_cli.training.copier",
    "rcl_cli.training.foreseer",
    "rcl_cli.training.candidate",
    "rcl_cli.inference.host",
    "rcl_cli.inference.worker",
}
# Processes in two modules.
PARTS = {(f"training/{name}.py", "rcl_cli.training.stages") for name in ("trainer", "foreseer", "candidate", "contest")}
# What starts a candidate stands beside what it does.
PARTS.add(("training/trainer.py", "rcl_cli.training.candidate"))


def imports(path: Path) -> set[str]:
    """Modules of rcl that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("rcl_cli"):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {node.module} | {n for n in names if (ROOT.parent / (n.replace(".", "/") + ".py")).exists()}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("rcl_cli")}
    return found


def rank(package: str) -> int:
    return next(i for i, layer in enumerate(LAYERS) if package in layer)


def files() -> list[Path]:
    return [path for path in sorted(ROOT.rglob("*.py")) if path.name not in ("__init__.py", "__main__.py")]


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downwards(path: Path) -> None:
    inside = str(path.relative_to(ROOT))
    own = rank(path.relative_to(ROOT).parts[0].removesuffix(".py"))
    for module in imports(path):
        parts = module.split(".")
        if len(parts) < 2:
            continue
        assert rank(parts[1]) >= own, f"{inside} must not import {module}"
        assert module not in PROCESSES or (inside, module) in PARTS, f"{inside} imports the process {module}"


def test_no_two_files_need_each_other() -> None:
    """Not by way of others either, nor for their types alone."""
    names = {"rcl_cli." + ".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in files()}
    needed = {name: imports(path) & names.keys() - {name} for name, path in names.items()}
    while free := {name for name, others in needed.items() if not others}:
        needed = {name: others - free for name, others in needed.items() if name not in free}
    assert needed == {}


def imported(path: Path) -> set[str]:
    """Packages that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_backends_and_training_stages_import_the_heavy_libraries(path: Path) -> None:
    heavy = {"torch", "torchvision", "ultralytics", "onnx", "onnxruntime", "safetensors"}
    inside = str(path.relative_to(ROOT))
    allowed = inside.startswith("backends/") or inside in {"training/stages.py", "inference/model.py"}
    assert allowed or not imported(path) & heavy


def test_what_is_imported_is_declared() -> None:
    """A package that only another one brings along may be gone with its next version."""
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text("utf-8"))["project"]
    optional = project["optional-dependencies"]
    wanted = [*project["dependencies"], *optional["openvino"], *optional["coreml"]]
    declared = {_plain_name(re.split(r"[\[<>=~! ]", one)[0]) for one in wanted}
    brought_by = packages_distributions()
    for path in files():
        for module in imported(path) - sys.stdlib_module_names - {"rcl_cli"}:
            names = {_plain_name(name) for name in brought_by.get(module, [module])}
            assert names & declared, f"{path.relative_to(ROOT)} imports {module}: declare it in pyproject.toml"


def _plain_name(distribution: str) -> str:
    return distribution.lower().replace("_", "-")


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_constant_is_given_twice(path: Path) -> None:
    """The second would be meant wherever the first one is read."""
    given: set[str] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        names = {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
        assert not names & given
        given |= names


def test_flows_neither_print_nor_ask() -> None:
    """Whoever drives them shows what they tell."""
    for path in sorted((ROOT / "local").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in modules} & {"click", "rich"}, path
            if isinstance(node, ast.Call):
                assert getattr(node.func, "id", "") not in {"print", "input"}, path
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "sys":
                assert node.attr not in {"stdout", "stderr", "stdin", "argv"}, path


# What costs a command more than it does itself (bench/prompt.py): operations do without, and help needs click.
HEAVY = {
    "click",
    "dataclasses",
    "hashlib",
    "importlib.resources",
    "secrets",
    "shutil",
    "socket",
    "subprocess",
    "tempfile",
}
PROBE = """
import sys
before = set(sys.modules)
from rcl_cli.cli.app import run
code = run(sys.argv[1:])
print(sorted(set(sys.modules) - before), file=sys.stderr)
sys.exit(code)
"""
PROJECT = "arn:aws:rekognition:us-east-1:123456789012:project/x/1690000000000"
DATASET = "arn:aws:rekognition:us-east-1:123456789012:project/x/dataset/train/1690000000000"
VERSION = "arn:aws:rekognition:us-east-1:123456789012:project/x/version/y/1690000000000"


def loaded_by(words: list[str], home: Path, probe: str = PROBE) -> tuple[set[str], set[str]]:
    """(modules of the standard library, other packages) that a command line loads, whatever comes of it."""
    environment = {**os.environ, "RCL_HOME": str(home), "AWS_CONFIG_FILE": str(home / "none")}
    environment["PYTHONPATH"] = str(ROOT.parent)
    done = subprocess.run([sys.executable, "-c", probe, *words], capture_output=True, text=True, env=environment)
    assert done.returncode in (0, 254), done.stderr
    names = set(ast.literal_eval(done.stderr.strip().splitlines()[-1]))
    packages = {name.split(".")[0] for name in names}
    return names, {name for name in packages if name not in sys.stdlib_module_names}


@pytest.mark.parametrize(
    "words",
    [
        ["describe-projects"],
        ["create-project", "--project-name", "x"],
        ["describe-project-versions", "--project-arn", PROJECT],
        ["list-dataset-entries", "--dataset-arn", DATASET],
        ["describe-dataset", "--dataset-arn", DATASET],
        ["list-tags-for-resource", "--resource-arn", PROJECT],
        ["create-project", "--generate-cli-skeleton"],
        ["detect-custom-labels", "--project-version-arn", VERSION, "--image", "S3Object={Bucket=some,Name=n}"],
    ],
    ids=lambda words: words[0],
)
def test_cheap_commands_load_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    names, packages = loaded_by(words, tmp_path / "home")
    assert packages == {"rcl_cli"}
    # Detecting goes through a socket.
    assert names & HEAVY <= ({"socket"} if words[0] == "detect-custom-labels" else set())


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["create-project", "--help"], ["list-tags-for-resource", "help"]], ids=" ".join
)
def test_help_loads_click_and_nothing_else(words: list[str], tmp_path: Path) -> None:
    _, packages = loaded_by(words, tmp_path / "home")
    assert packages == {"rcl_cli", "click"}


def test_completion_loads_less_still(tmp_path: Path) -> None:
    probe = PROBE.replace("cli.app import run", "cli.complete import main as run")
    names, packages = loaded_by(["delete-project", "--project-arn", "", "rcl"], tmp_path / "home", probe)
    assert packages == {"rcl_cli"}
    assert not names & HEAVY


def test_package_markers_are_empty() -> None:
    for path in ROOT.rglob("__init__.py"):
        if path.parent != ROOT:
            assert path.read_text() == ""
