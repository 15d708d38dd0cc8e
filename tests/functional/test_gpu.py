"""On a GPU: training, the form that serves, answers, and memory that comes back."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from rcl_cli.backends.registry import read_card
from tests.conftest import wait_until
from tests.functional.models import trained

pytestmark = pytest.mark.gpu


def memory_mb() -> int:
    words = ["nvidia-smi", "-i", "0", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="needs nvidia-smi")
@pytest.mark.parametrize("boxes", [True, False])
def test_a_model_trains_serves_and_leaves_the_gpu(tmp_path: Path, boxes: bool) -> None:
    before = memory_mb()
    made = trained(tmp_path / "home", boxes=boxes)
    home, folder = made.home, made.home.context.layout.model(1)
    card, extra = read_card(folder)
    assert extra["device"] == "cuda"
    assert extra["peak_gpu_memory_mb"] > 0
    assert extra["half_disagreement"] <= 0.02, "half precision is another model"
    assert extra["precision"] == "float16"
    assert all(row["seconds"] > 0 for row in card.history if "epoch" in row)
    log = home.context.layout.training_log(1).read_text()
    assert "no CUDA graphs" not in log
    image = next((home.buckets / "data").glob("box-*.jpg" if boxes else "0.jpg")).read_bytes()
    first = made.detect(image, MinConfidence=0)
    # The third time it is a recorded graph that answers.
    for _ in range(5):
        again = made.detect(image, MinConfidence=0)
        assert [label["Name"] for label in again] == [label["Name"] for label in first]
        for one, other in zip(again, first, strict=True):
            assert abs(one["Confidence"] - other["Confidence"]) < 2
    assert memory_mb() > before
    home.call("StopProjectVersion", ProjectVersionArn=made.version)
    assert home.wait(made.project, "v", leaving="STOPPING")[0] == "STOPPED"
    wait_until(lambda: memory_mb() <= before + 64)
    home.context.database.close()
