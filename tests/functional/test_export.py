"""`rcl export`: a model that runs without rcl, and says the same."""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import noisy
from tests.functional.models import Trained

Run = Callable[..., subprocess.CompletedProcess[str]]
FORMATS = [
    "onnx",
    "torchscript",
    pytest.param("openvino", marks=pytest.mark.skipif(not importlib.util.find_spec("openvino"), reason="no openvino")),
]


@pytest.fixture(params=["classifier", "detector"])
def model(request: pytest.FixtureRequest) -> Trained:
    found: Trained = request.getfixturevalue(request.param)
    return found


def exported(rcl: Run, model: Trained, form: str, out: Path) -> str:
    done = rcl("export", "p/v", "--format", form, "-o", str(out), RCL_HOME=str(model.home.path))
    assert (done.returncode, done.stdout) == (0, f"{out}\n"), done.stderr
    return done.stderr


def ask(out: Path, *words: str) -> list[dict[str, list[dict[str, object]]]]:
    """What the script says, run apart from this package."""
    done = subprocess.run([sys.executable, "-I", out / "run.py", *words], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("form", FORMATS)
def test_the_script_says_what_the_model_says(form: str, model: Trained, rcl: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = exported(rcl, model, form, out)
    figures = [word.strip("():,") for word in said.split() if word.strip("():,").startswith(("0.", "1."))]
    assert len(figures) == 4
    if form == "onnx":
        # The same runtime: to the last digit that is shown. Others round otherwise, which settles ties.
        assert figures[0] == figures[1]
        assert figures[2] == figures[3]
    exif = Image.Exif()
    exif[0x0112] = 6
    odd = {"tall.png": (90, 300), "wide.jpg": (1200, 500), "turned.jpg": (400, 300)}
    for name, size in odd.items():
        noisy((200, 40, 40), size, 5).save(tmp_path / name, **({"exif": exif} if name == "turned.jpg" else {}))
    paths = [*(tmp_path / name for name in odd), next((model.home.buckets / "data").glob("*3.jpg"))]
    answers = ask(out, "--min-confidence", "0", *map(str, paths))
    for path, answer in zip(paths, answers, strict=True):
        ours = [d for d in model.detect(path.read_bytes(), MinConfidence=0.0) if d["Confidence"] > 0.2]
        theirs = [d for d in answer["found"] if d["confidence"] > 0.002]  # type: ignore[operator]
        for label, other in zip(ours, theirs, strict=False):
            assert other["label"] == label["Name"]
            assert other["confidence"] * 100 == pytest.approx(label["Confidence"], abs=0.1)  # type: ignore[operator]
            if "Geometry" in label:
                box = label["Geometry"]["BoundingBox"]
                corners = [box["Left"], box["Top"], box["Left"] + box["Width"], box["Top"] + box["Height"]]
                assert other["box"] == pytest.approx(corners, abs=0.005)


def test_the_script_needs_no_rcl(model: Trained, rcl: Run, tmp_path: Path) -> None:
    exported(rcl, model, "onnx", tmp_path / "out")
    tree = ast.parse((tmp_path / "out" / "run.py").read_text("utf-8"))
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    found |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert found <= {"argparse", "json", "math", "pathlib", "numpy", "PIL", "onnxruntime"}


def test_thresholds_go_along(classifier: Trained, rcl: Run, tmp_path: Path) -> None:
    home = {"RCL_HOME": str(classifier.home.path)}
    label = json.loads(rcl("thresholds", "p/v", "--json", **home).stdout.splitlines()[0])["label"]
    rcl("thresholds", "p/v", "--set", f"{label}=0", **home)
    try:
        exported(rcl, classifier, "onnx", tmp_path / "out")
    finally:
        rcl("thresholds", "p/v", "--reset", **home)
    assert json.loads((tmp_path / "out" / "labels.json").read_text("utf-8"))["thresholds"][label] == 0
    image = next((classifier.home.buckets / "data").glob("*3.jpg"))
    assert label in {one["label"] for one in ask(tmp_path / "out", str(image))[0]["found"]}


def test_what_cannot_be_exported_leaves_nothing(classifier: Trained, rcl: Run, tmp_path: Path) -> None:
    home = {"RCL_HOME": str(classifier.home.path)}
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    done = rcl("export", "p/v", "--format", "onnx", "-o", str(tmp_path / "full"), **home)
    assert done.returncode == 252
    assert "is not an empty folder" in " ".join(done.stderr.split())
    hidden = {**home, "PYTHONPATH": f"{tmp_path / 'path'}:{Path(__file__).resolve().parents[2]}"}
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "openvino.py").write_text("raise ImportError")
    done = rcl("export", "p/v", "--format", "openvino", "-o", str(tmp_path / "new"), **hidden)
    assert done.returncode == 253
    assert "pip install openvino" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "home", "path"]
