"""What each choice of a recipe is worth: one training a set, a choice and a seed, judged on the test set alone.

    python bench/levers.py run --sets FOLDER SET ... --lever 'as planned' 'batch 4' ... --seeds 0 1 2
    python bench/levers.py table

A set is a folder with `train.manifest`, `test.manifest` and `images/`; which public sets were used is in RESULTS.md.
Trainings of one set and seed differ in the choice alone, and each is a process of its own, so that its CPU seconds are
those of all its threads. COCO's own code (pycocotools, `pip install` it) computes the figures of detectors.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from accuracy import package_file
from ratios import CACHE, ROOT, clean_environment

sys.path.insert(0, str(ROOT))
RECORD = CACHE / "levers.jsonl"
# Which weights of a training are judged: those that are kept, those of the epoch with the best figure, the last ones.
KEPT = ("kept", "peak", "last")

# What of Ultralytics' settings a lever changes, given the plan's.
LEVERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "as planned": lambda o: {},
    "single precision": lambda o: {"half": False},
    "64 images a step": lambda o: {"nbs": 64},
    "half the rate": lambda o: {"rate": 0.5},
    "twice the rate": lambda o: {"rate": 2.0},
    "warm-up of an epoch": lambda o: {"warmup_epochs": 1.0},
    "batch 4": lambda o: {"nbs": 4, "batch": 4},
    "upside down too": lambda o: {"flipud": 0.5},
    "less zoom": lambda o: {"scale": 0.3},
    "no mosaic": lambda o: {"mosaic": 0.0},
    "mosaic of half": lambda o: {"mosaic": 0.5},
    "plain for a third": lambda o: {"close_mosaic": max(1, o["epochs"] // 3)},
}


def read_manifest(folder: Path, manifest: str) -> list[dict[str, Any]]:
    """Images of a set: path, labels, boxes as (label, (left, top, width, height) in pixels), size."""
    from rcl_cli.imaging.decode import read_header

    found = []
    for text in (folder / manifest).read_text().splitlines():
        line = json.loads(text)
        labels, boxes = [], []
        for key in [k for k in line if k.endswith("-metadata")]:
            value, metadata = line[key.removesuffix("-metadata")], line[key]
            if "class-map" in metadata:
                names = metadata["class-map"]
                boxes += [
                    (names[str(a["class_id"])], (a["left"], a["top"], a["width"], a["height"]))
                    for a in value["annotations"]
                ]
            elif "class-name" in metadata:
                labels.append(metadata["class-name"])
        path = folder / line["source-ref"].split("/", 3)[3]
        header = read_header(str(path))
        found.append(
            {"path": str(path), "labels": labels, "boxes": boxes, "height": header.height, "width": header.width}
        )
    return found


def samples_of(images: Sequence[dict[str, Any]]) -> tuple[Any, ...]:
    from rcl_cli.domain import Box, Sample

    found = []
    for one in images:
        w, h = one["width"], one["height"]
        boxes = tuple((label, Box(b[0] / w, b[1] / h, b[2] / w, b[3] / h)) for label, b in one["boxes"])
        found.append(Sample(one["path"], tuple(one["labels"]), boxes, one["path"], w, h))
    return tuple(found)


def coco_figures(images: Sequence[dict[str, Any]], labels: Sequence[str], found: Sequence[Any]) -> dict[str, float]:
    """AP50:95 and AP50 by pycocotools, at most 100 boxes an image."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    known = sorted({*labels, *(label for one in images for label, _ in one["boxes"])})
    number = {label: i + 1 for i, label in enumerate(known)}
    truth: dict[str, Any] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": n, "name": s} for s, n in number.items()],
    }
    answers = []
    for i, (one, detections) in enumerate(zip(images, found, strict=True), 1):
        truth["images"].append({"id": i, "width": one["width"], "height": one["height"]})
        for label, box in one["boxes"]:
            shown = {"id": len(truth["annotations"]) + 1, "image_id": i, "category_id": number[label], "iscrowd": 0}
            truth["annotations"].append({**shown, "bbox": list(box), "area": box[2] * box[3]})
        for d in detections:
            w, h = one["width"], one["height"]
            box = [d.box.left * w, d.box.top * h, d.box.width * w, d.box.height * h]
            answers.append({"image_id": i, "category_id": number[d.label], "bbox": box, "score": d.score})
    if not answers:
        return {"ap": 0.0, "ap50": 0.0}
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        judged = COCOeval(coco, coco.loadRes(answers), "bbox")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    return {"ap": float(judged.stats[0]), "ap50": float(judged.stats[1])}


# --- one training, in a process of its own ----------------------------------------------------------------------------


def cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def train_detector(task: dict[str, Any]) -> dict[str, Any]:
    from rcl_cli import heap

    # As the trainer has it.
    heap.tune(mmap_threshold_bytes=32 * 2**20, trim_threshold_bytes=512 * 2**20)
    import torch

    from rcl_cli.backends.base import WEIGHTS_FILE, WeightsChoice
    from rcl_cli.backends.boxes.predictor import BoxPredictor
    from rcl_cli.backends.boxes.tiled import TiledPredictor
    from rcl_cli.backends.predictors import predict
    from rcl_cli.backends.runtimes.torch_runner import TorchRunner
    from rcl_cli.backends.yolo import trainer as yolo
    from rcl_cli.backends.yolo.network import load_network
    from rcl_cli.training.options import TrainingOptions
    from rcl_cli.training.stages import decide, of_whole_images
    from rcl_cli.training.tiling import cut

    torch.set_num_threads(os.cpu_count() or 1)
    folder = Path(task["set"])
    images, judged = read_manifest(folder, "train.manifest"), read_manifest(folder, "test.manifest")
    training = samples_of(images)
    model = task.get("model", "yolov8n")
    weights = package_file("tau_fibrils_yolo", "model/100ep.pt") if model == "yolov8n" else None
    choice = WeightsChoice(model, Path(weights) if weights else None, weights or "none")
    options = TrainingOptions(
        model=model, seed=task["seed"], device="cpu", image_size=task.get("image_size"), epochs=task.get("epochs"),
        batch=task.get("batch"), tiling=str(task.get("tiling", "auto")),
    )  # fmt: skip
    plan = decide("OBJECT_LOCALIZATION", training, training, options, lambda _offers: choice, offline=True).plan
    planned, lever = yolo._overrides, LEVERS[task["lever"]]

    def changed(*words: Any) -> dict[str, Any]:
        settings = planned(*words)
        more = {k: v for k, v in lever(settings).items() if k != "half"}
        rate[0] = more.pop("rate", 1.0)
        return {**settings, **more}

    rate = [1.0]
    build = yolo.ManifestDetection.build_optimizer

    def optimizer(self: Any, *words: Any, **named: Any) -> Any:
        built = build(self, *words, **named)
        for group in built.param_groups:
            group["lr"] *= rate[0]
        return built

    if "half" in lever({"epochs": 1}):
        yolo.has_matrix_bf16 = lambda: False
    yolo._overrides = changed  # type: ignore[assignment]
    yolo.ManifestDetection.build_optimizer = optimizer  # type: ignore[method-assign]
    began = cpu_s()
    others: dict[str, Any] = {}
    peak = [-1.0]
    save = yolo.ManifestDetection.save_model

    def keep(self: Any) -> bool:
        others["last"] = {k: v.detach().clone() for k, v in self.ema.ema.state_dict().items()}
        if float(self.fitness) >= peak[0]:
            peak[0], others["peak"] = float(self.fitness), others["last"]
        return bool(save(self))

    yolo.ManifestDetection.save_model = keep  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        out = Path(name)
        plan = cut(plan, out / "tiles", lambda _p: None, lambda: False)
        card = yolo.YoloTrainer().train(plan, choice, out, lambda _p: None, lambda: False)
        card = replace(card, preprocessing={**card.preprocessing, **of_whole_images(plan)})
        took = cpu_s() - began
        figures: dict[str, Any] = {}
        from safetensors.torch import load_file, save_file

        for which, state in {"kept": load_file(out / WEIGHTS_FILE), **others}.items():
            save_file({k: v.contiguous() for k, v in state.items()}, out / WEIGHTS_FILE)
            runner = TorchRunner(load_network(card, out / WEIGHTS_FILE), "cpu")
            predictor = (TiledPredictor if plan.tiling else BoxPredictor)(runner, card)
            found = []
            began = cpu_s()
            for start in range(0, len(judged), 16):
                found += predict(predictor, [one["path"] for one in judged[start : start + 16]])
            judging_s = cpu_s() - began
            figures[which] = coco_figures(judged, card.labels, found)
    return {
        **{k: task[k] for k in ("lever", "seed")}, "set": folder.name, "cpu_s": round(took, 1), **figures,
        "cpu_ms_an_image": round(1000 * judging_s / len(judged)),
        "image_size": plan.image_size, "tile_px": plan.tiling and plan.tiling.tile_px,
        "epochs": len(card.history), "batch": plan.batch, "choice": card.choice,
        "model": model, "holdout": [round(h["metrics/mAP50-95"], 4) for h in card.history],
    }  # fmt: skip


def measured(script: str, task: dict[str, Any], record: Path) -> dict[str, Any]:
    """What a script's `one` finds of a task, in a process of its own; it is recorded too."""
    command = [sys.executable, script, "one", json.dumps(task)]
    done = subprocess.run(command, env=clean_environment(GOMP_SPINCOUNT="30000"), capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    text = done.stdout.strip().splitlines()[-1]
    with record.open("a") as out:
        out.write(text + "\n")
    return dict(json.loads(text))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["run", "one", "table"])
    parser.add_argument("names", nargs="*", help="of sets, before any option")
    parser.add_argument("--sets", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--lever", nargs="*", default=["as planned"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--set", nargs="*", default=[], help="NAME=VALUE: epochs, image_size, batch, model, tiling")
    args = parser.parse_args()
    if args.what == "one":
        print(json.dumps(train_detector(json.loads(args.names[0]))))
        return
    if args.what == "table":
        show()
        return
    CACHE.mkdir(exist_ok=True)
    more = {k: int(v) if v.isdigit() else v for k, v in (word.split("=") for word in args.set)}
    for seed in args.seeds:
        for name in args.names:
            for lever in args.lever:
                task = {"set": str(args.sets / name), "lever": lever, "seed": seed, **more}
                one = measured(__file__, task, RECORD)
                print(name, lever, seed, one["cpu_s"], "s", {k: one[k] for k in KEPT}, flush=True)


def show() -> None:
    rows: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for text in RECORD.read_text().splitlines():
        one = json.loads(text)
        key = (one["set"], one["model"], one["image_size"], one["epochs"], one["lever"])
        rows.setdefault(key, []).append(one)
    for key in sorted(rows):
        several = rows[key]
        shown = [f"{which} {mean(several, which, 'ap')}/{mean(several, which, 'ap50')}" for which in KEPT]
        print(*key, len(several), *shown, f"{statistics.mean(o['cpu_s'] for o in several):.0f} s", sep=" | ")


def mean(several: Sequence[dict[str, Any]], which: str, figure: str) -> str:
    return f"{statistics.mean(one[which][figure] for one in several):.3f}"


if __name__ == "__main__":
    main()
