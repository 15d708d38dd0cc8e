"""Trainings on the GPU through `rcl`, beside plain Ultralytics and a plain torch loop."""

from __future__ import annotations

import json
import re
import statistics
import sys
import time
from typing import Any

from accuracy import recount, truth

from gpu_parts.common import Bench, GpuWatch, Home, peer

# What the same trainings gave on the CPU (bench/RESULTS.md); F1 of the half of `signs` that travels, measured likewise.
CPU = {"bccd AP50": 0.9128, "bccd F1": 0.8720}
NOISE = 0.02
PEER_SIZE_PX, PEER_BATCH = 320, 16


def trained(bench: Bench, name: str, run: str, options: dict[str, Any]) -> Home:
    """Train, and say how long it took, what it used the GPU for, and how good it is."""
    home = Home(bench, name, run, options).create()
    with GpuWatch() as watch:
        began = time.monotonic()
        home.train()
        took = time.monotonic() - began
    card = home.card
    epochs = [row for row in card["card"]["history"] if "epoch" in row]
    bench.say(f"{run}: from the request to TRAINING_COMPLETED", took, "s")
    if epochs:
        steady = epochs[1:] or epochs
        images = trained_on(home)
        each = statistics.median(row["seconds"] for row in steady)
        bench.say(f"{run}: an epoch of {images} images, median of {len(steady)}", each, "s")
        bench.say(f"{run}: images a second, validation included", images / each, "images/s")
    waits = [row["waiting_s"] / row["seconds"] for row in epochs if "waiting_s" in row]
    if waits:
        bench.say(f"{run}: share of the epochs that waits for images", statistics.mean(waits))
    if "peak_gpu_memory_mb" in card:
        bench.say(f"{run}: most GPU memory that torch held", card["peak_gpu_memory_mb"], "MiB")
    bench.say(f"{run}: GPU busy, mean of the whole training", watch.busy, "%")
    bench.say(f"{run}: precision that serves", str(card["precision"]))
    if "half_disagreement" in card:
        bench.say(f"{run}: half precision, largest difference of a score", card["half_disagreement"], bar=0.02)
    print(home.log(), file=sys.stderr)
    return home


def trained_on(home: Home) -> int:
    """Images that a training saw, without those held out, as its log has it."""
    found = re.search(r"plan: (\d+) images", home.log())
    assert found, home.log()
    return int(found[1])


def accuracy(bench: Bench, home: Home, run: str, expected: dict[str, float]) -> None:
    """Figures of the evaluation, and the same from the answers of the running model."""
    figures = {"AP50": home.summary.get("AveragePrecision"), "F1": home.summary["F1Score"]}
    for name, figure in figures.items():
        if figure is not None:
            known = {} if bench.tiny or name not in expected else {
                "bar": round(expected[name] - NOISE, 4), "at_least": True, "against": f"CPU: {expected[name]}",
            }  # fmt: skip
            bench.say(f"{run}: {name}", figure, **known)
    with home.started():
        home.rcl("detect", f"{home.name}/v1", str(home.manifests / "test.manifest"), "-o", str(home.path / "a.jsonl"))
    answers = [json.loads(line)["CustomLabels"] for line in (home.path / "a.jsonl").read_text("utf-8").splitlines()]
    again = recount(truth(home.manifests / "test.manifest"), answers)
    bench.say(f"{run}: F1 of the answers, difference", abs(again - home.summary["F1Score"]), bar=0.005)


def detector(bench: Bench) -> None:
    """`bccd` at 320 pixels, 20 epochs from the YOLOv8n checkpoint."""
    options = bench.pick(
        {"model": "yolov8n", "weights": bench.detector_weights, "epochs": 20, "image_size": 320, "patience": 100},
        {"model": "yolov8n", "weights": bench.detector_weights, "epochs": 2, "image_size": 64},
    )
    home = trained(bench, "bccd", "bccd", options)
    accuracy(bench, home, "bccd", {"AP50": CPU["bccd AP50"], "F1": CPU["bccd F1"]})


def ultralytics(bench: Bench) -> None:
    """Plain Ultralytics on the same images with the same settings, against the training of `detector`."""
    from rcl_cli.backends.yolo.trainer import _close_mosaic

    home = Home(bench, "bccd", "bccd")
    ours = [row["seconds"] for row in home.card["card"]["history"]]
    epochs, size_px = bench.pick((8, PEER_SIZE_PX), (2, 64))
    data = yolo_folder(bench, home)
    asked = {
        "data": str(data), "weights": bench.detector_weights, "epochs": epochs, "size_px": size_px,
        "batch": home.card["card"]["hyperparameters"]["batch"], "close_mosaic": _close_mosaic(epochs),
        "device": 0 if bench.device == "cuda" else "cpu", "folder": str(bench.work / "ultralytics"),
    }  # fmt: skip
    folder = str(bench.work / "ultralytics" / "config")
    theirs = peer("ultralytics", asked, YOLO_OFFLINE="true", YOLO_CONFIG_DIR=folder)
    mine, plain = statistics.median(ours[1:] or ours), statistics.median(theirs[1:] or theirs)
    bench.say("plain Ultralytics: an epoch, same settings", plain, "s")
    against = f"plain Ultralytics, which reads its files each epoch: {plain:.3g} s"
    bench.say("our epoch", mine / plain, "×", against=against, bar=1.05)


def yolo_folder(bench: Bench, home: Home) -> Any:
    """The training's images as Ultralytics wants them: the part that was trained on, and the part held out."""
    import shutil

    from rcl_cli.domain import Box, Sample
    from rcl_cli.imaging.decode import read_header
    from rcl_cli.training.prepare import hold_out

    folder = bench.work / "ultralytics" / "bccd"
    samples, names = [], list(home.card["card"]["labels"])
    for image in truth(home.manifests / "train.manifest"):
        path = bench.data / image["bucket"] / image["key"]
        header = read_header(path)
        boxes = tuple((name, Box(b[0], b[1], b[2] - b[0], b[3] - b[1])) for name, b in image["boxes"])
        samples.append(Sample(str(path), (), boxes, "", header.width, header.height))
    parts = hold_out(samples, 0)
    for kind, chosen in (("train", parts.train), ("val", parts.holdout)):
        for part in ("images", "labels"):
            (folder / part / kind).mkdir(parents=True, exist_ok=True)
        for number, sample in enumerate(chosen):
            shutil.copyfile(sample.path, folder / "images" / kind / f"{number}.jpg")
            rows = [
                f"{names.index(name)} {b.left + b.width / 2} {b.top + b.height / 2} {b.width} {b.height}"
                for name, b in sample.boxes
            ]
            (folder / "labels" / kind / f"{number}.txt").write_text("\n".join(rows))
    listed = "\n".join(f"  {number}: {name}" for number, name in enumerate(names))
    (folder / "data.yaml").write_text(f"path: {folder}\ntrain: images/train\nval: images/val\nnames:\n{listed}\n")
    return folder / "data.yaml"


def classifier(bench: Bench) -> None:
    """`signs`: the head, then fine-tuned, and a plain torch loop on the same images."""
    options = bench.pick(
        {"model": "efficientnet_lite0", "epochs": 8}, {"model": "mobilenet_v3_small", "epochs": 2, "image_size": 64}
    )
    home = trained(bench, "signs", "signs", options)
    usable = home.card["card"]["first_usable_s"]
    if usable is not None:
        head = next(row for row in home.card["card"]["history"] if row.get("stage") == "head")
        bench.say("signs: a usable model, the head alone, after", usable, "s")
        bench.say("signs: F1 of the head on held-out images", head["F1"])
    accuracy(bench, home, "signs", {})
    rows = [row["seconds"] for row in home.card["card"]["history"] if "epoch" in row]
    card = home.card["card"]
    images = [str(bench.data / image["bucket"] / image["key"]) for image in truth(home.manifests / "train.manifest")]
    labels = [card["labels"].index(next(iter(i["labels"]))) for i in truth(home.manifests / "train.manifest")]
    asked = {
        "model": card["model"], "classes": len(card["labels"]), "images": images, "labels": labels,
        "size_px": card["image_size"], "batch": card["hyperparameters"]["batch"], "epochs": bench.pick(4, 2),
        "device": bench.device,
    }  # fmt: skip
    plain = statistics.median(peer("loop", asked)[1:])
    ours = trained_on(home) / statistics.median(rows[1:] or rows)
    bench.say("plain torch loop with a DataLoader: images a second", plain, "images/s")
    bench.say("ours, with averaging and validation", ours / plain, "×", against=f"plain loop: {plain:.4g} images/s")


def planned(bench: Bench) -> None:
    """`bccd` as rcl plans it by itself, from the same checkpoint, in the time that there is."""
    options = {"model": "yolov8n", "weights": bench.detector_weights}
    options |= bench.pick({"time_budget_s": 50}, {"epochs": 1, "image_size": 64})
    home = trained(bench, "bccd", "bccd_planned", options)
    card = home.card["card"]
    bench.say(
        "bccd_planned: the plan", f"{card['image_size']} px, batch {card['hyperparameters']['batch']}, {card['choice']}"
    )
    for name, figure in (("AP50", home.summary.get("AveragePrecision")), ("F1", home.summary["F1Score"])):
        if figure is not None:
            bench.say(f"bccd_planned: {name}", figure)
