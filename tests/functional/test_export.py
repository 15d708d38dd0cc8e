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


@pytest.mark.parametrize("form", ["coreml", "tensorrt"])
def test_forms_of_other_machines_are_written_or_refused(form: str, model: Trained, rcl: Run, tmp_path: Path) -> None:
    import onnxruntime

    out = tmp_path / "out"
    home = {"RCL_HOME": str(model.home.path)}
    done = rcl("export", "p/v", "--format", form, "-o", str(out), **home)
    said = " ".join(done.stderr.split())
    if form == "tensorrt" and "TensorrtExecutionProvider" not in onnxruntime.get_available_providers():
        assert (done.returncode, done.stdout, out.exists()) == (253, "", False)
        assert "needs an NVIDIA GPU" in said
        return
    assert (done.returncode, done.stdout) == (0, f"{out}\n"), done.stderr
    if form == "coreml":
        assert sys.platform == "darwin" or "Core ML models run on macOS only" in said
        spec = (
            importlib.import_module("coremltools")
            .models.MLModel(str(out / "model.mlpackage"), skip_model_load=True)
            .get_spec()
        )
        shape = list(spec.description.input[0].type.multiArrayType.shape)
        size = json.loads((out / "labels.json").read_text("utf-8"))["size_px"]
        side = size + 32 if (model.home.buckets / "data" / "box-0.jpg").exists() else size
        assert shape == [1, side, side, 3]
        compile((out / "run.py").read_text("utf-8"), "run.py", "exec")


def test_a_square_canvas_finds_the_same(detector: Trained, tmp_path: Path) -> None:
    """What scripts of forms with one shape do to an image, tried with the runtime that is here."""
    from rcl_cli.backends.exports import formats as exports
    from rcl_cli.backends.registry import read_card

    folder = detector.home.path / "models" / "1"
    card, extra = read_card(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(exports.FORMS, "square", exports.FORMS["onnx"]._replace(has_one_shape=True))
        for form in ("onnx", "square"):
            (tmp_path / form).mkdir()
            exports.write_export(form, card, folder, extra["thresholds"], tmp_path / form)
    images = [str(path) for path in sorted((detector.home.buckets / "data").glob("box-*.jpg"))]
    plain, square = (ask(tmp_path / form, "--min-confidence", "0.3", *images) for form in ("onnx", "square"))
    assert "96, 96" in (tmp_path / "square" / "run.py").read_text("utf-8")
    for one, other in zip(plain, square, strict=True):
        for found, again in zip(one["found"], other["found"], strict=False):
            assert again["label"] == found["label"]
            # More grey around an image changes what the network sees at its edges, but not where things are.
            assert again["box"] == pytest.approx(found["box"], abs=0.1)


def test_all_forms_can_be_asked_for() -> None:
    from rcl_cli.backends.exports.formats import FORMS
    from rcl_cli.cli.local.export import export

    option = next(one for one in export.params if one.name == "form")
    assert set(option.type.choices) == set(FORMS)  # type: ignore[attr-defined]


def test_the_script_needs_no_rcl(model: Trained, rcl: Run, tmp_path: Path) -> None:
    exported(rcl, model, "onnx", tmp_path / "out")
    tree = ast.parse((tmp_path / "out" / "run.py").read_text("utf-8"))
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    found |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert found <= {"argparse", "json", "math", "os", "pathlib", "numpy", "PIL", "onnxruntime"}


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
