"""Model families: the registry's own keep what a family promises, and a third one needs a folder and a line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rcl_cli.backends import registry
from rcl_cli.backends.family import Data
from rcl_cli.backends.weights.choice import from_scratch
from rcl_cli.domain import Box, Sample
from rcl_cli.errors import ConfigError
from rcl_cli.inference.model import LoadedModel
from rcl_cli.training import stages
from rcl_cli.training.job import TrainingJob
from rcl_cli.training.options import TrainingOptions
from tests.conftest import COLOURS, noisy

ROOT = Path(__file__).parents[2]
SAMPLES = tuple(Sample(f"{n}.jpg", ("a",), (("a", Box(0.1, 0.1, 0.3, 0.2)),), "", 640, 480) for n in range(40))


@pytest.mark.parametrize("name", registry.FAMILIES)
def test_a_family_says_what_it_is_and_plans(name: str) -> None:
    found = registry.family(name)
    assert found.licence
    assert not found.knows("no-such-network")
    for on_gpu in (False, True):
        data = Data(SAMPLES, 36, False, True, on_gpu, 80.0 if on_gpu else 0.0)
        size_px, epochs, batch = found.defaults(data)
        assert found.whole_size(size_px) == size_px
        assert epochs > 0
        assert batch > 1
        offered = registry.offers([name], "auto", "cuda" if on_gpu else "cpu", 36)
        assert all(found.knows(offer.model) for offer in offered)
        assert registry.families_for(found.task, offered[0].model, "any") == [name]
    assert (ROOT / "rcl_cli/backends/exports/runners" / found.script).is_file()
    assert found.canvas_px(64) >= 64
    assert found.free[0] == "batch"


def test_the_first_family_of_a_task_is_its_default() -> None:
    assert registry.families_for("detection", "auto", "any") == ["yolo", "litedet"]
    assert registry.families_for("detection", "nonsense", "any") == ["yolo"]
    assert registry.families_for("classification", "auto", "any") == ["classifier"]
    assert registry.families_for("detection", "auto", "permissive") == ["litedet"]
    assert registry.families_for("classification", "auto", "permissive") == ["classifier"]
    with pytest.raises(ConfigError, match=r"detection by yolo11n there is yolo \(AGPL-3.0-only\)"):
        registry.families_for("detection", "yolo11n", "permissive")
    with pytest.raises(ConfigError, match="no model family 'x'"):
        registry.family("x")


def test_nobody_outside_asks_for_a_family_by_name() -> None:
    named = re.compile(r"family\s*[!=]=|[!=]=\s*[\"'](yolo|litedet|classifier)[\"']")
    for path in (ROOT / "rcl_cli").rglob("*.py"):
        assert not named.search(path.read_text("utf-8")), path


def test_a_third_family_trains_serves_and_is_asked_for_by_its_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.FAMILIES, "colours", "tests.tiny_family")
    samples = []
    for number in range(24):
        name = list(COLOURS)[number % 3]
        path = tmp_path / f"{number}.png"
        noisy(COLOURS[name], (80, 70), number).save(path)
        samples.append(Sample(str(path), (name,), (), f"s3://b/{number}", 80, 70))
    job = TrainingJob(None, {}, TrainingOptions(model="mean-colour", weights="none"), tmp_path, True, tmp_path)  # type: ignore[arg-type]
    plan, weights = stages.make_plan("IMAGE_LEVEL_LABELS", samples, samples, job, lambda _: None, None)
    assert (plan.family, plan.model, plan.image_size) == ("colours", "mean-colour", 32)
    assert weights == from_scratch("mean-colour")
    folder = tmp_path / "model"
    folder.mkdir()
    card = stages.train_model(plan, weights, folder, lambda _: None, lambda: False)
    _, extra = registry.read_card(folder)
    assert extra["runtime"] == "onnx"
    registry.write_card(folder, card, {**extra, "thresholds": dict.fromkeys(card.labels, 0.5)})
    model = LoadedModel(folder, 1)
    for sample in samples[:6]:
        (found,) = model.detect(Path(sample.path).read_bytes(), None, None, 60)
        assert found["Name"] == sample.labels[0]
