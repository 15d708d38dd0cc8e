"""torch without its compiler: what stands in for it is enough for trainings, and gives way to the real one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Home, box_images, colour_images

BEFORE = "from rcl_cli.backends.uncompiled import leave_out_the_compiler; leave_out_the_compiler()\nimport sys, torch\n"
LOADED = "torch._dynamo.symbolic_convert"


def python(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", BEFORE + code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_optimizers_and_operators_do_without() -> None:
    python(
        "import torchvision\n"
        "layer = torch.nn.Linear(2, 1)\n"
        "optimizer = torch.optim.AdamW(layer.parameters())\n"
        "schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 1.0)\n"
        "before = layer.weight.clone()\n"
        "layer(torch.ones(1, 2)).sum().backward(); optimizer.step(); schedule.step(); optimizer.zero_grad()\n"
        "assert not torch.equal(before, layer.weight)\n"
        "@torch.compiler.disable(recursive=False)\n"
        "def plain(x): torch._dynamo.graph_break(msg='x'); return x + 1\n"
        "assert plain(1) == torch._dynamo.disable(fn=plain)(1) == 2\n"
        "boxes = torch.tensor([[0., 0., 2., 2.], [0., 0., 2., 1.9]])\n"
        "assert torchvision.ops.nms(boxes, torch.tensor([.9, .8]), 0.5).tolist() == [0]\n"
        f"assert '{LOADED}' not in sys.modules and 'sympy' not in sys.modules\n"
    )


@pytest.mark.parametrize(
    "use",
    [
        "import torch._dynamo.config as used",
        "import importlib.util; importlib.util.find_spec('torch._dynamo'); used = torch._dynamo.config",
        "from torch._dynamo.utils import counters; used = torch._dynamo.config",
    ],
)
def test_whoever_wants_the_compiler_has_it(use: str) -> None:
    python(
        f"{use}\n"
        f"assert '{LOADED}' in sys.modules and used is sys.modules['torch._dynamo.config']\n"
        "assert used is torch._dynamo.config and torch._dynamo.utils is sys.modules['torch._dynamo.utils']\n"
        "assert torch.compile(lambda x: x + 1, backend='eager')(torch.zeros(1)).tolist() == [1.0]\n"
    )


@pytest.mark.parametrize("kind", ["detector", "classifier"])
def test_a_training_loads_no_compiler(kind: str, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a second of each training, and 150 MB."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "end = os._exit\n"
        f"def noted(code): open({str(tmp_path / 'modules')!r}, 'w').write('\\n'.join(sys.modules)); end(code)\n"
        "os._exit = noted\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    project = home.project()
    training, testing = box_images(home) if kind == "detector" else colour_images(home)
    home.dataset(project, "TRAIN", training)
    home.dataset(project, "TEST", testing)
    home.train(project, "v")
    assert home.wait(project, "v")[0] == "TRAINING_COMPLETED"
    modules = (tmp_path / "modules").read_text().split("\n")
    assert "torch.optim" in modules
    assert LOADED not in modules
