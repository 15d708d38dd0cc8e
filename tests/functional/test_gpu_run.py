"""The run that is ready for a GPU, without one: every part of bench/gpu.py on a few drawn images."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Home, box_images, colour_images, write_manifest

ROOT = Path(__file__).parents[2]
GPU = ROOT / "bench" / "gpu.py"


@pytest.fixture
def pack(tmp_path: Path, home: Home) -> Path:
    """What tools/gpu_pack.sh makes, but drawn, and without weights and wheels."""
    folder = tmp_path / "pack"
    for name, (train, test) in (("bccd", box_images(home, 40, 12)), ("signs", colour_images(home, 40, 12))):
        images = folder / "data" / name / "images"
        images.mkdir(parents=True)
        for part, lines in (("train", train), ("test", test)):
            for line in lines:
                file = line["source-ref"].removeprefix("s3://data/")
                shutil.copyfile(home.buckets / "data" / file, images / file)
                line["source-ref"] = f"s3://{name}/images/{file}"
            write_manifest(folder / "data" / name / f"{part}.manifest", lines)
    return folder


def run(pack: Path, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    words = [str(GPU), "--pack", str(pack), "--out", str(out), "--device", "cpu", "--tiny", "--seconds", "900"]
    return subprocess.run([sys.executable, *words, *more], capture_output=True, text=True, timeout=900)


def results(out: Path) -> Any:
    return json.loads((out / "results.json").read_text("utf-8"))


def test_every_part_runs_without_a_gpu(pack: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(pack, out, "--patience", "5")
    log = (out / "log.txt").read_text("utf-8")
    assert done.returncode == 0, done.stdout + log[-4000:]
    found = results(out)
    assert {how["how"] for how in found["parts"].values()} == {"done"}
    assert {row["part"] for row in found["rows"]} == set(found["parts"])
    said = {row["what"]: row["figure"] for row in found["rows"]}
    assert said["tests that wait for a GPU, skipped"] > 0 == said["tests failed"]
    assert said["bccd: F1 of the answers, difference"] < 0.005
    assert said["signs: F1 of the answers, difference"] < 0.005
    assert said["training: what the store says"] == "TRAINING_FAILED"
    assert said["serving: what the store says"] == "STOPPED"
    table = (out / "table.md").read_text("utf-8").splitlines()
    assert table[0] == "| part | what | figure | against | bar |  |"
    assert len(table) == len(found["rows"]) + 4
    refused = subprocess.run(
        [sys.executable, str(GPU), "--record", str(out / "results.json")], capture_output=True, text=True
    )
    assert refused.returncode == 1
    assert "is of a dry run" in refused.stderr


def test_a_part_that_fails_stops_only_those_that_need_it(pack: Path, tmp_path: Path) -> None:
    (pack / "data" / "bccd" / "train.manifest").unlink()
    done = run(pack, tmp_path / "out", "--only", "detector,ultralytics,doctor")
    assert done.returncode == 1
    found = results(tmp_path / "out")
    assert [one["how"] for one in found["parts"].values()] == [
        "failed with 1", "not begun: it needs detector", "done",
    ]  # fmt: skip
    assert "FileNotFoundError" in (tmp_path / "out" / "log.txt").read_text("utf-8")
    assert {row["part"] for row in found["rows"]} == {"doctor"}


def test_a_part_that_hangs_is_ended(pack: Path, tmp_path: Path) -> None:
    done = run(pack, tmp_path / "out", "--only", "machine", "--patience", "0.01")
    assert done.returncode == 1
    assert "machine: not done after" in done.stdout


def test_a_run_is_kept_in_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(GPU.parent))
    import gpu

    row = {
        "part": "host", "what": "64 clients", "figure": 0.5, "unit": "×", "against": "bare", "bar": 0.9,
        "at_least": True,
    }  # fmt: skip
    parts = {"host": {"how": "done", "seconds": 9.5}}
    document = {"date": "2026-11-26", "device": "cuda", "tiny": False, "seconds": 9, "parts": parts, "rows": [row]}
    file, kept = tmp_path / "results.json", tmp_path / "RESULTS.md"
    file.write_text(json.dumps(document))
    kept.write_text(f"before\n{gpu.BEGIN}\nold\n{gpu.END}\nafter\n")
    for _ in range(2):
        gpu.record(file, kept)
    text = kept.read_text("utf-8")
    assert text.startswith(f"before\n{gpu.BEGIN}\n2026-11-26:\n")
    assert text.endswith(f"{gpu.END}\nafter\n")
    assert "| host | 64 clients | 0.5 × | bare | ≥ 0.9 | MISSED |" in text
    assert "old" not in text
    assert "host done (9.5 s)" in text
    # The real one has a place for it.
    assert gpu.BEGIN in gpu.RESULTS.read_text("utf-8")
