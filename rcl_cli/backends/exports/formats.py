"""A trained model in forms that need no rcl: with its labels, preprocessing and thresholds, and a script that runs it.

| format | files | needs to run |
|---|---|---|
| onnx | `model.onnx` | onnxruntime |
| openvino | `model.xml`, `model.bin` | openvino |
| torchscript | `model.torchscript` | torch |
| coreml | `model.mlpackage` | coremltools, on macOS |
| tensorrt | `model.onnx`, and engines for this machine's GPU | onnxruntime-gpu and tensorrt |
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

from rcl_cli.backends.base import ONNX_FILE
from rcl_cli.backends.libraries import libraries_folder
from rcl_cli.backends.registry import example_input, family, load_network
from rcl_cli.backends.runtimes.forms import export_onnx
from rcl_cli.backends.runtimes.openvino_runner import quiet_openvino
from rcl_cli.domain import ModelCard
from rcl_cli.errors import ConfigError, RclError

SCRIPT, LABELS = "run.py", "labels.json"
_RUNNERS = Path(__file__).with_name("runners")


class Form(NamedTuple):
    """How a format is written and run.

    Args:
        write: from the card and the model's folder into another folder.
        packages: what running it needs, beside numpy and pillow.
        imports, load: lines of the script; `load` defines `forward`, from (1, H, W, 3) uint8 to the output.
        has_one_shape: it takes images of one shape only: detectors get a square canvas.
        cannot_run: why the script can't run on this machine; empty where it can.
    """

    write: Callable[[ModelCard, Path, Path], None]
    packages: str
    imports: str
    load: str
    has_one_shape: bool = False
    cannot_run: Callable[[], str] = lambda: ""


def _write_onnx(card: ModelCard, folder: Path, out: Path) -> None:
    if not (folder / ONNX_FILE).is_file():
        export_onnx(card, folder)
    import onnx

    model = onnx.load(str(folder / ONNX_FILE))
    # For whoever finds the file alone.
    onnx.helper.set_model_props(
        model, {"labels": json.dumps(list(card.labels)), "preprocessing": json.dumps(card.preprocessing)}
    )
    onnx.save(model, str(out / "model.onnx"))


def _write_openvino(card: ModelCard, folder: Path, out: Path) -> None:
    try:
        openvino = quiet_openvino()
    except ImportError as error:
        raise ConfigError("The format openvino needs a package that is not installed: pip install openvino") from error
    if not (folder / ONNX_FILE).is_file():
        export_onnx(card, folder)
    model = openvino.Core().read_model(str(folder / ONNX_FILE))
    openvino.save_model(model, str(out / "model.xml"), compress_to_fp16=False)


def _write_torchscript(card: ModelCard, folder: Path, out: Path) -> None:
    import torch

    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        network = load_network(card, folder)
        torch.jit.trace(network, example_input(card), check_trace=False).save(str(out / "model.torchscript"))


def _write_coreml(card: ModelCard, folder: Path, out: Path) -> None:
    try:
        with warnings.catch_warnings(), _no_output():
            warnings.simplefilter("ignore")
            import coremltools
    except ImportError as error:
        raise ConfigError("The format coreml needs a package that is not installed: pip install coremltools") from error
    import torch

    side = canvas_side(card)
    network = load_network(card, folder)
    with warnings.catch_warnings(), torch.no_grad(), _no_output():
        warnings.simplefilter("ignore")
        # Core ML has no bytes as input. Exported rather than traced: shapes are numbers then, and need no operators.
        program = torch.export.export(network, (torch.zeros(1, side, side, 3),)).run_decompositions({})
        model = coremltools.convert(
            program,
            inputs=[coremltools.TensorType(name="pixels", shape=(1, side, side, 3))],
            outputs=[coremltools.TensorType(name="scores")],
            convert_to="mlprogram",
            minimum_deployment_target=coremltools.target.macOS13,
            compute_precision=coremltools.precision.FLOAT32,
        )
        model.user_defined_metadata["labels"] = json.dumps(list(card.labels))
        model.save(str(out / "model.mlpackage"))


def _no_coreml() -> str:
    return "" if sys.platform == "darwin" else "Core ML models run on macOS only"


def _write_tensorrt(card: ModelCard, folder: Path, out: Path) -> None:
    import onnxruntime

    if "TensorrtExecutionProvider" not in onnxruntime.get_available_providers():
        raise ConfigError(
            "The format tensorrt needs an NVIDIA GPU, and packages that are not installed: "
            "pip uninstall onnxruntime; pip install onnxruntime-gpu tensorrt"
        )
    # The script builds the engine, for this GPU, the first time it runs: when the export is tried.
    _write_onnx(card, folder, out)


@contextmanager
def _no_output() -> Iterator[None]:
    """Converters tell stderr what they do."""
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere), redirect_stdout(nowhere):  # noqa: PTH123
        yield


def canvas_side(card: ModelCard) -> int:
    """The side of the square that a model of one shape takes, in pixels."""
    return family(card.family).canvas_px(int(card.preprocessing["size_px"]))


_IMPORT_ONNXRUNTIME = (
    'import os\nos.environ["ORT_DISABLE_TELEMETRY"] = "1"  # else it tells Microsoft\nimport onnxruntime'
)
_IMPORT_OPENVINO = (
    'import sys\nsys.modules["openvino_telemetry"] = None  # else importing tells Google Analytics\nimport openvino'
)
FORMS: dict[str, Form] = {
    "onnx": Form(
        _write_onnx,
        "onnxruntime",
        _IMPORT_ONNXRUNTIME,
        'session = onnxruntime.InferenceSession(str(here / "model.onnx"), providers=["CPUExecutionProvider"])\n'
        'forward = lambda pixels: session.run(None, {"pixels": pixels})[0]',
    ),
    "openvino": Form(
        _write_openvino,
        "openvino",
        _IMPORT_OPENVINO,
        "# Single precision: newer processors would compute in half of it otherwise, and say something else.\n"
        'precision = {"INFERENCE_PRECISION_HINT": "f32"}\n'
        'compiled = openvino.Core().compile_model(str(here / "model.xml"), "CPU", precision)\n'
        "forward = lambda pixels: compiled([pixels])[0]",
    ),
    "torchscript": Form(
        _write_torchscript,
        "torch",
        "import torch",
        'network = torch.jit.load(str(here / "model.torchscript")).eval()\n'
        "forward = lambda pixels: network(torch.from_numpy(pixels.copy())).detach().numpy()",
    ),
    "coreml": Form(
        _write_coreml,
        "coremltools",
        "import coremltools",
        'network = coremltools.models.MLModel(str(here / "model.mlpackage"))\n'
        'forward = lambda pixels: network.predict({"pixels": pixels.astype(np.float32)})["scores"]',
        has_one_shape=True,
        cannot_run=_no_coreml,
    ),
    "tensorrt": Form(
        _write_tensorrt,
        "onnxruntime-gpu tensorrt",
        "import tensorrt  # first: it brings the library that the next one looks for\n" + _IMPORT_ONNXRUNTIME,
        'options = {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(here), "trt_fp16_enable": False}\n'
        'providers = [("TensorrtExecutionProvider", options)]\n'
        'session = onnxruntime.InferenceSession(str(here / "model.onnx"), providers=providers)\n'
        'if not session.get_providers()[0].startswith("Tensorrt"):\n'
        '    raise SystemExit("TensorRT did not load: onnxruntime-gpu needs the version that it was built for")\n'
        'forward = lambda pixels: session.run(None, {"pixels": pixels})[0]',
        has_one_shape=True,
    ),
}
_SHAPE_OF_IMAGE = "(math.ceil(side / 32 + 0.5) * 32 for side in (width, height))"
_MAIN = """
if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("images", nargs="+")
    parser.add_argument("--min-confidence", type=float, help="0 to 1; without it, each label's own threshold")
    given = parser.parse_args()
    for path in given.images:
        print(json.dumps({"image": path, "found": detect(path, given.min_confidence)}), flush=True)
"""


def write_export(name: str, card: ModelCard, folder: Path, thresholds: Mapping[str, float], out: Path) -> None:
    """Write a model in a format, with what it takes to run it, into an empty folder.

    Args:
        name: of `FORMS`.
        folder: of the model.
        thresholds: that count for its labels, 0..1.

    Raises:
        ConfigError: a package is missing.
    """
    form = FORMS[name]
    libraries_folder()
    try:
        form.write(card, folder, out)
    except (RclError, OSError):
        raise
    except Exception as error:
        # Converters have errors of their own, and not every version of them knows every operator.
        said = " ".join(str(error).split())
        raise RclError(f"The format {name} can't be written from this model: {type(error).__name__}: {said}") from error
    described = {
        "model": card.model,
        "license": family(card.family).licence,
        "labels": list(card.labels),
        "thresholds": dict(thresholds),
        "size_px": int(card.preprocessing["size_px"]),
        "preprocessing": card.preprocessing,
    }
    (out / LABELS).write_text(json.dumps(described, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    is_tiled = "tiling" in card.preprocessing
    template = (_RUNNERS / ("tiled.txt" if is_tiled else family(card.family).script)).read_text("utf-8")
    canvas = f"{canvas_side(card)}, {canvas_side(card)}" if form.has_one_shape else _SHAPE_OF_IMAGE
    script = template.format(packages=form.packages, imports=form.imports, load=form.load, main=_MAIN, canvas=canvas)
    (out / SCRIPT).write_text(script, encoding="utf-8")
    shutil.copymode(folder / "model.json", out / SCRIPT)
