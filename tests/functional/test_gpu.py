"""On a GPU: training, the form that serves, answers, and memory that comes back."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rcl_cli.backends.registry import read_card
from tests.conftest import wait_until
from tests.functional.models import trained

pytestmark = pytest.mark.gpu


def memory_mb() -> int:
    words = ["nvidia-smi", "-i", "0", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="needs nvidia-smi")
@pytest.mark.parametrize("boxes", [True, False], ids=["boxes", "labels"])
def test_a_model_trains_serves_and_leaves_the_gpu(tmp_path: Path, boxes: bool) -> None:
    before = memory_mb()
    made = trained(tmp_path / "home", boxes=boxes)
    home, folder = made.home, made.home.context.layout.model(1)
    try:
        card, extra = read_card(folder)
        assert extra["device"] == "cuda"
        assert extra["peak_gpu_memory_mb"] > 0
        assert extra["half_disagreement"] <= 0.02, "half precision is another model"
        assert extra["precision"] == "float16"
        assert all(row["seconds"] > 0 for row in card.history if "epoch" in row)
        image = next((home.buckets / "data").glob("box-*.jpg" if boxes else "0.jpg")).read_bytes()
        first = scores(made.detect(image, MinConfidence=0))
        # The third time it is a recorded graph that answers.
        for _ in range(5):
            again = scores(made.detect(image, MinConfidence=0))
            assert again.keys() == first.keys()
            for name, found in again.items():
                assert found[:20] == pytest.approx(first[name][:20], abs=2)
        assert "no CUDA graph" not in (home.context.layout.host(1) / "host.log").read_text()
        assert memory_mb() > before
    finally:
        home.call("StopProjectVersion", ProjectVersionArn=made.version)
        assert home.wait(made.project, "v", leaving="STOPPING")[0] == "STOPPED"
    wait_until(lambda: memory_mb() <= before + 64)
    home.context.database.close()


def scores(found: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Confidences of each label, the best first."""
    by_label: dict[str, list[float]] = {}
    for label in found:
        by_label.setdefault(label["Name"], []).append(label["Confidence"])
    return {name: sorted(values, reverse=True) for name, values in by_label.items()}
