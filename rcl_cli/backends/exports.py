"""A trained model in forms that need no rcl: with its labels, preprocessing and thresholds, and a script that runs it.

| format | files | needs to run |
|---|---|---|
| onnx | `model.onnx` | onnxruntime |
| openvino | `model.xml`, `model.bin` | openvino |
| torchscript | `model.torchscript` | torch |
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from rcl_cli.backends.base import ONNX_FILE
from rcl_cli.backends.forms import export_onnx
from rcl_cli.backends.registry import example_input, load_network
from rcl_cli.domain import ModelCard
from rcl_cli.errors import ConfigError

SCRIPT, LABELS = "run.py", "labels.json"
_RUNNERS = Path(__file__).with_name("runners")


class Form(NamedTuple):
    """How a format is written and run.

    Args:
        write: from the card and the model's folder into another folder.
        packages: what running it needs, beside numpy and pillow.
        imports, load: lines of the script; `load` defines `forward`, from (1, H, W, 3) uint8 to the output.
    """

    write: Callable[[ModelCard, Path, Path], None]
    packages: str
    imports: str
    load: str


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
        import openvino
    except ImportError as error:
        raise ConfigError("The format openvino needs a package that is not installed: pip install openvino") from error
    if not (folder / ONNX_FILE).is_file():
        export_onnx(card, folder)
    # Not `convert_model`, which asks a package for telemetry before it does the same.
    model = openvino.Core().read_model(str(folder / ONNX_FILE))
    openvino.save_model(model, str(out / "model.xml"), compress_to_fp16=False)


def _write_torchscript(card: ModelCard, folder: Path, out: Path) -> None:
    import torch

    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        network = load_network(card, folder)
        torch.jit.trace(network, example_input(card), check_trace=False).save(str(out / "model.torchscript"))


FORMS: dict[str, Form] = {
    "onnx": Form(
        _write_onnx,
        "onnxruntime",
        "import onnxruntime",
        'session = onnxruntime.InferenceSession(str(here / "model.onnx"), providers=["CPUExecutionProvider"])\n'
        'forward = lambda pixels: session.run(None, {"pixels": pixels})[0]',
    ),
    "openvino": Form(
        _write_openvino,
        "openvino",
        "import openvino",
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
}
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
    form.write(card, folder, out)
    described = {
        "model": card.model,
        "labels": list(card.labels),
        "thresholds": dict(thresholds),
        "size_px": int(card.preprocessing["size_px"]),
        "preprocessing": card.preprocessing,
    }
    (out / LABELS).write_text(json.dumps(described, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    template = (_RUNNERS / ("detector.txt" if card.family == "yolo" else "classifier.txt")).read_text("utf-8")
    script = template.format(packages=form.packages, imports=form.imports, load=form.load, main=_MAIN)
    (out / SCRIPT).write_text(script, encoding="utf-8")
    shutil.copymode(folder / "model.json", out / SCRIPT)
